"""Before a launch: the smallest difference to a baseline that it would show, and what asking more would buy.

From what earlier runs on the same version say of the spread, else from a stated assumption; the words
that go with each figure say which.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.outcomes import Outcomes, originals_of
from analysis.stats.paired import Pairs, pairs_of
from analysis.stats.power import Design, Detectable, paired_epochs, paired_verdicts, paired_verdicts_like
from datasets.models import DatasetVersion
from runs.models import Run, RunStatus
from runs.variations import DRAFTING_LABEL

BASELINES = 20
SHARED = 0.5  # of the verdicts' variance, where no two earlier runs tell
MOST_DIFFERING = 0.5
UNKNOWN_EPOCHS = (
    "What epochs buy is known once the baseline has asked each item several times: "
    "they lessen chance within an item, not that between items."
)

NO_EPOCHS = "The baseline's variants are left out: they are other prompts, not epochs."


@dataclass(frozen=True)
class Advice:
    """`now` is for the launch as it stands, the others for twice as much; no epochs where nothing tells."""

    baseline: Run | None
    items: int
    epochs: int
    now: Detectable
    twice_items: Detectable
    twice_epochs: Detectable | None
    note: str = ""


def baselines(version: DatasetVersion) -> list[Run]:
    """Finished runs on this version, newest first, with their tallies."""
    runs = Run.objects.filter(dataset_version=version, judged=None, status=RunStatus.COMPLETED, done__gt=0)
    runs = runs.exclude(label=DRAFTING_LABEL)
    return list(runs.prefetch_related("tallies").order_by("-id")[:BASELINES])


def advise(runs: Sequence[Run], baseline: Run | None, items: int, epochs: int) -> Advice:
    """`runs` are those of `baselines`; `items` each run would ask."""
    found = _verdicts(baseline) if baseline else None
    others = [each for run in runs if run != baseline and (each := _verdicts(run)) is not None]
    once = _design(found, others[:1], 1)
    tells = found is not None and found.epochs > 1
    own = _design(found, others[:1], epochs) if tells else once
    return Advice(
        baseline if found is not None else None,
        items,
        epochs,
        now=own.detectable(items),
        twice_items=own.detectable(2 * items),
        twice_epochs=_design(found, others[:1], 2 * epochs).detectable(items) if tells else None,
        note=" ".join(_notes(baseline if found is not None else None, tells)),
    )


def _notes(baseline: Run | None, tells: bool) -> Iterator[str]:
    if baseline is not None and baseline.variants.variants:
        yield NO_EPOCHS
    if not tells:
        yield UNKNOWN_EPOCHS


def _verdicts(run: Run) -> Outcomes | None:
    """By the run's first scorer, where that passes or fails; of items as they are, without variants."""
    names = run.scorer_names
    found = originals_of(run, names[0]) if names else None
    return found if found is not None and found.verdicts and found.scored > 1 else None


def _design(baseline: Outcomes | None, others: Sequence[Outcomes], epochs: int) -> Design:
    if baseline is None:
        return paired_verdicts(
            MOST_DIFFERING * SHARED, "no baseline: a quarter of the verdicts taken to differ"
        )
    right = baseline.right[~np.isnan(baseline.right)]
    if baseline.epochs > 1:
        return _with_epochs(right, baseline.epochs, epochs)
    pairs = _pairs(baseline, others[0]) if others else None
    if pairs is not None and pairs.n > 1:
        return paired_verdicts_like(pairs)
    share = float(right.mean())
    return paired_verdicts(
        2 * share * (1 - share) * SHARED, f"the baseline's {share:.0%} right, half of whose spread is shared"
    )


def _with_epochs(right: "np.typing.NDArray[np.float64]", asked: int, epochs: int) -> Design:
    """From the baseline's variance within and between items; half of the latter is taken to be shared."""
    within = float((right * (1 - right)).mean()) * asked / (asked - 1)
    between = max(0.0, float(right.var(ddof=1)) - within / asked) if len(right) > 1 else 0.0
    design = paired_epochs(2 * between * SHARED, within, within, (epochs, asked))
    return Design(design.deviation, basis=f"{len(right):,} items that the baseline asked {asked} times")


def _pairs(first: Outcomes, second: Outcomes) -> Pairs | None:
    """Of items that both scored once."""
    if second.epochs > 1:
        return None
    _, mine, theirs = np.intersect1d(first.items, second.items, return_indices=True)
    a, b = first.right[mine], second.right[theirs]
    known = ~np.isnan(a) & ~np.isnan(b)
    return pairs_of(a[known], b[known])
