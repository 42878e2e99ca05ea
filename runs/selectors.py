"""What pages, API and fragments read of runs: scoped to a workspace, in a fixed number of queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from datasets.models import ItemAsset
from runs.glimpses import Glimpse, glimpse_of
from runs.metrics import elapsed_s, primary_estimate
from runs.models import (
    ACTIVE_STATUSES,
    LIVE_STATES,
    Attempt,
    GridCell,
    Run,
    RunStatus,
    Score,
    Trial,
    TrialState,
    cell_size,
)
from runs.selectors_judges import Judging, judgings_of
from runs.selectors_search import look
from runs.selectors_variants import flipping, show_as_asked
from runs.waits import items_lost, lease_ran_out
from workspaces.models import Workspace

STAYS_ON_BOARD = timedelta(hours=1)
BOARD_LIMIT = 60


def runs_of(workspace: Workspace) -> QuerySet[Run]:
    """Runs with what every list shows of them: model, provider, dataset, evaluation."""
    return Run.objects.filter(workspace=workspace).select_related(
        "model__provider", "dataset_version__dataset", "evaluation", "workspace", "created_by"
    )


def listed(workspace: Workspace) -> QuerySet[Run]:
    """Runs that lists show; judgings are shown within the run that they judge."""
    return runs_of(workspace).filter(judged=None)


def on_board() -> Q:
    """Runs at work, those whose judges are, and those that finished a while ago."""
    judging = Exists(Run.objects.filter(judged=OuterRef("pk"), status__in=ACTIVE_STATUSES))
    recent = Q(finished_at__gt=timezone.now() - STAYS_ON_BOARD)
    return Q(judged=None) & (Q(status__in=ACTIVE_STATUSES) | recent | Q(judging))


def with_counters(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Adds tallies, one query whatever the number of runs."""
    return runs.prefetch_related("tallies")


def board_runs(workspace: Workspace) -> list[Run]:
    """Active runs and those finished within the hour, newest first."""
    return list(with_counters(runs_of(workspace).filter(on_board()).order_by("-id"))[:BOARD_LIMIT])


def status_counts(workspace: Workspace) -> dict[str, int]:
    rows = Run.objects.filter(workspace=workspace).filter(on_board()).values("status").annotate(n=Count("id"))
    return {row["status"]: row["n"] for row in rows.order_by()}


@dataclass(frozen=True)
class Page:
    """A keyset page: `newer` and `older` are cursors for the neighbours, empty where there is none."""

    rows: Sequence[Any]
    newer: str = ""
    older: str = ""
    goes_on: int = 0  # where a search stopped for the sake of time: there may be more after it


@dataclass(frozen=True, kw_only=True)
class ArchiveFilter:
    """What the archive's filter bar says; everything is in the URL."""

    q: str = ""
    dataset: int | None = None
    status: str = ""


def archived(workspace: Workspace, wanted: ArchiveFilter) -> QuerySet[Run]:
    runs = listed(workspace).exclude(status__in=ACTIVE_STATUSES)
    if wanted.q:
        text = (
            Q(alias__icontains=wanted.q) | Q(label__icontains=wanted.q) | Q(model__name__icontains=wanted.q)
        )
        digits = wanted.q.lstrip("#")
        is_id = digits.isascii() and digits.isdigit() and len(digits) < 18
        runs = runs.filter(text | Q(pk=int(digits)) if is_id else text)
    if wanted.dataset:
        runs = runs.filter(dataset_version__dataset_id=wanted.dataset)
    if wanted.status:
        runs = runs.filter(status=wanted.status)
    return runs


def keyset_page(
    rows: QuerySet[Any], *, key: str, size: int, before: int | None, after: int | None, descending: bool
) -> Page:
    """One page by a unique integer column. `after` goes on in the list's direction, `before` goes back."""
    forward, backward = ("lt", "gt") if descending else ("gt", "lt")
    ahead = f"{'-' if descending else ''}{key}"
    if before is not None:
        back = rows.filter(**{f"{key}__{backward}": before}).order_by(key if descending else f"-{key}")
        found = list(back[: size + 1])
        more_back, found = len(found) > size, list(reversed(found[:size]))
        newer = str(getattr(found[0], key)) if found and more_back else ""
        return Page(found, newer=newer, older=str(getattr(found[-1], key)) if found else "")
    if after is not None:
        rows = rows.filter(**{f"{key}__{forward}": after})
    found = list(rows.order_by(ahead)[: size + 1])
    more, found = len(found) > size, found[:size]
    return Page(
        found,
        newer=str(getattr(found[0], key)) if found and after is not None else "",
        older=str(getattr(found[-1], key)) if more else "",
    )


def archive_page(
    workspace: Workspace,
    wanted: ArchiveFilter,
    *,
    size: int = 25,
    before: int | None = None,
    after: int | None = None,
) -> Page:
    """Finished runs, newest first, with their tallies. A fixed number of queries, no OFFSET."""
    runs = archived(workspace, wanted).prefetch_related("tallies")
    return keyset_page(runs, key="id", size=size, before=before, after=after, descending=True)


Cell = tuple[int, int, int]
"""Done, passed and errored trials of a cell."""


def cells_of(run_ids: Sequence[int]) -> dict[int, dict[int, Cell]]:
    """Grid cells by run and index, one query; plain tuples, since a board has thousands."""
    found: dict[int, dict[int, Cell]] = {run_id: {} for run_id in run_ids}
    rows = GridCell.objects.filter(run_id__in=run_ids)
    for run_id, cell, done, passed, errored in rows.values_list(
        "run_id", "cell", "done", "passed", "errored"
    ):
        found[run_id][cell] = (done, passed, errored)
    return found


def grid_states(run: Run, cells: Mapping[int, Cell], leased: Iterable[int]) -> str:
    """One state a cell, by precedence: `x` has errors, `r` in flight, `.` waiting, `0`–`4` quarters right."""
    size = cell_size(run.total)
    flying = {(seq - 1) // size for seq in leased}
    states = []
    for index in range(-(-run.total // size)):
        cell, items = cells.get(index), min(size, run.total - index * size)
        states.append(_cell_state(cell, items, index in flying))
    return "".join(states)


def _cell_state(cell: Cell | None, items: int, flying: bool) -> str:
    done, passed, errored = cell or (0, 0, 0)
    if errored:
        return "x"
    if flying:
        return "r"
    return "." if done < items else str(4 * passed // items)


def seqs_in_flight(runs: Sequence[Run]) -> dict[int, list[int]]:
    """The numbers of leased trials by run, one query, by index; not those of lost workers."""
    ids = [run.pk for run in runs if run.status == RunStatus.RUNNING]
    found: dict[int, list[int]] = {run.pk: [] for run in runs}
    if ids:
        rows = Trial.objects.filter(run_id__in=ids, state=TrialState.LEASED).exclude(lease_ran_out())
        rows = rows.order_by("seq")
        for run_id, seq in rows.values_list("run_id", "seq"):
            found[run_id].append(seq)
    return found


@dataclass(frozen=True)
class Card:
    """Everything one run card shows."""

    run: Run
    estimate: Any
    grid: str
    cell_size: int
    in_flight: Sequence[int]
    correct: int
    elapsed_s: float | None
    left_s: float | None
    glimpse: Glimpse | None
    failures: Sequence[tuple[str, int]] = field(default_factory=tuple)
    ahead: int = 0
    assets: Sequence[ItemAsset] = field(default_factory=tuple)
    judging: Judging | None = None
    lost: int = 0  # unfinished items that a lost worker held

    @property
    def retries_lost(self) -> bool:
        """Nothing else is left, or at work."""
        return self.lost > 0 and (not self.in_flight or self.lost >= self.run.total - self.run.terminal)

    @property
    def shown_status(self) -> str:
        """The run's, but “judging” while its judges are at work on a finished run."""
        return "judging" if self.judging and self.run.is_finished else str(self.run.status)


def cards(runs: Sequence[Run], running: int | None = None) -> list[Card]:
    """Cards of runs that carry their tallies; seven queries at most, whatever their number. `running` are
    the workspace's, where these are not all of them."""
    cells = cells_of([run.pk for run in runs])
    glimpses = {run.pk: glimpse_of(run.pk) for run in runs if run.status == RunStatus.RUNNING}
    assets = assets_of([glimpse.item_id for glimpse in glimpses.values() if glimpse])
    flying = seqs_in_flight(runs)
    failures = failure_kinds([run.pk for run in runs if run.errored])
    grids = {run.pk: "" if run.judged_id else grid_states(run, cells[run.pk], flying[run.pk]) for run in runs}
    judging, lost = judgings_of(runs), items_lost(runs)
    if running is None:
        running = sum(run.status == RunStatus.RUNNING for run in runs)
    made = [_card(run, running, grids[run.pk], flying[run.pk], failures.get(run.pk, [])) for run in runs]
    made = [replace(each, judging=judging.get(each.run.pk), lost=lost.get(each.run.pk, 0)) for each in made]
    return [_with_glimpse(each, glimpses.get(each.run.pk), assets) for each in made]


def _with_glimpse(card: Card, glimpse: Glimpse | None, assets: Mapping[int, list[ItemAsset]]) -> Card:
    return replace(card, glimpse=glimpse, assets=assets.get(glimpse.item_id, [])) if glimpse else card


def assets_of(item_ids: Sequence[int]) -> dict[int, list[ItemAsset]]:
    """Images by item, in order; one query, none without items."""
    found: dict[int, list[ItemAsset]] = {}
    if item_ids:
        for link in (
            ItemAsset.objects.filter(item_id__in=item_ids).select_related("asset").order_by("position")
        ):
            found.setdefault(link.item_id, []).append(link)
    return found


def card(run: Run) -> Card:
    return cards([run])[0]


def _card(
    run: Run, running: int, grid: str, in_flight: Sequence[int], failures: Sequence[tuple[str, int]]
) -> Card:
    tallies = list(run.tallies.all())
    names = run.scorer_names
    return Card(
        run=run,
        estimate=primary_estimate(run, tallies),
        grid=grid,
        cell_size=cell_size(run.total),
        in_flight=in_flight,
        correct=sum(tally.passed for tally in tallies if names and tally.scorer == names[0]),
        elapsed_s=elapsed_s(run),
        left_s=seconds_left(run),
        glimpse=None,
        failures=failures,
        ahead=running if run.status == RunStatus.PENDING else 0,
    )


def seconds_left(run: Run) -> float | None:
    """At the pace so far; None before there is one."""
    elapsed = elapsed_s(run)
    if run.status != RunStatus.RUNNING or not elapsed or run.terminal < 5:
        return None
    return elapsed / run.terminal * (run.total - run.terminal)


def failure_kinds(run_ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    """(message, count) of errored trials by run, most frequent first; one query."""
    kinds: dict[int, list[tuple[str, int]]] = {}
    if run_ids:
        rows = Trial.objects.filter(run_id__in=run_ids, state=TrialState.ERRORED)
        grouped = rows.values("run_id", "error").annotate(n=Count("id")).order_by("-n")
        for row in grouped[:200]:
            kinds.setdefault(row["run_id"], []).append((row["error"], row["n"]))
    return kinds


@dataclass(frozen=True, kw_only=True)
class TrialFilter:
    """What the item table's filter bar says."""

    q: str = ""
    section: str | None = None
    verdict: str = ""
    by: str = ""  # a scorer of the run; empty: its first
    flips: bool = False  # only items that were right in one of their trials and wrong in another
    variant: int | None = None  # 0 is the original


VERDICTS = {
    # As `in`, since SQLite uses an index for what is compared, not for a bare column.
    "correct": Q(state=TrialState.DONE, passed__in=[True]),
    "incorrect": Q(state=TrialState.DONE, passed__in=[False]),
    "unscored": Q(state=TrialState.DONE, passed=None),
    "tied": Q(state=TrialState.DONE, passed=None, answer="tie"),
    "errored": Q(state=TrialState.ERRORED),
    "waiting": Q(state__in=(TrialState.PENDING, TrialState.WAITING, TrialState.LEASED)),
    "canceled": Q(state=TrialState.CANCELED),
}


# The same by another scorer than the first: its own scores.
SCORE_VERDICTS = {
    "correct": Q(passed=True),
    "incorrect": Q(passed=False),
    "unscored": Q(value=None),
    "tied": Q(value__isnull=False, passed=None),
}


def verdict_filter(run: Run, wanted: TrialFilter) -> Q:
    """What the filter asks of verdicts; nothing where it asks for none."""
    names = run.scorer_names
    if wanted.verdict in SCORE_VERDICTS and wanted.by in names and wanted.by != names[0]:
        given = Score.objects.filter(SCORE_VERDICTS[wanted.verdict], trial=OuterRef("pk"), scorer=wanted.by)
        return Q(Exists(given))
    return VERDICTS.get(wanted.verdict, Q())


def trials_of(run: Run, wanted: TrialFilter) -> QuerySet[Trial]:
    trials = Trial.objects.filter(run=run).filter(verdict_filter(run, wanted))
    if wanted.section is not None:
        trials = trials.filter(section=wanted.section)
    if wanted.flips:
        trials = trials.filter(flipping(run, wanted.by))
    if wanted.variant is not None:
        trials = trials.filter(epoch__range=run.variants.turns_of(wanted.variant))
    if wanted.q:
        text = (
            Q(item__prompt__icontains=wanted.q)
            | Q(response__icontains=wanted.q)
            | Q(answer__icontains=wanted.q)
        )
        trials = trials.filter(text | Q(item__external_id=wanted.q))
    return trials


def trial_page(
    run: Run, wanted: TrialFilter, *, size: int = 25, before: int | None = None, after: int | None = None
) -> Page:
    """Trials by number with item as it was asked and scores; keyset, three queries, or a few more for a
    search."""
    page = _trial_page(run, wanted, size, before, after)
    for trial in page.rows:
        trial.run = run
    show_as_asked(run, page.rows)
    return page


def _trial_page(run: Run, wanted: TrialFilter, size: int, before: int | None, after: int | None) -> Page:
    if is_looked_for(run, wanted):
        return _looked_for(run, wanted, size, before, after)
    if wanted.section is None and trial_count(run, wanted) == 0:
        return Page([])
    if wanted.verdict == "waiting":
        seqs = _seqs_waiting(run, wanted, size + 1, before, after)
        trials = Trial.objects.filter(run=run, seq__in=seqs)
    else:
        trials = trials_of(run, wanted)
    return keyset_page(_shown(trials), key="seq", size=size, before=before, after=after, descending=False)


def _shown(trials: QuerySet[Trial]) -> QuerySet[Trial]:
    """With what a row of the list says."""
    return trials.select_related("item").defer("item__responses", "item__metadata").prefetch_related("scores")


def is_looked_for(run: Run, wanted: TrialFilter) -> bool:
    """Whether no index finds what the filter asks for: text, variants, and verdicts of another scorer."""
    by_other = wanted.by in run.scorer_names[1:]
    return (
        bool(wanted.q)
        or wanted.flips
        or wanted.variant is not None
        or (by_other and wanted.verdict in SCORE_VERDICTS)
    )


def _looked_for(run: Run, wanted: TrialFilter, size: int, before: int | None, after: int | None) -> Page:
    """As much of a page as was found in the time; `goes_on`, or backwards `newer`, leads on from there."""
    last_seq = _last_seq(run)
    start = min(after or 0, last_seq) if before is None else min(max(1, before), last_seq + 1)
    end = last_seq if before is None else 1
    seen = look(trials_of(run, wanted), start=start, end=end, wanted=size + 1)
    more, seqs = len(seen.found) > size, seen.found[:size]
    rows = list(_shown(Trial.objects.filter(run=run, seq__in=seqs)).order_by("seq"))
    first, last = (str(rows[0].seq), str(rows[-1].seq)) if rows else (str(start + 1), str(start - 1))
    reached = 0 if more or seen.reached is None else seen.reached
    if before is not None:
        return Page(rows, newer=first if more else str(reached or ""), older=last)
    return Page(rows, newer=first if after else "", older=last if more else "", goes_on=reached)


def _last_seq(run: Run) -> int:
    """The highest number that a trial may have. A judging's go by what it judges: until all is there, and
    where some errored, they leave gaps."""
    return run.judged.total * run.passes if run.judged else run.total


def _seqs_waiting(
    run: Run, wanted: TrialFilter, most: int, before: int | None, after: int | None
) -> list[int]:
    """Of each live state the next ones by index: all of them together would be sorted first."""
    trials = trials_of(run, replace(wanted, verdict=""))
    if before is not None:
        trials = trials.filter(seq__lt=before).order_by("-seq")
    else:
        trials = trials.filter(seq__gt=after or 0).order_by("seq")
    return [
        seq
        for state in LIVE_STATES
        for seq in trials.filter(state=state).values_list("seq", flat=True)[:most]
    ]


def trial_count(run: Run, wanted: TrialFilter) -> int | None:
    """How many trials match, from the counters or else by index; None for text search."""
    if wanted.q or wanted.flips or wanted.variant is not None:
        return None
    if wanted.verdict == "tied" and is_looked_for(run, wanted):
        return None
    if wanted.section is None and wanted.verdict in ("", "errored", "canceled"):
        return {"": run.total, "errored": run.errored, "canceled": run.canceled}[wanted.verdict]
    if wanted.section is None and wanted.verdict == "waiting":
        return run.total - run.terminal
    if wanted.verdict == "tied":
        return trials_of(run, wanted).count()
    names = run.scorer_names
    by = wanted.by if wanted.by in names else next(iter(names), None)
    tallies = [
        tally for tally in run.tallies.all() if tally.scorer == by and wanted.section in (None, tally.section)
    ]
    sums = {
        "correct": sum(tally.passed for tally in tallies),
        "incorrect": sum(tally.scored - tally.passed for tally in tallies),
        "unscored": sum(tally.unscored for tally in tallies),
    }
    return sums[wanted.verdict] if wanted.verdict in sums else trials_of(run, wanted).count()


def trial_detail(run: Run, seq: int) -> Trial | None:
    """One trial with item as it was asked, images, scores and attempts."""
    found = (
        Trial.objects.filter(run=run, seq=seq)
        .select_related("item")
        .prefetch_related(
            "scores", Prefetch("attempts", Attempt.objects.order_by("number")), "item__item_assets__asset"
        )
        .first()
    )
    if found:
        found.run = run
    show_as_asked(run, [found] if found else [])
    return found


def trial_neighbours(run: Run, wanted: TrialFilter, seq: int) -> tuple[int | None, int | None]:
    """The numbers before and after within the filter."""
    trials = trials_of(run, wanted)
    if is_looked_for(run, wanted):
        ends = ((seq, 1), (seq, max(seq, _last_seq(run))))
        looks = [look(trials, start=start, end=end, wanted=1, share=0.3) for start, end in ends]
        return looks[0].found[0] if looks[0].found else None, looks[1].found[0] if looks[1].found else None
    previous = trials.filter(seq__lt=seq).order_by("-seq").values_list("seq", flat=True).first()
    following = trials.filter(seq__gt=seq).order_by("seq").values_list("seq", flat=True).first()
    return previous, following


def log_lines(run: Run, *, after: int = 0, last: int = 200) -> list[Any]:
    """The last lines after an id, oldest first."""
    rows = run.log_lines.filter(pk__gt=after).order_by("-id")
    return list(reversed(rows.values_list("pk", "at", "level", "text", named=True)[:last]))


def full_runs(workspace: Workspace, pks: Iterable[int]) -> list[Run]:
    """Runs with their counters, for fragments."""
    return list(with_counters(runs_of(workspace)).filter(pk__in=pks))


def full_run(workspace: Workspace, pk: int) -> Run | None:
    """One run with its counters, for its page."""
    return next(iter(full_runs(workspace, [pk])), None)
