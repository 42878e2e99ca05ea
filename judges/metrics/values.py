"""Mean and spread of the values that a scorer gave."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from judges.metrics import Estimate
from judges.metrics.bootstrap import PERCENTILE, Sums, bootstrap_interval
from judges.metrics.clustered import clustered_mean
from judges.metrics.trials import (
    ClusterOptions,
    ScoredTrial,
    TrialMetric,
    clusters_of,
    denominator,
    described,
    scored_only,
)


class Mean(TrialMetric[ClusterOptions]):
    key = "mean"
    title = "Mean score"
    description = (
        "The mean of the values, with a t interval on its standard error (clustered by epochs or key)."
    )
    unit = "value"

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = scored_only(trials)
        found = clustered_mean(
            [float(trial.value or 0) for trial in counted], clusters_of(counted, self.options.cluster)
        )
        return described(found, denominator(len(counted), "scored trials", trials), found.interval)


class StandardDeviation(TrialMetric[ClusterOptions]):
    key = "sd"
    title = "Standard deviation"
    description = "Of the values between trials: the sample's, with n − 1."
    unit = "value"

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = scored_only(trials)
        words = denominator(len(counted), "scored trials", trials)
        if len(counted) < 2:
            return Estimate(None, None, None, len(counted), denominator=words)
        values = np.array([float(trial.value or 0) for trial in counted])
        centred = values - values.mean()  # no digits are lost to a large mean
        rows = np.column_stack([np.ones(len(values)), centred, centred**2])
        low, high = bootstrap_interval(rows, clusters_of(counted, self.options.cluster), _spread)
        found = Estimate(float(values.std(ddof=1)), low, high, len(counted))
        return described(found, words, PERCENTILE)


def _spread(sums: Sums) -> float | None:
    n, total, squares = sums
    return sqrt(max(0.0, (squares - total * total / n) / (n - 1))) if n > 1 else None
