"""F1 over labels: macro (each label counts the same) and micro (each trial does)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from judges.metrics import Estimate
from judges.metrics.bootstrap import PERCENTILE, Sums, bootstrap_interval
from judges.metrics.trials import ClusterOptions, ScoredTrial, TrialMetric, clusters_of, described
from judges.options import option
from judges.scorers.normalise import normalise

MOST_LABELS = 500


@dataclass(frozen=True)
class LabelF1Options(ClusterOptions):
    average: str = option(
        "macro",
        help="How labels are put together",
        choices={
            "macro": "Macro: the mean of the labels' F1",
            "micro": "Micro: from the labels' summed counts",
        },
    )


class LabelF1(TrialMetric[LabelF1Options]):
    key = "f1"
    title = "F1 over labels"
    description = (
        "Of the answer as a label against the reference, over the labels that occur as a reference. An "
        "answer that is none of them, or none at all, misses its label."
    )
    Options = LabelF1Options

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = [trial for trial in trials if trial.references and not trial.errored]
        wanted, given = [_wanted(trial) for trial in counted], [normalise(trial.answer) for trial in counted]
        labels = sorted(set(wanted))
        words = f"{len(counted):,} trials with a reference over {len(labels):,} labels"
        if not labels or len(labels) > MOST_LABELS:
            why = f"; more than {MOST_LABELS:,} labels are no labels" if labels else ""
            return Estimate(None, None, None, len(counted), denominator=words + why)
        foreign = sum(each not in set(labels) for each in given)
        left_out = sum(trial.errored for trial in trials)
        if foreign:
            words += f"; {foreign:,} answers are none of the labels and count as misses"
        if left_out:
            words += f"; {left_out:,} errored not counted"
        rows = confusion_rows(wanted, given, labels)
        figure = macro_f1 if self.options.average == "macro" else micro_f1
        low, high = bootstrap_interval(rows, clusters_of(counted, self.options.cluster), figure)
        return described(Estimate(figure(rows.sum(axis=0)), low, high, len(counted)), words, PERCENTILE)


def _wanted(trial: ScoredTrial) -> str:
    """The reference that the answer equals, else the first one."""
    labels = [normalise(reference) for reference in trial.references]
    answer = normalise(trial.answer)
    return answer if answer in labels else labels[0]


def confusion_rows(
    wanted: Sequence[str], given: Sequence[str], labels: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Trials × (hits of each label, then how often it was given, then how often it was wanted)."""
    place = {label: at for at, label in enumerate(labels)}
    rows = np.zeros((len(wanted), 3 * len(labels)))
    for row, true, said in zip(rows, wanted, given, strict=True):
        row[2 * len(labels) + place[true]] = 1
        if said in place:
            row[len(labels) + place[said]] = 1
            row[place[said]] = said == true
    return rows


def macro_f1(sums: Sums) -> float | None:
    """The mean over labels that were wanted or given at all."""
    hits, given, wanted = np.split(sums, 3)
    seen = given + wanted > 0
    return float((2 * hits[seen] / (given[seen] + wanted[seen])).mean()) if seen.any() else None


def micro_f1(sums: Sums) -> float | None:
    hits, given, wanted = (float(part.sum()) for part in np.split(sums, 3))
    return 2 * hits / (given + wanted) if given + wanted else None
