"""Strengths from pairwise verdicts, ties included: which answer a judge or a person preferred."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import softmax

from analysis.stats.bootstrap import LEAVE_OUTS, SEED, bca_interval
from analysis.stats.results import EMPTY, Floats, Integers, Interval, Labels, codes_of, no_interval

METHOD = "Bradley–Terry"
STEPS, TOLERANCE = 100, 1e-12
FARTHEST = 15.0
"""Log-strength, odds of three million: the search is on its way to infinity."""
LOST = 0.05
MANY_LOST = "too few comparisons: many resamples have no finite answer"


@dataclass(frozen=True, slots=True)
class Strengths:
    """`interval` by player: log-strength, mean 0 over players; +1 over another means odds of e to 1.

    `tie` is Davidson's ν: two equal players tie with probability ν / (2 + ν); 0 without ties. Without
    a finite answer there are no intervals, and `reason` says why.
    """

    interval: dict[str, Interval]
    tie: float | None
    n: int
    reason: str = ""

    def chance(self, first: str, second: str) -> float | None:
        """That the first is preferred to the second, a tie counted as half."""
        a, b = self.interval[first].value, self.interval[second].value
        if a is None or b is None or self.tie is None:
            return None
        win, lose, tie = np.exp(a - b), 1.0, self.tie * np.exp((a - b) / 2)
        return float((win + tie / 2) / (win + lose + tie))


def bradley_terry(
    first: Sequence[str],
    second: Sequence[str],
    outcome: Sequence[float],
    *,
    clusters: Labels | None = None,
    resamples: int = 1000,
    seed: int = SEED,
) -> Strengths:
    """Maximum likelihood over (n,) comparisons; outcome 1 the first won, 0 the second, 0.5 a tie.

    Bradley & Terry 1952; ties by Davidson 1970 (JASA 65:317): win, lose and tie weigh π₁, π₂ and
    ν√(π₁π₂). Newton's method on log-strengths, where the likelihood is concave. Intervals: a bootstrap
    over comparisons, or over `clusters` such as the items both orders were shown for, bias-corrected
    and accelerated (Efron 1987).
    A finite answer needs a win or tie across every split of the players in each direction (Ford 1957);
    otherwise the reason names the smaller side.
    """
    names = sorted({*first, *second})
    cells = _Cells.of(names, first, second, outcome)
    n = len(cells.kind)
    if n == 0:
        return Strengths({}, None, 0, EMPTY)
    fitted = fit(cells.counts(np.ones(n)), len(names))
    if fitted is None:
        reason = cells.why_not(names)
        return Strengths({name: no_interval(None, n, METHOD, reason) for name in names}, None, n, reason)
    drawn = _replicates(cells, fitted, clusters, resamples, np.random.default_rng(seed))
    known = drawn[np.isfinite(drawn).all(axis=1)]
    few = len(known) < (1 - LOST) * resamples
    without = known if few else _left_out(cells, fitted, clusters)
    strengths = {
        name: no_interval(float(fitted[at]), n, METHOD, MANY_LOST) if few
        else replace(bca_interval(float(fitted[at]), known[:, at], without[:, at], n), method=METHOD)
        for at, name in enumerate(names)
    }  # fmt: skip
    return Strengths(strengths, float(fitted[-1]), n)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Comparisons by kind: which pair of players, and who won."""

    kind: Integers
    kinds: Integers
    players: int

    @classmethod
    def of(
        cls, names: list[str], first: Sequence[str], second: Sequence[str], outcome: Sequence[float]
    ) -> "_Cells":
        if not len(first) == len(second) == len(outcome):
            raise ValueError("one outcome per pair of players")
        if not set(outcome) <= {0, 0.5, 1}:
            raise ValueError("an outcome is 1, 0.5 or 0")
        place = {name: at for at, name in enumerate(names)}
        rows = [
            (place[a], place[b], 1) if won == 1 else (place[b], place[a], 1) if won == 0
            else (min(place[a], place[b]), max(place[a], place[b]), 0)
            for a, b, won in zip(first, second, outcome, strict=True)
        ]  # fmt: skip
        if any(winner == loser for winner, loser, _ in rows):
            raise ValueError("a player does not meet itself")
        table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        kinds, kind = np.unique(table, axis=0, return_inverse=True)
        return cls(kind.reshape(-1).astype(np.int64), kinds, len(names))

    def counts(self, weight: Floats) -> Floats:
        """(players, players, 2): wins of one over another, and ties, from a weight per comparison."""
        sums = np.bincount(self.kind, weights=weight, minlength=len(self.kinds))
        found = np.zeros((self.players, self.players, 2))
        found[self.kinds[:, 0], self.kinds[:, 1], 1 - self.kinds[:, 2]] = sums
        return found

    def why_not(self, names: list[str]) -> str:
        counts = self.counts(np.ones(len(self.kind)))
        count, group = _groups(counts)
        if count == 1:
            return "too few comparisons: no finite strength"
        smallest = np.bincount(group).argmin()
        few = ", ".join(name for name, at in zip(names, group, strict=True) if at == smallest)
        return f"{few} never lost to, or never won against, the others: no finite strength"


def _groups(counts: Floats) -> tuple[int, Integers]:
    """Strongly connected players: an edge from each winner to each loser, both ways for a tie."""
    ties = counts[:, :, 1]
    edges = coo_matrix((counts[:, :, 0] + ties + ties.T) > 0)
    count, group = connected_components(edges, directed=True, connection="strong")
    return int(count), group.astype(np.int64)


def fit(counts: Floats, players: int, near: Floats | None = None) -> Floats | None:
    """(players + 1,): log-strengths with mean 0, then Davidson's ν (1970). None where none is finite.

    `near` is an earlier answer to start from.
    """
    wins, ties = counts[:, :, 0], counts[:, :, 1]
    if _groups(counts)[0] > 1 or not wins.any():
        return None
    a, b = np.triu_indices(players, 1)
    seen = np.stack([wins[a, b], wins[b, a], ties[a, b] + ties[b, a]], axis=1)
    met = seen.sum(axis=1) > 0
    features = _features(a[met], b[met], players, tied=bool(ties.any()))
    start = np.zeros(players + 1) if near is None else np.append(near[:players], np.log(near[players] or 1))
    found = _newton(features, seen[met], start)
    if found is None:
        return None
    strengths = found[:players] - found[:players].mean()
    return np.append(strengths, np.exp(found[players]) if ties.any() else 0.0)


def _features(a: Integers, b: Integers, players: int, *, tied: bool) -> Floats:
    """(pairs, 3 outcomes, players + 1): the log-weight of an outcome is its features times the parameters."""
    rows = np.arange(len(a))
    found = np.zeros((len(a), 3 if tied else 2, players + (1 if tied else 0)))
    found[rows, 0, a] = 1
    found[rows, 1, b] = 1
    if tied:
        found[rows, 2, a] = found[rows, 2, b] = 0.5
        found[rows, 2, players] = 1
    return found


def _newton(features: Floats, seen: Floats, start: Floats) -> Floats | None:
    """Maximises the multinomial likelihood; the direction that changes nothing is fixed by least squares."""
    seen = seen[:, : features.shape[1]]
    flat, totals = features.reshape(-1, features.shape[2]), seen.sum(axis=1)
    sums, found = seen.reshape(-1) @ flat, start[: features.shape[2]]
    for _ in range(STEPS):
        chance = softmax((flat @ found).reshape(seen.shape), axis=1)
        mean = (chance[:, None, :] @ features)[:, 0, :]
        slope = sums - totals @ mean
        if np.abs(slope).max() < TOLERANCE * max(1.0, totals.sum()):
            return found if np.abs(found).max() < FARTHEST else None
        second = flat.T @ ((totals[:, None] * chance).reshape(-1, 1) * flat)
        bend = second - mean.T @ (totals[:, None] * mean)
        step = np.linalg.lstsq(bend, slope, rcond=1e-10)[0]
        found = found + step / max(1.0, float(np.abs(step).max()) / 2)
    return None


def _replicates(
    cells: _Cells, near: Floats, clusters: Labels | None, resamples: int, chance: np.random.Generator
) -> Floats:
    """(resamples, players + 1), NaN where a resample has no finite answer."""
    n = len(cells.kind)
    codes, count = codes_of(np.arange(n) if clusters is None else clusters, "clusters")
    if len(codes) != n:
        raise ValueError(f"one cluster per comparison: {len(codes):,} for {n:,}")
    found = np.full((resamples, cells.players + 1), np.nan)
    for at in range(resamples):
        weight = np.bincount(chance.integers(0, count, count), minlength=count)[codes]
        fitted = fit(cells.counts(weight.astype(np.float64)), cells.players, near)
        if fitted is not None:
            found[at] = fitted
    return found


def _left_out(cells: _Cells, near: Floats, clusters: Labels | None) -> Floats:
    """The jackknife, a row for each comparison or block of clusters left out; NaN without a finite answer.

    Without clusters, comparisons of a kind are alike, so one answer a kind will do.
    """

    def without(gone: npt.NDArray[np.bool_]) -> Floats:
        fitted = fit(cells.counts((~gone).astype(np.float64)), cells.players, near)
        return np.full(cells.players + 1, np.nan) if fitted is None else fitted

    if clusters is None:
        first = np.unique(cells.kind, return_index=True)[1]
        by_kind = np.stack([without(np.arange(len(cells.kind)) == at) for at in first])
        return by_kind[cells.kind]
    codes, count = codes_of(clusters, "clusters")
    blocks = np.array_split(np.arange(count), min(count, LEAVE_OUTS))
    return np.stack([without(np.isin(codes, block)) for block in blocks])
