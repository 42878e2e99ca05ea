"""The leaderboard of a phase: who ranks, on which items, how sure the places are, and who does not rank.

Reads: the parts, the evaluations with their runs, then one query a run, none while the run is unchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from django.db.models import QuerySet

from analysis.kept import kept
from analysis.outcomes import Packed, contents_of, outcomes_of, packed_integers, sections_of
from analysis.stats.intervals import t_interval, wilson
from analysis.stats.ranking import RankInterval, places, rank_intervals
from analysis.stats.results import Integers, Interval
from benchmarks.models import Benchmark, BenchmarkEvaluation, BenchmarkPart, Measure, Phase
from benchmarks.scoring import Column, Scale, Weighted, all_differences, overall
from benchmarks.selectors import PartScore, Scored, evaluations_of, parts_of, scored
from datasets.models import Item, Subset
from datasets.subsets import subset_items
from judges.metrics import proportion
from runs.metrics import sums_by_scorer, weighs
from runs.models import Run

SHOWN_PER_MODEL = {
    "best": "Best run of each model",
    "latest": "Latest run of each model",
    "every": "Every run",
}
MOST_RANKED = 50


@dataclass(frozen=True)
class Cell:
    """A figure of a column; `unit` share, s or usd."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = "share"


@dataclass(frozen=True)
class Row:
    """One evaluation that ranks. `marks` say what differs from the benchmark as it is now."""

    scored: Scored
    overall: Interval
    figures: Sequence[Interval]
    columns: Sequence[Column]
    cells: Mapping[str, Cell]
    marks: Sequence[str] = ()
    of: int = 1
    rank: RankInterval = field(default_factory=lambda: RankInterval(1, 1))
    place: str = "1"
    tie: bool = False

    @property
    def evaluation(self) -> BenchmarkEvaluation:
        return self.scored.row

    @property
    def n(self) -> int:
        return sum(figure.n for figure in self.figures)


@dataclass(frozen=True)
class Unranked:
    """One that does not rank, and why."""

    scored: Scored
    reason: str


@dataclass(frozen=True)
class Leaderboard:
    """Best first. `columns` are (key, title) of the further figures; `left_out` ranks were not tested."""

    benchmark: Benchmark
    phase: Phase | None
    parts: Sequence[BenchmarkPart]
    rows: Sequence[Row]
    unranked: Sequence[Unranked]
    columns: Sequence[tuple[str, str]]
    left_out: int = 0

    @property
    def pairs(self) -> int:
        return len(self.rows) * (len(self.rows) - 1) // 2

    @property
    def distinct(self) -> int:
        return len({row.place for row in self.rows})


class NotComparable(ValueError):
    """Why an evaluation cannot stand beside the others."""


@dataclass(frozen=True)
class View:
    """What the page's filter asks for: which runs, one section, another scorer than the primary ones."""

    show: str = "best"
    section: str = ""
    metric: str = ""


def leaderboard(benchmark: Benchmark, phase: Phase | None, view: View = View()) -> Leaderboard:
    """Only evaluations that could stand on it are read item by item."""
    parts = list(parts_of(benchmark))
    entries: list[Entry] = []
    unranked: list[Unranked] = []
    for row in evaluations_of(benchmark.workspace).filter(benchmark=benchmark, phase=phase):
        found = scored(row)
        try:
            entries.append(entry_of(found, parts, phase))
        except NotComparable as error:
            unranked.append(Unranked(found, str(error)))
    plain = not view.section and not view.metric and all(entry.whole for entry in entries)
    groups = sorted(_groups(entries, view.show, plain), key=lambda group: -group[0].known)
    rows: list[Row] = []
    for group in groups[:MOST_RANKED] if plain else groups:
        made = []
        for entry in group:
            try:
                made.append(replace(entry.row(view), of=len(group)))
            except NotComparable as error:
                unranked.append(Unranked(entry.found, str(error)))
            if made and (plain or view.show != "best"):
                break
        rows += sorted(made, key=lambda row: -(row.overall.value or 0.0))[:1]
    chosen = sorted(rows, key=lambda row: -(row.overall.value or 0.0))
    ranked = _ranked(chosen[:MOST_RANKED], [part.weight for part in parts])
    columns = list(dict.fromkeys((key, key) for row in ranked for key in row.cells))
    titled = [(key, TITLES.get(key, key)) for key, _ in columns]
    return Leaderboard(benchmark, phase, parts, ranked, unranked, titled, len(groups) - len(ranked))


TITLES = {"answer_rate": "Answer rate", "exact_match": "Exact match", "duration": "Duration", "cost": "Cost"}


@dataclass(frozen=True)
class Entry:
    """An evaluation that may rank: its parts in the benchmark's order, and marks; nothing read by item."""

    found: Scored
    parts: Sequence[BenchmarkPart]
    scores: Sequence[PartScore]
    phase: Phase | None
    marks: Sequence[str]

    @property
    def known(self) -> float:
        """Its overall score by its runs' tallies."""
        return self.found.overall.value or 0.0

    @property
    def whole(self) -> bool:
        """Whether it was asked the very items that count now."""
        return all(
            score.frozen["version"] == part.version_id and same_slice(part, score.frozen, self.phase)
            for part, score in zip(self.parts, self.scores, strict=True)
        )

    def row(self, view: View) -> Row:
        """A query a run, none while it is unchanged. Raises NotComparable."""
        columns = [
            _column(part, score, self.phase, view)
            for part, score in zip(self.parts, self.scores, strict=True)
        ]
        figures = [_figure(column) for column in columns]
        weighted = [Weighted(figure, part.weight) for figure, part in zip(figures, self.parts, strict=True)]
        total = overall(weighted)
        if total.value is None:
            raise NotComparable(total.reason)
        return Row(self.found, total, figures, columns, _cells(self.found), self.marks)


def entry_of(found: Scored, parts: Sequence[BenchmarkPart], phase: Phase | None) -> Entry:
    """An evaluation beside the benchmark as it is now. Raises NotComparable."""
    if found.shortfall:
        raise NotComparable(found.shortfall)
    marks: list[str] = ["recorded responses"] if found.row.frozen.get("recorded") else []
    scores = _matched(found, parts)
    if weighs(score.run for score in scores if score.run):
        marks.append("items count the same here, not by their weights")
    for part, score in zip(parts, scores, strict=True):
        marks += _differences(part, score, phase)
    return Entry(found, parts, scores, phase, list(dict.fromkeys(marks)))


def row_of(found: Scored, parts: Sequence[BenchmarkPart], phase: Phase | None, view: View) -> Row:
    """Raises NotComparable."""
    return entry_of(found, parts, phase).row(view)


def _matched(found: Scored, parts: Sequence[BenchmarkPart]) -> list[PartScore]:
    """The evaluation's parts in the order of the benchmark's, by their dataset."""
    left = [score for score in found.parts if score.run]
    matched = []
    for part in parts:
        same = [s for s in left if s.run and s.run.dataset_version.dataset_id == part.version.dataset_id]
        if not same:
            raise NotComparable(f"it has no run on {part.version.dataset.name}")
        left.remove(same[0])
        matched.append(same[0])
    if left:
        raise NotComparable("it was evaluated on parts that this benchmark no longer has")
    return matched


def _differences(part: BenchmarkPart, score: PartScore, phase: Phase | None) -> list[str]:
    """Marks; other scoring is no mark but refused, since its verdicts mean something else."""
    frozen, title, marks = score.frozen, part.version.dataset.name, list[str]()
    if (frozen["primary"], frozen["measure"]) != (part.primary, part.measure):
        raise NotComparable(f"{title} counted by {frozen['primary']} then, by {part.primary} now")
    _check_scorer(part, frozen)
    _check_judges(part, frozen)
    tallies = score.run.tallies.all() if score.run else []
    if part.primary in (sums := sums_by_scorer(tallies)) and sums[part.primary].unscored:
        marks.append(f"{sums[part.primary].unscored:,} unscored items of {title} left out")
    if frozen["version"] != part.version_id:
        marks.append(f"{title} v{frozen['number']}, now v{part.version.number}: common items only")
    elif not same_slice(part, frozen, phase):
        marks.append(f"{title}: other slice, common items only")
    if frozen["template"] != part.template:
        marks.append("other prompt")
    if frozen["params"] != part.params:
        marks.append("other parameters")
    return marks


def _check_scorer(part: BenchmarkPart, frozen: Mapping[str, Any]) -> None:
    def primary(scorers: Sequence[Mapping[str, Any]]) -> Any:
        named = [each for each in scorers if (each.get("name") or each["key"]) == part.primary]
        return [(each["key"], each.get("options") or {}) for each in named]

    if primary(frozen["scorers"]) != primary(part.scorers):
        raise NotComparable(f"{part.version.dataset.name}: scorer {part.primary} had other options")


def _check_judges(part: BenchmarkPart, frozen: Mapping[str, Any]) -> None:
    then = {judge["name"]: judge for judge in frozen["judges"]}
    for judge in part.judges.all():
        if judge.judge.name != part.primary:
            continue
        old = then.get(judge.judge.name, {})
        if old.get("fingerprint") != judge.fingerprint:
            raise NotComparable(
                f"{part.version.dataset.name}: judge {judge.judge.name} v{old.get('number', '?')} then, "
                f"v{judge.number} now"
            )


def wanted_slice(part: BenchmarkPart, phase: Phase | None) -> tuple[list[str], int | None]:
    """Sections and limit of a part within a phase."""
    sections = list(part.sections)
    if phase and phase.sections:
        sections = [name for name in phase.sections if not sections or name in sections]
    limits = [limit for limit in (part.limit, phase.limit if phase else None) if limit is not None]
    return sections, min(limits, default=None)


def same_slice(part: BenchmarkPart, frozen: Mapping[str, Any], phase: Phase | None) -> bool:
    if subset_rule(frozen.get("subset") or {}) != subset_rule(part.subset):
        return False
    return (list(frozen["sections"]), frozen["limit"]) == wanted_slice(part, phase)


def subset_rule(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells which items a subset has, whatever its name."""
    return tuple(told.get(name) for name in ("filter", "size", "seed"))


def _column(part: BenchmarkPart, score: PartScore, phase: Phase | None, view: View) -> Column:
    """The run's scores on the items of the part as it is now, ascending by item id of its version."""
    run = score.run
    assert run is not None
    column = (
        column_of(run, view.metric, Measure.SHARE, Scale())
        if view.metric
        else column_of(run, part.primary, part.measure, score.scale)
    )
    keys, scores = column.keys, column.scores
    if view.section:
        keep = np.isin(keys, _in_section(run, view.section))
        keys, scores = keys[keep], scores[keep]
    if run.dataset_version_id != part.version_id:
        keys, scores = _common(part, run, keys, scores)
    if run.dataset_version_id != part.version_id or not same_slice(part, score.frozen, phase):
        keep = np.isin(keys, slice_items(part, phase))
        keys, scores = keys[keep], scores[keep]
    if not len(keys):
        raise NotComparable(f"no item in common with {part.version.dataset.name} v{part.version.number}")
    return Column(keys, scores, column.binary)


def column_of(run: Run, scorer: str, measure: str, scale: Scale) -> Column:
    """All items of a run by one scorer, within 0..1. Needs the run's tallies. Raises NotComparable."""
    if scorer not in sums_by_scorer(run.tallies.all()):
        raise NotComparable(f"run {run.pk} was not scored by {scorer}")
    found = outcomes_of(run, scorer)
    share = measure == Measure.SHARE
    scores = found.right if share else (found.value - scale.low) / (scale.high - scale.low)
    known = scores[~np.isnan(scores)]
    return Column(found.items, scores, share and bool(((known == 0) | (known == 1)).all()))


def _in_section(run: Run, section: str) -> Integers:
    names, items, codes = sections_of(run)
    return items[codes == names.index(section)] if section in names else np.zeros(0, dtype=np.int64)


def _common(part: BenchmarkPart, run: Run, keys: Integers, scores: Any) -> tuple[Integers, Any]:
    """Items of another version that the part's version holds too, under that version's ids."""
    there, known = contents_of(part.version_id, part.version.created_at)
    here, words = contents_of(run.dataset_version_id, run.dataset_version.created_at)
    own = words[np.searchsorted(here, keys)]
    _, at, place = np.intersect1d(own, known, return_indices=True)
    order = np.argsort(there[place])
    return there[place][order], scores[at][order]


def slice_items(part: BenchmarkPart, phase: Phase | None) -> Integers:
    """Item ids of the part within the phase; one query, then none."""
    sections, limit = wanted_slice(part, phase)
    rule = repr(subset_rule(part.subset))
    key = ("slice", part.version_id, part.version.created_at, rule, tuple(sections), limit)
    return kept.of(key, lambda: _slice(part_items(part), sections, limit))


def part_items(part: BenchmarkPart) -> QuerySet[Item]:
    """Those of its version, or of the subset in it."""
    if not part.subset:
        return Item.objects.filter(version=part.version_id)
    told = {name: part.subset[name] for name in ("filter", "size", "seed")}
    return subset_items(Subset(**told), part.version)


def _slice(items: QuerySet[Item], sections: Sequence[str], limit: int | None) -> Integers:
    items = items.filter(section__in=sections) if sections else items
    if limit is not None:
        last = items.order_by("position").values_list("position", flat=True)[limit - 1 : limit].first()
        items = items if last is None else items.filter(position__lte=last)
    return packed_integers(items.order_by().aggregate(found=Packed("id"))["found"])


def _figure(column: Column) -> Interval:
    known = column.scores[~np.isnan(column.scores)]
    return wilson(int(known.sum()), len(known)) if column.binary else t_interval(known)


def _cells(found: Scored) -> dict[str, Cell]:
    """The further figures, over all parts together."""
    answered, done = (sum(getattr(run, name) for run in found.runs) for name in ("answered", "done"))
    cells = {"answer_rate": _share(answered, done)}
    primary = {part.frozen["primary"] for part in found.parts}
    counts: dict[str, tuple[int, int]] = {}
    for run in found.runs:
        for name, sums in sums_by_scorer(run.tallies.all()).items():
            if name not in primary and sums.scored:
                passed, scored_ = counts.get(name, (0, 0))
                counts[name] = (passed + sums.passed, scored_ + sums.scored)
    cells |= {name: _share(passed, n) for name, (passed, n) in counts.items()}
    if found.duration_s is not None:
        cells["duration"] = Cell(found.duration_s, n=done, unit="s")
    costs = [run.cost for run in found.runs]
    if costs and all(cost is not None for cost in costs):
        cells["cost"] = Cell(float(sum(cost for cost in costs if cost is not None)), n=done, unit="usd")
    return cells


def _share(k: int, n: int) -> Cell:
    found = proportion(k, n)
    return Cell(found.value, found.low, found.high, found.n)


def _groups(entries: Sequence[Entry], show: str, plain: bool) -> list[list[Entry]]:
    """Entries of which one is to rank, the one to take first: a model's, or each alone. Given newest first.

    Where their own tallies tell, the best comes first.
    """
    if show == "every":
        return [[entry] for entry in entries]
    by_model: dict[str, list[Entry]] = {}
    for entry in entries:
        by_model.setdefault(entry.found.row.alias, []).append(entry)
    groups = list(by_model.values())
    return [sorted(group, key=lambda entry: -entry.known) for group in groups] if show == "best" else groups


def _ranked(rows: Sequence[Row], weights: Sequence[float]) -> list[Row]:
    """With rank intervals from Holm-adjusted paired tests over all pairs; ties share a place."""
    ranks = rank_intervals(len(rows), all_differences([row.columns for row in rows], weights))
    made, before = [], ""
    for row, rank, place in zip(rows, ranks, places(ranks), strict=True):
        made.append(replace(row, rank=rank, place=place, tie=place == before))
        before = place
    return made
