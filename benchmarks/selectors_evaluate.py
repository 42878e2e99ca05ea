"""What the Evaluate tab offers: models by source, names with recorded responses, what a phase has left."""

from collections.abc import Sequence
from typing import Any

from benchmarks.models import BenchmarkPart, Phase
from registry.models import RegisteredModel, Source
from registry.selectors import by_title, models_for
from workspaces.models import Workspace

SOURCES = {"platform": "Platform", "running": "Running", "trained": "Trained", "hugging_face": "Hugging Face"}
SHELF = {
    Source.PLATFORM: "platform", Source.DEDICATED: "platform", Source.EXTERNAL: "platform",
    Source.RUNNING: "running", Source.TRAINED: "trained", Source.HUGGING_FACE: "hugging_face",
}  # fmt: skip
MOST_LISTED = 500


def models_by_source(workspace: Workspace) -> dict[str, list[RegisteredModel]]:
    """Those that can be called, by title; one query."""
    found: dict[str, list[RegisteredModel]] = {key: [] for key in SOURCES}
    for model in by_title(models_for(workspace).filter(provider__isnull=False))[:MOST_LISTED]:
        found[SHELF.get(Source(model.source), "platform")].append(model)
    return found


def recorded_by_all(parts: Sequence[BenchmarkPart]) -> list[str]:
    """Names whose recorded responses every part's version holds."""
    if not parts:
        return []
    first, *others = (part.version.response_models for part in parts)
    return [name for name in first if all(name in names for names in others)]


def used(phase: Phase, *, model: RegisteredModel | None, person: Any) -> int:
    """Evaluations that count against the phase's limit for this model, or this person."""
    rows = phase.evaluations.all()
    if phase.most_per == Phase.Per.PERSON:
        return rows.filter(created_by=person).count()
    return rows.filter(model=model).count() if model else 0
