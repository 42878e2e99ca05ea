"""Two to eight runs on the items they share: what is common, what was left out, what differs.

Reads are scoped to a workspace. One query finds the runs and one their tallies; then one a run, and one
for the sections. All figures use the items that every run has scored, so that they describe the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.kept import kept
from analysis.outcomes import Code, Outcomes, Words, answers_of, contents_of, outcomes_of, sections_of
from analysis.stats.intervals import t_interval, wilson
from analysis.stats.multiplicity import holm
from analysis.stats.paired import mean_of_runs, paired_binary, paired_mean, pairs_of
from analysis.stats.results import Difference, Floats, Integers, Interval
from analysis.stats.sensitivity import PairedBounds, paired_bounds
from runs.metrics import weighs
from runs.models import Run
from runs.selectors import listed, with_counters
from workspaces.models import Workspace

LEAST, MOST = 2, 8
NO_SECTION = -1
Mask = npt.NDArray[np.bool_]


class RunsMissing(LookupError):
    """No such run in this workspace, whoever may have one elsewhere."""


class NotComparable(ValueError):
    """Why these runs cannot be compared, in words for people."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Items of one run that the figures leave out, by reason.

    `elsewhere` are not in every run's dataset; the others are, but this run gave them no score.
    `by_others` it scored, another did not.
    """

    elsewhere: int
    unscored: int
    errored: int
    canceled: int
    waiting: int
    by_others: int

    @property
    def total(self) -> int:
        return self.elsewhere + self.unscored + self.errored + self.canceled + self.waiting + self.by_others


@dataclass(frozen=True, slots=True)
class Pair:
    """Run `second` minus run `first`, by place; p adjusted by Holm over all pairs of the comparison."""

    first: int
    second: int
    difference: Difference
    p: float | None


@dataclass(frozen=True, slots=True)
class SectionRow:
    """The baseline's figure in a section, and each other run's difference from it (None for itself)."""

    name: str
    n: int
    baseline: Interval
    differences: Sequence[Difference | None]


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Places of items within the comparison, ascending. Cursors are item ids of the baseline, or None."""

    places: Integers
    total: int
    newer: int | None
    older: int | None


@dataclass(frozen=True)
class Comparison:
    """Runs in the order asked for, the first is the baseline unless told.

    Over the m items that all runs hold: `items` (m, runs) ids, `right` (m, runs) shares of scored epochs
    that passed, `scores` the same or mean values, NaN where there is none; `section` (m,) places in
    `section_names`. Ascending by the first run's item id. `verdicts`: scores are shares right.
    """

    runs: Sequence[Run]
    scorer: str
    verdicts: bool
    items: Integers
    right: Floats
    scores: Floats
    left_out: Sequence[LeftOut]
    section_names: Sequence[str]
    section: Integers

    @property
    def so_far(self) -> bool:
        return any(not run.is_finished for run in self.runs)

    @property
    def weighs(self) -> bool:
        """Whether items carry weights. A comparison does not use them: the page says so."""
        return weighs(self.runs)

    @cached_property
    def common(self) -> Mask:
        """(m,) of the items that every run has scored: what all figures use."""
        return np.asarray(~np.isnan(self.scores).any(axis=1))

    @cached_property
    def n(self) -> int:
        return int(self.common.sum())

    @cached_property
    def binary(self) -> bool:
        """Whether every item is simply right or wrong; several epochs give shares between."""
        known = self.scores[self.common]
        return self.verdicts and bool(((known == 0) | (known == 1)).all())

    def figure(self, run: int, within: Mask | None = None) -> Interval:
        """The run's share or mean over the common items, or over those of a mask."""
        return self._figure(self.scores[self.common if within is None else self.common & within, run])

    def _figure(self, values: Floats) -> Interval:
        return wilson(int(values.sum()), len(values)) if self.binary else t_interval(values)

    def difference(self, first: int, second: int, within: Mask | None = None) -> Difference:
        """Second minus first: McNemar for verdicts, paired t for values and for means of epochs."""
        rows = self.common if within is None else self.common & within
        return self._difference(self.scores[rows, first], self.scores[rows, second])

    def _difference(self, a: Floats, b: Floats) -> Difference:
        return paired_binary(pairs_of(a, b)) if self.binary else paired_mean(a, b)

    def group_figure(self, group: Sequence[int]) -> Interval:
        """The mean of the runs in a group, item by item over the common items."""
        return t_interval(mean_of_runs(self.scores[self.common][:, group]))

    def group_difference(self, first: Sequence[int], second: Sequence[int]) -> Difference:
        """Of two groups' means, paired by item."""
        known = self.scores[self.common]
        return paired_mean(mean_of_runs(known[:, first]), mean_of_runs(known[:, second]))

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every pair, the earlier run first."""
        places = list(combinations(range(len(self.runs)), 2))
        found = [self.difference(first, second) for first, second in places]
        adjusted = holm([each.test.p for each in found])
        return [
            Pair(first, second, each, p)
            for (first, second), each, p in zip(places, found, adjusted, strict=True)
        ]

    def pair(self, first: int, second: int) -> Pair:
        """With the adjusted p of the same two runs, whichever way round."""
        known = next(each for each in self.pairs if {each.first, each.second} == {first, second})
        return known if known.first == first else Pair(first, second, self.difference(first, second), known.p)

    def sections(self, baseline: int = 0) -> list[SectionRow]:
        """In the dataset's order; items without a section, and a single section, give no row."""
        rows = []
        for code, name in enumerate(self.section_names if len(self.section_names) > 1 else ()):
            columns = self.scores[self.common & (self.section == code)].T
            home = columns[baseline]
            differences = [
                None if run == baseline else self._difference(home, column)
                for run, column in enumerate(columns)
            ]
            rows.append(SectionRow(name, len(home), self._figure(home), differences))
        return rows

    def bounds(self, first: int, second: int) -> PairedBounds | None:
        """What the items without a score could change; None where scores have no known ends."""
        if not self.verdicts:
            return None
        return paired_bounds(self.scores[:, first], self.scores[:, second])

    def picked(
        self,
        wanted: Sequence[bool | None],
        *,
        section: str | None = None,
        answers_differ: tuple[int, int] | None = None,
        disputed: tuple[str, Sequence[int]] | None = None,
    ) -> Mask:
        """(m,) of the common items that each run got right (True), wrong (False), or either (None).

        Fixed from A to B is (False, True), broken (True, False), both wrong (False, False). Of several
        epochs, right means all. `answers_differ` names two runs, `disputed` another scorer that decides
        otherwise on at least one of some runs; they cost a query a run, then none.
        """
        if len(wanted) != len(self.runs):
            raise NotComparable("one wish per run")
        found = self.common.copy()
        for run, right in enumerate(wanted):
            if right is not None:
                found &= (self.right[:, run] == 1) == right
        if section is not None:
            known = list(self.section_names)
            found &= self.section == (known.index(section) if section in known else NO_SECTION - 1)
        if answers_differ is not None:
            first, second = (self._answers(run) for run in answers_differ)
            found &= first != second
        if disputed is not None:
            other, places = disputed
            found &= np.any([self._disputed(run, other) for run in places], axis=0)
        return found

    def _disputed(self, run: int, other: str) -> Mask:
        held = outcomes_of(self.runs[run], other)
        at = np.searchsorted(held.items, self.items[:, run])
        right = held.right[at]
        return np.asarray(~np.isnan(right) & ((right == 1) != (self.right[:, run] == 1)))

    def _answers(self, run: int) -> Integers:
        items, hashes = answers_of(self.runs[run], self.scorer)
        if not len(items):
            return np.zeros(len(self.items), dtype=np.int64)
        at = np.minimum(np.searchsorted(items, self.items[:, run]), len(items) - 1)
        return np.where(items[at] == self.items[:, run], hashes[at], 0)

    def page(
        self, picked: Mask, *, size: int = 25, after: int | None = None, before: int | None = None
    ) -> ItemPage:
        """Up to `size` picked items beyond a cursor, an item id of the first run."""
        places = np.flatnonzero(picked)
        ids = self.items[places, 0]
        start = 0 if after is None else int(np.searchsorted(ids, after, side="right"))
        if before is not None:
            start = max(0, int(np.searchsorted(ids, before, side="left")) - size)
        end = min(start + size, len(ids))
        return ItemPage(
            places[start:end],
            total=len(ids),
            newer=int(ids[start]) if 0 < start < end else None,
            older=int(ids[end - 1]) if start < end < len(ids) else None,
        )


def compare(
    workspace: Workspace, run_ids: Sequence[int], scorer: str = "", *, values: bool = False
) -> Comparison:
    """The runs in the order given, by the scorer of that name, or by the first run's first.

    By shares right where the scorer passes or fails every answer, unless `values`; else by its values.

    Items meet by id within a dataset version, by content across versions. Raises RunsMissing for a run
    that this workspace has not, NotComparable for fewer than two or more than eight, or a scorer that a
    run has not.
    """
    wanted = list(dict.fromkeys(run_ids))
    if not LEAST <= len(wanted) <= MOST:
        raise NotComparable(f"Choose {LEAST} to {MOST} runs; these are {len(wanted)}.")
    known = {run.pk: run for run in with_counters(listed(workspace).filter(pk__in=wanted))}
    if missing := [run_id for run_id in wanted if run_id not in known]:
        raise RunsMissing(f"No run {missing[0]} in this workspace")
    runs = [known[run_id] for run_id in wanted]
    name = scorer or next(iter(scorers_of(runs[0])), "")
    for run in runs:
        if name not in scorers_of(run):
            has = ", ".join(scorers_of(run)) or "none"
            raise NotComparable(f"Run {run.pk} was not scored by {name or 'anything'}; its scorers: {has}.")
    return compare_runs(runs, name, values)


def compare_runs(runs: Sequence[Run], scorer: str, values: bool = False) -> Comparison:
    """Of runs that carry their tallies and were all scored by it."""
    return _joined(runs, scorer, [outcomes_of(run, scorer) for run in runs], values)


def scorers_of(run: Run) -> list[str]:
    """Names of what scored it, as configured, then judges that came later. Needs its tallies prefetched."""
    return list(dict.fromkeys([*run.scorer_names, *(tally.scorer for tally in run.tallies.all())]))


def _joined(runs: Sequence[Run], scorer: str, found: Sequence[Outcomes], values: bool) -> Comparison:
    rows = _meeting(runs, found)
    verdicts = all(each.verdicts for each in found) and not values
    held = list(zip(found, rows, strict=True))
    right = np.stack([each.right[at] for each, at in held], axis=1)
    scores = right if verdicts else np.stack([each.value[at] for each, at in held], axis=1)
    scored = ~np.isnan(scores)
    names, section = _sections(runs[0], found[0].items[rows[0]])
    return Comparison(
        runs=runs,
        scorer=scorer,
        verdicts=verdicts,
        items=np.stack([each.items[at] for each, at in held], axis=1),
        right=right,
        scores=scores,
        left_out=[
            _left_out(each, at, int((scored[:, run] & ~scored.all(axis=1)).sum()))
            for run, (each, at) in enumerate(held)
        ],
        section_names=names,
        section=section,
    )


def _sections(run: Run, items: Integers) -> tuple[list[str], Integers]:
    """Names of the sections that the items are in, and for each item its place among them."""
    names, known, codes = sections_of(run)
    if not len(known):
        return [], np.full(len(items), NO_SECTION)
    section = codes if np.array_equal(known, items) else codes[np.searchsorted(known, items)]
    held = np.flatnonzero(np.bincount(section, minlength=len(names)))
    if len(held) < len(names):
        places = np.zeros(len(names), dtype=np.int64)
        places[held] = np.arange(len(held))
        section = places[section]
    return [names[code] for code in held], section


def _meeting(runs: Sequence[Run], found: Sequence[Outcomes]) -> list[Integers]:
    """Per run, where its array holds the items that all runs have, in the first run's order."""
    alike = len({run.dataset_version_id for run in runs}) == 1
    if alike and all(np.array_equal(each.items, found[0].items) for each in found):
        return [np.arange(len(found[0].items))] * len(found)
    known = [(run.pk, run.created_at, len(each.items)) for run, each in zip(runs, found, strict=True)]
    return kept.of(("meeting", *known), lambda: _met(runs, found, by_id=alike))


def _met(runs: Sequence[Run], found: Sequence[Outcomes], by_id: bool) -> list[Integers]:
    """By the items' ids, or across versions by their contents: sorting is slow, and items of a run stay."""
    keys: list[npt.NDArray[Any]] = [
        each.items if by_id else _contents(run, each) for run, each in zip(runs, found, strict=True)
    ]
    shared = reduce(np.intersect1d, keys)
    places = []
    for key in keys:
        order = np.argsort(key)
        places.append(order[np.searchsorted(key, shared, sorter=order)])
    turn = np.argsort(places[0])
    return [place[turn] for place in places]


def _contents(run: Run, found: Outcomes) -> Words:
    items, words = contents_of(run.dataset_version_id, run.dataset_version.created_at)
    return words[np.searchsorted(items, found.items)]


def _left_out(found: Outcomes, rows: Integers, by_others: int) -> LeftOut:
    codes = np.bincount(found.code[rows], minlength=len(Code))
    return LeftOut(
        elsewhere=len(found.items) - len(rows),
        unscored=int(codes[Code.UNSCORED]),
        errored=int(codes[Code.ERRORED]),
        canceled=int(codes[Code.CANCELED]),
        waiting=int(codes[Code.WAITING]),
        by_others=by_others,
    )
