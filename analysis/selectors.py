"""What comparisons show row by row: items, one item's responses, triage, runs to choose, a run's past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Prefetch, Q, QuerySet

from analysis.asking import LETTERS
from analysis.comparison import Comparison, ItemPage, Mask
from analysis.diffing import Piece, word_diff
from analysis.figures import Figures
from analysis.models import SavedComparison, TriagedItem, TriageState
from datasets.models import Item
from judges.metrics import Estimate, proportion
from runs.metrics import primary_estimate, sums_by_scorer
from runs.models import Run, RunStatus, Score, Trial
from runs.selectors import assets_of, listed, with_counters
from workspaces.models import User, Workspace

ITEMS_SHOWN = 10
CHOICES_SHOWN = 40
PAST_SHOWN = 12


def triaged_of(workspace: Workspace, run: Run, item_ids: Sequence[int]) -> dict[int, TriagedItem]:
    """By item id; one query."""
    rows = TriagedItem.objects.filter(workspace=workspace, run=run, item_id__in=item_ids)
    return {row.item_id: row for row in rows.select_related("assignee", "changed_by")}


def broken_untriaged(figures: Figures) -> int:
    """Items that only the baseline got right, and that nobody has decided on in the other run. One query."""
    broken = picked(figures, {figures.letters[figures.base]: True, figures.letters[figures.against]: False})
    ids = figures.comparison.items[broken, figures.against]
    decided = TriagedItem.objects.filter(run=figures.comparison.runs[figures.against]).exclude(
        state=TriageState.OPEN
    )
    return int((~np.isin(ids, list(decided.values_list("item_id", flat=True)))).sum())


def triage_list(workspace: Workspace, state: str = "", assignee: User | None = None) -> QuerySet[TriagedItem]:
    """The shared list, the newest first; rows of deleted runs are left out."""
    rows = TriagedItem.objects.filter(workspace=workspace, run__workspace=workspace)
    if state:
        rows = rows.filter(state=state)
    if assignee:
        rows = rows.filter(assignee=assignee)
    related = ("item", "run", "baseline", "assignee", "changed_by")
    return rows.select_related(*related).defer("item__responses", "item__metadata", "run__config")


def saved_of(workspace: Workspace) -> QuerySet[SavedComparison]:
    return SavedComparison.objects.filter(workspace=workspace).select_related("created_by")


# Items


@dataclass(frozen=True, slots=True)
class Cell:
    """One run on one item: its first epoch's trial, and over the epochs the value or share right."""

    letter: str
    trial: Trial | None
    score: Score | None
    right: float | None
    value: float | None

    @property
    def series(self) -> str:
        return self.letter.lower()

    @property
    def status(self) -> str:
        """A status word: several epochs that disagree are neither right nor wrong."""
        if self.right is None:
            return "unscored" if self.trial and self.trial.state == "done" else "errored"
        if self.score is not None and self.score.passed is None:
            return "scored"
        return "correct" if self.right == 1 else "incorrect" if self.right == 0 else "warning"

    @property
    def answer(self) -> str:
        return self.score.answer if self.score else self.trial.answer if self.trial else ""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item, one cell a run, and what was decided of it for the run compared."""

    item: Item
    number: int
    cells: Sequence[Cell]
    triaged: TriagedItem | None


@dataclass(frozen=True)
class ItemList:
    """A keyset page of the items that a filter picks. `first` is the place of its first row, from 1."""

    page: ItemPage
    rows: Sequence[ItemRow]
    first: int

    @property
    def total(self) -> int:
        return self.page.total

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1


def picked(figures: Figures, wanted: Mapping[str, bool] | None = None) -> Mask:
    """The asked filter, or the verdicts that are given alone."""
    found, asked = figures.comparison, figures.asked
    wishes = asked.wanted if wanted is None else wanted
    verdicts = [wishes.get(letter) for letter in figures.letters]
    if wanted is not None:
        return found.picked(verdicts)
    pair = (figures.base, figures.against)
    judge = asked.differ.removeprefix("judge:") if asked.differ.startswith("judge:") else ""
    return found.picked(
        verdicts,
        section=asked.section,
        answers_differ=pair if asked.differ == "answer" else None,
        disputed=(judge, pair) if judge in figures.other_scorers else None,
    )


def item_list(workspace: Workspace, figures: Figures, mask: Mask, size: int = ITEMS_SHOWN) -> ItemList:
    """Three queries, whatever the number of runs and items."""
    found, asked = figures.comparison, figures.asked
    page = found.page(mask, size=size, after=asked.after, before=asked.before)
    rows = item_rows(workspace, figures, [int(place) for place in page.places])
    first = int(mask[: int(page.places[0])].sum()) + 1 if len(page.places) else 0
    return ItemList(page, rows, first)


def item_rows(workspace: Workspace, figures: Figures, places: Sequence[int]) -> list[ItemRow]:
    """Rows without the responses themselves."""
    found = figures.comparison
    trials = _trials(found, places, responses=False)
    triaged = triaged_of(
        workspace,
        found.runs[figures.against],
        [int(found.items[place, figures.against]) for place in places],
    )
    return [_row(figures, place, trials, triaged) for place in places]


def _trials(found: Comparison, places: Sequence[int], responses: bool) -> dict[tuple[int, int], Trial]:
    """First epochs by (run, item), with their items and the scorer's scores: two queries."""
    ids = {int(item) for place in places for item in found.items[place]}
    trials = Trial.objects.filter(run__in=found.runs, item_id__in=ids, epoch=1).select_related("item")
    if not responses:
        trials = trials.defer("response", "item__messages")
    scores = Prefetch("scores", Score.objects.filter(scorer=found.scorer), to_attr="by_scorer")
    trials = trials.defer("item__responses", "item__metadata").prefetch_related(scores)
    return {(trial.run_id, trial.item_id): trial for trial in trials.order_by()}


def _row(
    figures: Figures,
    place: int,
    trials: Mapping[tuple[int, int], Trial],
    triaged: Mapping[int, TriagedItem],
) -> ItemRow:
    found = figures.comparison
    cells = []
    for at, run in enumerate(found.runs):
        trial = trials.get((run.pk, int(found.items[place, at])))
        score = next(iter(getattr(trial, "by_scorer", ())), None)
        cells.append(
            Cell(LETTERS[at], trial, score, _known(found.right[place, at]), _known(found.scores[place, at]))
        )
    first = next(cell.trial for cell in cells if cell.trial)
    return ItemRow(first.item, first.seq, cells, triaged.get(int(found.items[place, figures.against])))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@dataclass(frozen=True)
class OpenItem:
    """One item beside its responses: of the pair as a word diff, of the others as they are."""

    row: ItemRow
    first: Cell
    second: Cell
    others: Sequence[Cell]
    diff: tuple[Sequence[Piece], Sequence[Piece]] | None
    assets: Sequence[object]
    previous: int | None
    following: int | None


def open_item(workspace: Workspace, figures: Figures, mask: Mask) -> OpenItem | None:
    """The item that the URL asks for, with its neighbours within the filter; four queries."""
    found, wanted = figures.comparison, figures.asked.item
    at = int(np.searchsorted(found.items[:, 0], wanted)) if wanted else len(found.items)
    if at >= len(found.items) or found.items[at, 0] != wanted:
        return None
    against = figures.against
    triaged = triaged_of(workspace, found.runs[against], [int(found.items[at, against])])
    row = _row(figures, at, _trials(found, [at], responses=True), triaged)
    first, second = row.cells[figures.base], row.cells[against]
    places = np.flatnonzero(mask)
    before, after = places[places < at], places[places > at]
    return OpenItem(
        row=row,
        first=first,
        second=second,
        others=[cell for cell in row.cells if cell not in (first, second)],
        diff=word_diff(*(cell.trial.response if cell.trial else "" for cell in (first, second))),
        assets=assets_of([row.item.pk]).get(row.item.pk, []),
        previous=int(found.items[before[-1], 0]) if len(before) else None,
        following=int(found.items[after[0], 0]) if len(after) else None,
    )


# Runs to choose, and a run's past


@dataclass(frozen=True, slots=True)
class Choice:
    run: Run
    estimate: Estimate | None
    chosen: bool


def choices(workspace: Workspace, chosen: Sequence[int], q: str = "") -> list[Choice]:
    """Runs to compare: the chosen ones, then others on their datasets, then the newest; four queries."""
    runs = with_counters(listed(workspace)).order_by("-id")
    held = list(runs.filter(pk__in=chosen))
    datasets = {run.dataset_version.dataset_id for run in held}
    others = runs.exclude(pk__in=chosen)
    if q:
        number = q.lstrip("#")
        exact = Q(pk=int(number)) if number.isascii() and number.isdigit() and len(number) < 18 else Q()
        named = Q(alias__icontains=q) | Q(label__icontains=q) | Q(config__dataset__name__icontains=q)
        others = others.filter(named | exact if exact else named)
    found = list(others[:CHOICES_SHOWN])
    if datasets and not q:
        alike = list(others.filter(dataset_version__dataset__in=datasets)[:CHOICES_SHOWN])
        found = alike + [run for run in found if run not in alike][: CHOICES_SHOWN - len(alike)]
    return [
        Choice(run, primary_estimate(run, run.tallies.all()), run.pk in chosen) for run in [*held, *found]
    ]


@dataclass(frozen=True, slots=True)
class Past:
    """A run of an alias's history with its share right by the scorer, from its tallies."""

    run: Run
    estimate: Estimate


def history(workspace: Workspace, run: Run, scorer: str) -> list[Past]:
    """The last twelve finished runs of the same alias on the same dataset, in order; two queries."""
    alike = listed(workspace).filter(
        alias=run.alias,
        dataset_version__dataset=run.dataset_version.dataset_id,
        status=RunStatus.COMPLETED,
    )
    found = []
    for each in with_counters(alike).order_by("-finished_at", "-id")[:PAST_SHOWN]:
        sums = sums_by_scorer(each.tallies.all()).get(scorer)
        if sums and sums.scored:
            found.append(Past(each, proportion(sums.passed, sums.scored)))
    return found[::-1]
