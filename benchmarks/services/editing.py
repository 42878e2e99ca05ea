"""Making, changing, archiving, publishing and deleting benchmarks with their parts and phases."""

import secrets
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from benchmarks.checking import CheckedPart, check
from benchmarks.models import Benchmark, BenchmarkPart, Phase
from benchmarks.services.evaluating import benchmark_evaluation_delete
from benchmarks.wish import BenchmarkProblems, BenchmarkWish, PhaseWish
from datasets.models import Subset
from datasets.subsets import subset_frozen
from workspaces import audit
from workspaces.access import Access


def benchmark_create(access: Access, wish: BenchmarkWish) -> Benchmark:
    """Raises BenchmarkProblems; then nothing is made."""
    parts = check(access.workspace, wish)
    with transaction.atomic():
        benchmark = Benchmark.objects.create(
            workspace=access.workspace,
            name=" ".join(wish.name.split()),
            slug=free_slug(access, wish.slug or wish.name),
            summary=wish.summary,
            owner=access.actor,
        )
        _write_parts(benchmark, parts)
        _write_phases(benchmark, wish.phases)
        audit.record(access, "benchmark.create", benchmark.name, parts=len(parts))
    return benchmark


def benchmark_update(access: Access, benchmark: Benchmark, wish: BenchmarkWish) -> None:
    """What was evaluated before keeps its own configuration. Raises BenchmarkProblems."""
    parts = check(access.workspace, wish, old=benchmark)
    with transaction.atomic():
        benchmark.name, benchmark.summary = " ".join(wish.name.split()), wish.summary
        benchmark.save(update_fields=["name", "summary"])
        BenchmarkPart.objects.filter(benchmark=benchmark).delete()
        _write_parts(benchmark, parts)
        _write_phases(benchmark, wish.phases)
        audit.record(access, "benchmark.update", benchmark.name, parts=len(parts))


def free_slug(access: Access, text: str) -> str:
    """A slug of the text that no other benchmark of the workspace has."""
    base = slugify(text)[:50] or "benchmark"
    taken = {*Benchmark.objects.filter(workspace=access.workspace).values_list("slug", flat=True)}
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return base if base not in taken else next(slug for slug in numbered if slug not in taken)


def subset_told(subset: Subset | None) -> dict[str, Any]:
    """Subsets are deleted, but not changed: the part keeps what this one asks for."""
    if subset is None:
        return {}
    return {name: value for name, value in subset_frozen(subset, 0).items() if name != "items"}


def _write_parts(benchmark: Benchmark, parts: Sequence[CheckedPart]) -> None:
    for position, part in enumerate(parts, 1):
        wish = part.wish
        made = BenchmarkPart.objects.create(
            benchmark=benchmark,
            position=position,
            version=part.version,
            subset=subset_told(part.subset),
            sections=list(wish.sections),
            limit=wish.limit,
            template=wish.template,
            params=dict(wish.params),
            scorers=[dict(scorer) for scorer in wish.scorers],
            primary=part.primary,
            measure=wish.measure,
            weight=wish.weight,
        )
        made.judges.set(part.judges)


def _write_phases(benchmark: Benchmark, wishes: Sequence[PhaseWish]) -> None:
    """Those that are named by id stay themselves; one with evaluations cannot go."""
    kept = {phase.pk: phase for phase in benchmark.phases.all()}
    wanted = [wish.id for wish in wishes if wish.id in kept]
    gone = [phase for pk, phase in kept.items() if pk not in wanted]
    for phase in gone:
        if phase.evaluations.exists():
            raise BenchmarkProblems(
                {"phases": [f"{phase.name} has evaluations: delete them first, or keep the phase."]}
            )
        phase.delete()
    for aside, pk in enumerate(wanted, 1 + len(wishes) + len(kept)):  # places are unique
        Phase.objects.filter(pk=pk).update(position=aside, name=f"\x01{pk}")
    for position, wish in enumerate(wishes, 1):
        values = {
            "position": position,
            "name": " ".join(wish.name.split()),
            "starts_at": wish.starts_at,
            "ends_at": wish.ends_at,
            "sections": list(wish.sections),
            "limit": wish.limit,
            "most_runs": wish.most_runs,
            "most_per": wish.most_per,
        }
        if wish.id in kept:
            Phase.objects.filter(pk=kept[wish.id].pk).update(**values)
        else:
            Phase.objects.create(benchmark=benchmark, **values)


def benchmark_archive(access: Access, benchmark: Benchmark, archived: bool = True) -> None:
    """An archived benchmark keeps its leaderboard, and takes no evaluations."""
    benchmark.archived_at = timezone.now() if archived else None
    benchmark.save(update_fields=["archived_at"])
    audit.record(access, "benchmark.archive" if archived else "benchmark.unarchive", benchmark.name)


def benchmark_publish(access: Access, benchmark: Benchmark, public: bool) -> None:
    """Turns the public link on with a new secret, or off; the old link is then dead."""
    benchmark.public_token = secrets.token_urlsafe(32) if public else ""
    benchmark.save(update_fields=["public_token"])
    audit.record(access, "benchmark.publish" if public else "benchmark.unpublish", benchmark.name)


def benchmark_delete(access: Access, benchmark: Benchmark) -> None:
    """With all its evaluations and their runs, for good."""
    for evaluation in list(benchmark.evaluations.select_related("evaluation")):
        benchmark_evaluation_delete(access, evaluation)
    with transaction.atomic():
        audit.record(access, "benchmark.delete", benchmark.name)
        Benchmark.objects.filter(pk=benchmark.pk).delete()
