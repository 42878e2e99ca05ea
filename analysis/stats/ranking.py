"""Places with their uncertainty: who beats whom decides how far up or down each could stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.stats.multiplicity import holm
from analysis.stats.results import Difference


@dataclass(frozen=True, slots=True)
class RankInterval:
    """From the best place to the worst that the tests leave open, both from 1."""

    best: int
    worst: int


def rank_intervals(
    count: int, differences: Mapping[tuple[int, int], Difference], *, level: float = 0.05
) -> list[RankInterval]:
    """Places of `count` systems from all pairwise tests, Holm-adjusted, so that all hold at once (Mogstad,
    Romano, Shaikh & Wilhelm 2024, Review of Economic Studies 91:476).

    `differences[i, j]` is j − i for i < j. One system beats another when the adjusted p is below `level`;
    its place runs from 1 + those that beat it to count − those that it beats. A pair without a test
    decides nothing. Systems that share a place are tied.
    """
    wanted = list(combinations(range(count), 2))
    if set(differences) != set(wanted):
        raise ValueError("one difference per pair of systems, the lower number first")
    adjusted = holm([differences[pair].test.p for pair in wanted])
    beaten, beats = [0] * count, [0] * count
    for pair, p in zip(wanted, adjusted, strict=True):
        value = differences[pair].interval.value
        if p is None or p >= level or not value:
            continue
        winner, loser = (pair[1], pair[0]) if value > 0 else pair
        beats[winner] += 1
        beaten[loser] += 1
    return [RankInterval(1 + beaten[at], count - beats[at]) for at in range(count)]


def places(ranks: Sequence[RankInterval]) -> list[str]:
    """As on the page: "1–3", or "6" where only one place is left."""
    return [str(rank.best) if rank.best == rank.worst else f"{rank.best}–{rank.worst}" for rank in ranks]
