"""Shares of trials: right, exactly right, answered."""

from collections.abc import Sequence

from judges.metrics import Estimate
from judges.metrics.clustered import clustered_share
from judges.metrics.trials import (
    ClusterOptions,
    ScoredTrial,
    TrialMetric,
    clusters_of,
    denominator,
    described,
    scored_only,
)
from judges.scorers.exact_match import ExactMatch, ExactMatchOptions


class Accuracy(TrialMetric[ClusterOptions]):
    key = "accuracy"
    title = "Accuracy"
    description = "The share of scored trials that passed."

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = [trial for trial in scored_only(trials) if trial.passed is not None]
        found = clustered_share(
            [float(bool(trial.passed)) for trial in counted], clusters_of(counted, self.options.cluster)
        )
        return described(found, denominator(len(counted), "scored trials", trials), found.interval)


class ExactMatchShare(TrialMetric[ClusterOptions]):
    key = "exact_match"
    title = "Exact match"
    description = (
        "The share of trials whose answer equals a reference after normalising, as that scorer does."
    )
    comparing = ExactMatch(ExactMatchOptions())

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = [trial for trial in trials if trial.references and not trial.errored]
        found = clustered_share(
            [float(self.equal(trial)) for trial in counted], clusters_of(counted, self.options.cluster)
        )
        errored = sum(trial.errored for trial in trials)
        without = sum(not trial.references and not trial.errored for trial in trials)
        out = [f"{n:,} {what}" for n, what in ((without, "without reference"), (errored, "errored")) if n]
        words = f"{len(counted):,} responses with a reference, empty ones too"
        return described(found, words + (f"; {' and '.join(out)} not counted" if out else ""), found.interval)

    def equal(self, trial: ScoredTrial) -> bool:
        given = trial.answer or trial.response
        if not given.strip():
            return False
        plain = self.comparing.comparable(given)
        return any(self.comparing.comparable(each) == plain for each in trial.references)


class AnswerRate(TrialMetric[ClusterOptions]):
    key = "answer_rate"
    title = "Answer rate"
    description = "The share of responses that are not empty."

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = [trial for trial in trials if not trial.errored]
        found = clustered_share(
            [float(bool(trial.response.strip())) for trial in counted],
            clusters_of(counted, self.options.cluster),
        )
        errored = len(trials) - len(counted)
        words = f"{len(counted):,} responses, empty ones too" + (
            f"; {errored:,} errored not counted" if errored else ""
        )
        return described(found, words, found.interval)
