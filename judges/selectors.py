"""What is read of judges, always within one workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from datasets.diffs import word_diff
from datasets.models import DatasetVersion, Item
from datasets.selectors import ready_versions
from judges.asking import Material
from judges.metrics import Estimate
from judges.metrics.clustered import clustered_share
from judges.models import DECIDING, ControlCheck, Judge, JudgeVersion
from judges.sources import RUN, run_responses
from registry.models import RegisteredModel
from registry.selectors import by_title, models_for
from workspaces.models import Workspace

SAMPLED_ITEMS = 3
COLUMN_ITEMS = 200  # items whose metadata tells the columns
FIELD_TITLES = {"integer": "Whole numbers only", "threshold": "Pass from", "min_votes": "Fewest valid votes"}
REFERENCE, TYPED = "reference", "typed"


def all_judges_of(workspace: Workspace) -> QuerySet[Judge]:
    """Archived ones too, with the newest version's `latest_id`, `latest_number`, `kind`, `changed_at`."""
    latest = JudgeVersion.objects.filter(judge=OuterRef("pk")).order_by("-number")
    return (
        Judge.objects.filter(workspace=workspace)
        .annotate(
            latest_id=Subquery(latest.values("pk")[:1]),
            latest_number=Subquery(latest.values("number")[:1]),
            kind=Subquery(latest.values("kind")[:1]),
            changed_at=Subquery(latest.values("created_at")[:1]),
        )
        .order_by("name")
    )


def judges_of(workspace: Workspace, *, archived: bool = False) -> QuerySet[Judge]:
    """As `all_judges_of`, by name: those in use, or the archived ones."""
    return all_judges_of(workspace).filter(archived_at__isnull=not archived)


def versions_in(workspace: Workspace) -> QuerySet[JudgeVersion]:
    """Newest first, with judge and models; three queries at most."""
    rows = JudgeVersion.objects.filter(judge__workspace=workspace)
    return rows.select_related("judge", "created_by").prefetch_related("judge_models").order_by("-number")


def newest_version(judge: Judge) -> JudgeVersion:
    """With judge and models."""
    return versions_in(judge.workspace).filter(judge=judge)[0]


def usable_models(workspace: Workspace) -> QuerySet[RegisteredModel]:
    """Those that can be asked, by title."""
    return by_title(models_for(workspace).filter(provider__isnull=False))


def newest_check(version: JudgeVersion) -> ControlCheck | None:
    return version.control_checks.order_by("-pk").first()


def false_pass_rate(check: ControlCheck) -> Estimate:
    """With its Wilson interval, over the cases that got a verdict."""
    hits = [1.0] * check.false_passes + [0.0] * (check.n - check.false_passes)
    return clustered_share(hits, range(check.n))


@dataclass(frozen=True)
class Change:
    """A field that differs between two versions; the sides are pieces (same, del or ins; text)."""

    name: str
    before: Sequence[tuple[str, str]]
    after: Sequence[tuple[str, str]]


def changes_between(before: JudgeVersion, after: JudgeVersion) -> list[Change]:
    """Field by field, the judge models too. Needs the models of both."""
    old, new = _texts(before), _texts(after)
    return [Change(name, *word_diff(old[name], new[name])) for name in new if old[name] != new[name]]


def _texts(version: JudgeVersion) -> dict[str, str]:
    texts = {"Judge models": "\n".join(f"{row.title} ({row.name})" for row in version.judge_models.all())}
    for name in DECIDING:
        texts[FIELD_TITLES.get(name, name.replace("_", " ").capitalize())] = _text(getattr(version, name))
    return texts


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "\n".join(
            f"{label['label']} ({'pass' if label['passes'] else 'fail'}): {label.get('meaning', '')}"
            for label in value
        )
    if isinstance(value, dict):
        return "\n".join(f"{name}: {entry}" for name, entry in sorted(value.items()))
    return "" if value is None else str(value)


# Samples


@dataclass(frozen=True)
class Sampled:
    """The first items of a dataset's version as a judge is shown them, and where responses may come from.

    With `answered_by`, a run in words, they are the first that it answered."""

    workspace: Workspace
    version: DatasetVersion
    columns: Sequence[str]
    rows: Sequence[Item]
    items: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    runs: Sequence[tuple[str, str]] = ()
    answered_by: str = ""

    @property
    def title(self) -> str:
        return f"{self.version.dataset.name} v{self.version.number}"

    @property
    def has_references(self) -> bool:
        return any(item["references"] for item in self.items)

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Value and words of what can stand for a response."""
        recorded = [(f"recorded:{name}", f"{name}, recorded") for name in self.version.response_models[:20]]
        reference = [(REFERENCE, "the reference itself")] if self.has_references else []
        return [*recorded, *self.runs, *reference, (TYPED, "a response that I type")]


def sampled_of(workspace: Workspace, version_id: int | None, source: str = "") -> Sampled | None:
    """The version that is asked for, if the workspace has it. From a run the first items that it answered."""
    version = ready_versions(workspace).filter(pk=version_id).first() if version_id else None
    if version is None:
        return None
    runs = run_responses()
    answered = runs.first_items(workspace, version, source, SAMPLED_ITEMS) if source.startswith(RUN) else ()
    items = Item.objects.filter(version=version).order_by("position")
    rows = list((items.filter(pk__in=answered) if answered else items)[:SAMPLED_ITEMS])
    mappings = Item.objects.filter(version=version).order_by("position").values_list("metadata", flat=True)
    columns = dict.fromkeys(name for metadata in mappings[:COLUMN_ITEMS] for name in metadata or {})
    offered = runs.offered(workspace, version)
    return Sampled(
        workspace=workspace,
        version=version,
        columns=list(columns),
        rows=rows,
        items=[item_fields(row) for row in rows],
        runs=offered,
        answered_by=dict(offered).get(source, "") if answered else "",
    )


def item_fields(item: Item) -> dict[str, Any]:
    """An item as `judges.asking` wants it."""
    return {
        "input": item.prompt,
        "messages": item.messages or [],
        "choices": item.choices,
        "references": item.references,
        "section": item.section,
        "id": item.external_id,
        "metadata": item.metadata,
    }


def materials_of(
    sampled: Sampled, *, source: str, other: str, typed: str, typed_other: str, compares: bool
) -> list[tuple[Item, Material | None]]:
    """Each sampled item with what is judged of it; None where a source has no response to it."""
    found = []
    first_of, second_of = _of_run(sampled, source), _of_run(sampled, other) if compares else {}
    for row, item in zip(sampled.rows, sampled.items, strict=True):
        first = first_of.get(row.pk, _response(row, source, typed))
        second = second_of.get(row.pk, _response(row, other, typed_other)) if compares else None
        complete = first is not None and (not compares or second is not None)
        found.append((row, Material(item, first or "", second) if complete else None))
    return found


def _of_run(sampled: Sampled, source: str) -> dict[int, str]:
    if not source.startswith(RUN):
        return {}
    ids = [row.pk for row in sampled.rows]
    return run_responses().responses(sampled.workspace, sampled.version, source, ids)


def _response(item: Item, source: str, typed: str) -> str | None:
    if source == TYPED:
        return typed
    if source == REFERENCE:
        return item.references[0] if item.references else None
    return (item.responses or {}).get(source.removeprefix("recorded:"))
