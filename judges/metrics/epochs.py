"""Figures over the epochs of each item: any of k right, all of k right, the majority right.

An item is what n counts; items of one cluster widen the interval.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from judges.metrics import Estimate
from judges.metrics.clustered import clustered_share
from judges.metrics.trials import (
    ClusterOptions,
    ScoredTrial,
    TrialMetric,
    clusters_of,
    described,
    grouped,
    scored_only,
)
from judges.options import option
from judges.scorers.normalise import normalise


@dataclass(frozen=True)
class KOptions(ClusterOptions):
    k: int = option(1, help="How many of an item's epochs are drawn")


class _OfK(TrialMetric[KOptions]):
    Options = KOptions

    @classmethod
    def check(cls, options: KOptions) -> Mapping[str, str]:
        return {} if 1 <= options.k <= 1_000 else {"k": "must be from 1 to 1,000"}

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        k = self.options.k
        items = _by_item(trials)
        enough = {item: group for item, group in items.items() if len(group) >= k}
        shares = [
            self.share(len(group), sum(bool(trial.passed) for trial in group), k) for group in enough.values()
        ]
        found = clustered_share(shares, clusters_of([g[0] for g in enough.values()], self.options.cluster))
        words = f"{len(enough):,} items with at least {k} scored epoch{'s' * (k > 1)}"
        few = len({trial.item for trial in trials}) - len(enough)
        return described(found, words + (f"; {few:,} with fewer not counted" if few else ""), found.interval)

    @staticmethod
    @abstractmethod
    def share(n: int, c: int, k: int) -> float:
        """Over all ways to draw k of n epochs of which c passed. 1 ≤ k ≤ n."""


class PassAtK(_OfK):
    key = "pass_at_k"
    title = "pass@k"
    description = (
        "The share of items where at least one of k epochs passes; unbiased (arXiv 2107.03374, eq. 1)."
    )

    @staticmethod
    def share(n: int, c: int, k: int) -> float:
        return 1 - comb(n - c, k) / comb(n, k)


class PassHatK(_OfK):
    key = "pass_hat_k"
    title = "pass^k"
    description = "The share of items where all of k epochs pass; unbiased (arXiv 2406.12045, §3)."

    @staticmethod
    def share(n: int, c: int, k: int) -> float:
        return comb(c, k) / comb(n, k)


class MajorityVote(TrialMetric[ClusterOptions]):
    key = "majority_vote"
    title = "Majority vote"
    description = (
        "The share of items whose most frequent answer passes; of answers as frequent, the one that came "
        "first. Epochs without an answer do not vote."
    )

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        items = _by_item(trials)
        hits = [float(_majority_passes(group)) for group in items.values()]
        found = clustered_share(hits, clusters_of([g[0] for g in items.values()], self.options.cluster))
        epochs = sorted({len(group) for group in items.values()})
        spread = (
            " to ".join(str(count) for count in dict.fromkeys((epochs[0], epochs[-1]))) if epochs else "0"
        )
        few = len({trial.item for trial in trials}) - len(items)
        words = f"{len(items):,} items with {spread} scored epoch{'s' * (spread != '1')} each"
        return described(found, words + (f"; {few:,} with none not counted" if few else ""), found.interval)


def _by_item(trials: Sequence[ScoredTrial]) -> dict[Any, list[ScoredTrial]]:
    """Scored trials of each item in the order of its epochs."""
    scored = sorted(
        (trial for trial in scored_only(trials) if trial.passed is not None), key=lambda trial: trial.epoch
    )
    return grouped(scored, [trial.item for trial in scored])


def _majority_passes(group: Sequence[ScoredTrial]) -> bool:
    voting = [trial for trial in group if trial.answer.strip()]
    if not voting:
        return False
    camps = grouped(voting, [normalise(trial.answer) for trial in voting])
    return bool(max(camps.values(), key=len)[0].passed)  # the first of the largest
