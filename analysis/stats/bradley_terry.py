"""Strengths from pairwise verdicts, ties included: which answer a judge or a person preferred."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import softmax

from analysis.stats.bootstrap import SEED, bca_interval
from analysis.stats.results import EMPTY, Floats, Integers, Interval, Labels, codes_of, no_interval

METHOD = "Bradley–Terry"
STEPS, TOLERANCE = 100, 1e-12
FARTHEST = 15.0
"""Between log-strengths, odds of three million: the search is on its way to infinity."""
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
    fitted = fit(cells.counts(cells.sizes()), len(names))[0]
    if not np.isfinite(fitted).all():
        reason = cells.why_not(names)
        return Strengths({name: no_interval(None, n, METHOD, reason) for name in names}, None, n, reason)
    units = cells.units(clusters)
    drawn = _replicates(cells, units, fitted, resamples, np.random.default_rng(seed))
    known = drawn[np.isfinite(drawn).all(axis=1)]
    few = len(known) < (1 - LOST) * resamples
    without = known if few else _left_out(cells, units, fitted)
    strengths = {
        name: no_interval(float(fitted[at]), n, METHOD, MANY_LOST) if few
        else replace(bca_interval(float(fitted[at]), known[:, at], without[:, at], n), method=METHOD)
        for at, name in enumerate(names)
    }  # fmt: skip
    return Strengths(strengths, float(fitted[-1]), n)


@dataclass(frozen=True, slots=True)
class _Units:
    """What is drawn: `holds` counts a unit's comparisons by kind, and `times` units are of that sort."""

    holds: Floats
    times: Integers


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

    def sizes(self) -> Floats:
        """(1, kinds): how many comparisons are of each kind."""
        return np.bincount(self.kind, minlength=len(self.kinds)).astype(np.float64)[None]

    def counts(self, sizes: Floats) -> Floats:
        """(r, players, players, 2): wins of one over another, and ties, from (r, kinds) counts."""
        found = np.zeros((len(sizes), self.players, self.players, 2))
        found[:, self.kinds[:, 0], self.kinds[:, 1], 1 - self.kinds[:, 2]] = sizes
        return found

    def units(self, clusters: Labels | None) -> _Units:
        """Single comparisons, of which those of a kind are alike, or whole clusters."""
        if clusters is None:
            return _Units(np.eye(len(self.kinds)), self.sizes()[0].astype(np.int64))
        codes, count = codes_of(clusters, "clusters")
        if len(codes) != len(self.kind):
            raise ValueError(f"one cluster per comparison: {len(codes):,} for {len(self.kind):,}")
        holds = np.zeros((count, len(self.kinds)))
        np.add.at(holds, (codes, self.kind), 1)
        sorts, times = np.unique(holds, axis=0, return_counts=True)
        return _Units(sorts, times.astype(np.int64))

    def why_not(self, names: list[str]) -> str:
        wins, ties = np.moveaxis(self.counts(self.sizes())[0], 2, 0)
        count, group = connected_components(
            coo_matrix((wins + ties + ties.T) > 0), directed=True, connection="strong"
        )
        if count == 1:
            return "too few comparisons: no finite strength"
        smallest = np.bincount(group).argmin()
        few = ", ".join(name for name, at in zip(names, group, strict=True) if at == smallest)
        return f"{few} never lost to, or never won against, the others: no finite strength"


def _decidable(counts: Floats) -> npt.NDArray[np.bool_]:
    """(r,): somebody won, and each reaches every other by wins, ties counting both ways (Ford 1957)."""
    wins, ties = counts[..., 0], counts[..., 1]
    reach = ((wins + ties + np.swapaxes(ties, 1, 2)) > 0) | np.eye(counts.shape[1], dtype=bool)
    for _ in range(max(1, counts.shape[1] - 1).bit_length()):
        reach = (reach.astype(np.float64) @ reach) > 0
    return np.asarray(reach.all(axis=(1, 2)) & wins.any(axis=(1, 2)))


def fit(counts: Floats, players: int, near: Floats | None = None) -> Floats:
    """(r, players + 1): log-strengths with mean 0, then Davidson's ν (1970); NaN where none is finite.

    `counts` as from `_Cells.counts`, each of r tables by itself. `near` is an earlier answer to start from.
    """
    found = np.full((len(counts), players + 1), np.nan)
    tied = counts[..., 1].any(axis=(1, 2))
    start = np.zeros(players + 1) if near is None else np.append(near[:players], np.log(near[players] or 1))
    for with_ties in (False, True):
        rows = np.flatnonzero(_decidable(counts) & (tied == with_ties))
        if not len(rows):
            continue
        features, seen = _likelihood(counts[rows], players, tied=with_ties)
        best = _newton(features, seen, start[: features.shape[2]])
        found[rows, :players] = best[:, :players] - best[:, :players].mean(axis=1, keepdims=True)
        found[rows, players] = np.exp(best[:, players]) if with_ties else best[:, 0] * 0
    return found


def _likelihood(counts: Floats, players: int, *, tied: bool) -> tuple[Floats, Floats]:
    """(pairs, outcomes, parameters): the log-weight of an outcome is its features times the parameters;
    and (r, pairs, outcomes): how often each was seen."""
    a, b = np.triu_indices(players, 1)
    wins, ties = counts[..., 0], counts[..., 1]
    seen = np.stack([wins[:, a, b], wins[:, b, a], ties[:, a, b] + ties[:, b, a]], axis=2)
    rows = np.arange(len(a))
    found = np.zeros((len(a), 3 if tied else 2, players + (1 if tied else 0)))
    found[rows, 0, a] = 1
    found[rows, 1, b] = 1
    if tied:
        found[rows, 2, a] = found[rows, 2, b] = 0.5
        found[rows, 2, players] = 1
    return found, seen[:, :, : found.shape[1]]


def _newton(features: Floats, seen: Floats, start: Floats) -> Floats:
    """Maximises each table's multinomial likelihood, (r, parameters); NaN where it has no finite maximum.

    Adding 1 to the curvature along the direction that changes nothing fixes it without moving the rest.
    """
    outcomes, size = features.shape[1], features.shape[2]
    flat, totals = features.reshape(-1, size), seen.sum(axis=2)
    sums, found = seen.reshape(len(seen), -1) @ flat, np.tile(start, (len(seen), 1))
    players = features[:, 0].sum(axis=0) + features[:, 1].sum(axis=0) > 0
    still = np.outer(players, players) + 1e-12 * np.eye(size)
    best, open_ = np.full_like(found, np.nan), np.arange(len(seen))
    for _ in range(STEPS):
        x, n = found[open_], totals[open_]
        chance = softmax((x @ flat.T).reshape(len(x), -1, outcomes), axis=2)
        weight = (n[:, :, None] * chance).reshape(len(x), -1)
        slope = sums[open_] - weight @ flat
        done = np.abs(slope).max(axis=1) < TOLERANCE * np.maximum(1.0, n.sum(axis=1))
        best[open_[done]] = x[done]
        mean = np.einsum("rpo,pok->rpk", chance, features)
        bend = np.einsum("rm,mk,ml->rkl", weight, flat, flat) - np.einsum("rp,rpk,rpl->rkl", n, mean, mean)
        step = np.linalg.solve(bend + still, slope[:, :, None])[:, :, 0]
        x = x + step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True) / 2)
        found[open_] = x
        open_ = open_[~done & (np.ptp(x, axis=1) < FARTHEST)]
        if not len(open_):
            break
    best[np.ptp(best, axis=1) >= FARTHEST] = np.nan
    return best


def _replicates(
    cells: _Cells, units: _Units, near: Floats, resamples: int, chance: np.random.Generator
) -> Floats:
    """(resamples, players + 1), NaN where a resample has no finite answer."""
    count = int(units.times.sum())
    drawn = chance.multinomial(count, units.times / count, size=resamples)
    return fit(cells.counts(drawn @ units.holds), cells.players, near)


def _left_out(cells: _Cells, units: _Units, near: Floats) -> Floats:
    """The jackknife: a row for each unit left out, NaN without a finite answer; like units are alike."""
    without = fit(cells.counts(cells.sizes() - units.holds), cells.players, near)
    return np.repeat(without, units.times, axis=0)
