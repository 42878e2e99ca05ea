"""All figures of a comparison at once: what the page, its exports and the API show, so that they agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from analysis.asking import LETTERS, Asked
from analysis.comparison import Comparison, LeftOut, Pair, SectionRow, compare, compare_runs, scorers_of
from analysis.outcomes import latencies_of
from analysis.stats.paired import Pairs, pairs_of
from analysis.stats.results import Difference, Interval
from analysis.stats.sensitivity import PairedBounds
from analysis.wording import Wording, worded
from judges.metrics import Estimate, quantile_estimate
from runs.models import Run
from workspaces.models import Workspace


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the comparison. `difference` and `p` are against the baseline, None for itself.

    Latencies in ms, None without calls. `cost` is in dollars, None where a price is unknown; `per_item`
    and `per_right` (the common items' share of right answers) divide it.
    """

    letter: str
    run: Run
    figure: Interval
    difference: Difference | None
    p: float | None
    p50: Estimate | None
    p95: Estimate | None
    left_out: LeftOut

    @property
    def series(self) -> str:
        return self.letter.lower()

    @property
    def cost(self) -> Decimal | None:
        """None also for recorded responses, which cost nothing here."""
        return self.run.cost if self.run.config.get("responses") != "recorded" else None

    @property
    def per_item(self) -> Decimal | None:
        return self.cost / self.run.done if self.cost is not None and self.run.done else None

    @property
    def per_right(self) -> Decimal | None:
        each, share = self.per_item, self.figure.value
        return each / Decimal(repr(share)) if each is not None and share else None


@dataclass(frozen=True, slots=True)
class PairRow:
    """Run `second` minus run `first`, by place; p adjusted over all pairs."""

    first: int
    second: int
    difference: Difference
    p: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that share an alias, label or model, by place, and their mean, item by item."""

    name: str
    runs: Sequence[int]
    figure: Interval
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class ScorerRow:
    """The same pair by another scorer or judge; not adjusted."""

    name: str
    share: bool
    baseline: Interval
    against: Interval
    difference: Difference
    wording: Wording


@dataclass(frozen=True)
class Figures:
    """Lazy: each part is computed when it is first read. `base` and `against` are places."""

    comparison: Comparison
    asked: Asked
    base: int
    against: int

    @property
    def so_far(self) -> bool:
        return self.comparison.so_far

    @property
    def share(self) -> bool:
        """Whether figures are shares of right answers, else means of values."""
        return self.comparison.verdicts

    @property
    def letters(self) -> str:
        return LETTERS[: len(self.comparison.runs)]

    @cached_property
    def rows(self) -> list[RunRow]:
        return [self._row(place) for place in range(len(self.comparison.runs))]

    def _row(self, place: int) -> RunRow:
        run = self.comparison.runs[place]
        pair = None if place == self.base else self.comparison.pair(self.base, place)
        latencies: Any = latencies_of(run)
        p50, p95 = (quantile_estimate(latencies, part) if len(latencies) else None for part in (0.5, 0.95))
        return RunRow(
            letter=LETTERS[place],
            run=run,
            figure=self.comparison.figure(place),
            difference=pair.difference if pair else None,
            p=pair.p if pair else None,
            p50=p50,
            p95=p95,
            left_out=self.comparison.left_out[place],
        )

    @cached_property
    def pair(self) -> Pair:
        return self.comparison.pair(self.base, self.against)

    @cached_property
    def counts(self) -> Pairs | None:
        """Both, fixed, broken, neither; None where answers are not simply right or wrong."""
        known = self.comparison.scores[self.comparison.common]
        if not self.comparison.binary:
            return None
        return pairs_of(known[:, self.base], known[:, self.against])

    @cached_property
    def wording(self) -> Wording:
        return self._worded(self.pair.difference, self.pair.p, self.share)

    def _worded(self, difference: Difference, p: float | None, share: bool) -> Wording:
        """Of the pair; runs of one alias are told apart by their numbers."""
        first, second = (self.comparison.runs[place] for place in (self.base, self.against))
        alike = first.alias == second.alias
        names = (f"{run.alias} #{run.pk}" if alike else run.alias for run in (first, second))
        letters = (self.letters[self.base], self.letters[self.against])
        return worded(difference, p, *names, share=share, names=letters)

    @cached_property
    def bounds(self) -> PairedBounds | None:
        return self.comparison.bounds(self.base, self.against)

    @cached_property
    def pairs(self) -> list[PairRow]:
        """All pairs: against the baseline as they are, others with the higher run first."""
        rows = []
        for first, second in combinations(range(len(self.comparison.runs)), 2):
            value = self.comparison.pair(first, second).difference.interval.value or 0.0
            if second == self.base or (first != self.base and value < 0):
                first, second = second, first
            found = self.comparison.pair(first, second)
            rows.append(PairRow(first, second, found.difference, found.p))
        return rows

    @cached_property
    def sections(self) -> list[SectionRow]:
        return self.comparison.sections(self.base)

    @cached_property
    def groups(self) -> list[Group]:
        """By alias, label or model, the baseline's group last; none where every run stands alone."""
        named: dict[str, list[int]] = {}
        for place, run in enumerate(self.comparison.runs):
            named.setdefault(group_name(run, self.asked.group or "alias"), []).append(place)
        if len(named) < 2 or (len(named) == len(self.comparison.runs) and not self.asked.group):
            return []
        home = next(name for name, places in named.items() if self.base in places)
        ordered = sorted(named, key=lambda name: name == home)
        return [
            Group(
                name,
                named[name],
                self.comparison.group_figure(named[name]),
                None if name == home else self.comparison.group_difference(named[home], named[name]),
            )
            for name in ordered
        ]

    @cached_property
    def other_scorers(self) -> list[str]:
        """Those that both runs of the pair have besides the one shown."""
        first, second = (self.comparison.runs[place] for place in (self.base, self.against))
        return [
            name
            for name in scorers_of(first)
            if name in scorers_of(second) and name != self.comparison.scorer
        ]

    @cached_property
    def by_scorer(self) -> list[ScorerRow]:
        return [self._by_scorer(name) for name in self.other_scorers]

    def _by_scorer(self, name: str) -> ScorerRow:
        """A query a run, none while they are unchanged."""
        first, second = (self.comparison.runs[place] for place in (self.base, self.against))
        found = compare_runs([first, second], name, self.asked.mean)
        difference = found.difference(0, 1)
        wording = self._worded(difference, difference.test.p, found.verdicts)
        return ScorerRow(name, found.verdicts, found.figure(0), found.figure(1), difference, wording)

    @cached_property
    def weak_sections(self) -> list[tuple[SectionRow, Difference]]:
        """Where the pair's difference is not shown although it is over all items."""
        if not self.wording.shown:
            return []
        found = [(row, row.differences[self.against]) for row in self.sections if row.n]
        return [(row, each) for row, each in found if each is not None and not each.shown]

    @property
    def items(self) -> int:
        """Items that all runs hold, scored or not."""
        return int(np.asarray(self.comparison.items).shape[0])


def group_name(run: Run, by: str) -> str:
    """What groups are named after; runs without a label are a group of their own."""
    if by == "label":
        return run.label or "No label"
    if by == "model":
        return str(run.config.get("model", {}).get("name") or run.alias)
    return run.alias


def figures_of(workspace: Workspace, wanted: Asked) -> Figures:
    """Raises RunsMissing and NotComparable. A baseline that is not among the runs is the first one."""
    found = compare(workspace, wanted.runs, wanted.scorer, values=wanted.mean)
    ids = [run.pk for run in found.runs]
    base = ids.index(wanted.baseline) if wanted.baseline in ids else 0
    others = [place for place in range(len(ids)) if place != base]
    asked = ids.index(wanted.against) if wanted.against in ids else others[0]
    return Figures(found, wanted, base, asked if asked != base else others[0])
