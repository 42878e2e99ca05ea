"""What pages read of judges: which may be asked, whom they compare with, and what they said of a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, cast

from django.core.cache import cache
from django.db.models import Count, Q

from datasets.models import DatasetVersion
from judges.metrics import Estimate, mean_estimate, proportion
from judges.metrics.signs import sign_test
from judges.models import JudgeVersion
from judges.selectors import judges_of, versions_in
from runs.metrics import Sums, sums_by_scorer
from runs.models import ACTIVE_STATUSES, Run, RunStatus, Score
from runs.selectors_consistency import consistent_in, details_of, unreadable_of
from workspaces.models import Workspace

OPPONENTS = 30
SHOWN_REASONS = 3
COUNTED_AT_ONCE = 20_000  # scores; those of larger runs are counted again only now and then
COUNTED_EVERY_S = 20
KEPT_S = 24 * 3600
FLAGS = {
    "flipped": "changed with the order",
    "single_pass": "decided by one order alone",
    "split": "not unanimous",
    "votes_missing": "without a vote of every model",
}


def versions_offered(workspace: Workspace, also: Iterable[int] = ()) -> list[JudgeVersion]:
    """The newest version of each judge, and those asked for by id; by name."""
    newest = [judge.latest_id for judge in judges_of(workspace)]  # type: ignore[attr-defined]
    rows = versions_in(workspace).filter(pk__in=[*newest, *also], judge__archived_at=None)
    return sorted(rows, key=lambda version: (version.judge.name.casefold(), -version.number))


@dataclass(frozen=True)
class Opponent:
    """Other responses to the same items: `value` is run:ID or recorded:NAME."""

    value: str
    words: str


def opponents_on(version: DatasetVersion, but: int = 0) -> list[Opponent]:
    """Recorded responses, then the newest runs on this version."""
    recorded = [
        Opponent(f"recorded:{name}", f"{name}, recorded") for name in version.response_models[:OPPONENTS]
    ]
    runs = (
        Run.objects.filter(dataset_version=version, judged=None).exclude(pk=but).order_by("-id")[:OPPONENTS]
    )
    return [*recorded, *(Opponent(f"run:{run.pk}", f"run #{run.pk}, {run.alias}") for run in runs)]


@dataclass(frozen=True)
class Said:
    """How often each answer was given, why verdicts are missing, and how many carry a flag. Of a judging also
    the shares of its answered calls without a readable verdict and of responses whose repeats are alike."""

    answers: Mapping[str, int]
    reasons: Sequence[tuple[str, int]]
    flags: Mapping[str, int]
    unreadable: Estimate | None = None
    consistent: Estimate | None = None


@dataclass(frozen=True)
class Waits:
    """A paused member of a panel, and how many responses lack its vote though others have spoken."""

    judging: Run
    n: int


@dataclass(frozen=True)
class JudgeRow:
    """One judge, panel or member of a panel on a run's page. `judging` is None of a panel."""

    entry: Mapping[str, Any]
    judging: Run | None
    sums: Sums
    said: Said
    total: int
    waits: Sequence["Waits"] = ()

    @property
    def judged(self) -> int:
        return self.sums.scored + self.sums.unscored

    @property
    def is_active(self) -> bool:
        return self.judging is not None and self.judging.status in ACTIVE_STATUSES

    @property
    def headline(self) -> Estimate | None:
        """classify: share that passes; score: mean; compare: win rate with ties as half."""
        if not self.sums.scored:
            return None
        if self.entry["kind"] == "classify":
            return proportion(self.sums.passed, self.sums.scored)
        return mean_estimate(self.sums.value_sum, self.sums.value_sum_squares, self.sums.scored)

    @property
    def pass_share(self) -> Estimate | None:
        """Of a judge that scores with a threshold."""
        return proportion(self.sums.passed, self.sums.scored) if self.sums.scored else None

    @property
    def standard_deviation(self) -> float | None:
        """Of a judge that scores: the sample's, over n − 1."""
        n = self.sums.scored
        if self.entry["kind"] != "score" or n < 2:
            return None
        return sqrt(max(0.0, (self.sums.value_sum_squares - self.sums.value_sum**2 / n) / (n - 1)))

    @property
    def sign_p(self) -> float | None:
        """Of a comparison: wins against losses."""
        return sign_test(self.said.answers.get("A", 0), self.said.answers.get("B", 0))

    @property
    def flips(self) -> Estimate | None:
        """Of a comparison in both orders: responses whose verdict changed with the order."""
        both = self.sums.scored - self.said.flags.get("single_pass", 0)
        if not self.entry["judging"] or not self.entry.get("both_orders") or both <= 0:
            return None
        return proportion(self.said.flags.get("flipped", 0), both)

    @property
    def habits(self) -> list[tuple[str, Estimate]]:
        """How it behaves by itself, in words, each a share of responses or of calls."""
        found = (
            ("changed with the order", self.flips),
            ("of repeats all alike", self.said.consistent),
            ("of calls without a readable verdict", self.said.unreadable),
        )
        return [(words, share) for words, share in found if share]

    @property
    def flag_words(self) -> list[tuple[str, int]]:
        shown = {"flipped"} if self.flips else set()
        return [(FLAGS.get(flag, flag), n) for flag, n in self.said.flags.items() if n and flag not in shown]


def judge_rows(run: Run) -> list[JudgeRow]:
    """Judges in the order in which they were asked, then scorers that ask a model; two queries, and counts
    that are kept. Needs the tallies."""
    asking = [
        {**entry, "kind": "score", "panel": "", "opponent": None}
        for entry in run.config.get("scorers", [])
        if "judging" in entry
    ]
    judges = rows_of(run, [*run.config.get("judges", []), *asking])
    return [
        replace(row, said=replace(row.said, answers={})) if row.entry in asking else row for row in judges
    ]


def rows_of(run: Run, entries: Sequence[Mapping[str, Any]]) -> list[JudgeRow]:
    """Of these entries of the run's configuration; as `judge_rows`."""
    if not entries:
        return []
    judgings = {each.pk: each for each in run.judgings.select_related("workspace", "model", "opponent")}
    at_rest = run.is_finished and all(each.is_finished for each in judgings.values())
    sums = sums_by_scorer(run.tallies.all())
    return [
        JudgeRow(
            entry=entry,
            judging=judgings.get(entry["judging"]),
            sums=sums.get(entry["name"], Sums()),
            said=said_by(run, entry, sums.get(entry["name"], Sums()), at_rest=at_rest),
            total=run.total,
            waits=_waits(entry, judgings.values(), sums),
        )
        for entry in entries
    ]


def _waits(entry: Mapping[str, Any], judgings: Iterable[Run], sums: Mapping[str, Sums]) -> list[Waits]:
    """Of a panel: its members that are paused and behind the others."""
    if entry["judging"] is not None:
        return []
    members = [each for each in judgings if each.panel == entry["name"]]
    judged = {each.scorer: sums.get(each.scorer, Sums()) for each in members}
    count = {name: each.scored + each.unscored for name, each in judged.items()}
    most = max(count.values(), default=0)
    paused = [each for each in members if each.status == RunStatus.PAUSED]
    return [Waits(each, most - count[each.scorer]) for each in paused if count[each.scorer] < most]


def said_by(run: Run, entry: Mapping[str, Any], sums: Sums, *, at_rest: bool) -> Said:
    """Kept for this state of the counters; a large run's are up to COUNTED_EVERY_S seconds old until it is
    `at_rest`, with its judges."""
    count = sums.scored + sums.unscored
    if not count:
        return Said({}, (), {})
    key = f"said:{run.pk}:{entry['name']}".replace(" ", "_")
    if count > COUNTED_AT_ONCE and not at_rest:
        return cast(Said, cache.get_or_set(key, lambda: _count_said(run, entry), COUNTED_EVERY_S))
    exact = f"{key}:{run.sequence}"
    return cast(Said, cache.get_or_set(exact, lambda: _count_said(run, entry), KEPT_S))


def _count_said(run: Run, entry: Mapping[str, Any]) -> Said:
    scorer, orders = entry["name"], 2 if entry.get("both_orders") else 1
    repeated = bool(entry["judging"]) and entry.get("passes", 1) > orders
    scores = Score.objects.filter(run=run, scorer=scorer).order_by()
    answers = (
        scores.exclude(value=None).values_list("answer").annotate(n=Count("id")).order_by("-n", "answer")
    )
    reasons = scores.filter(value=None).values_list("unscored_reason").annotate(n=Count("id")).order_by("-n")
    flagged = {flag: Count("id", filter=Q(detail__flags__icontains=f'"{flag}"')) for flag in FLAGS}
    flags = scores.exclude(detail=None).aggregate(**flagged)
    return Said(
        answers=dict(answers[:20]),
        reasons=list(reasons[:SHOWN_REASONS]),
        flags=flags,
        unreadable=unreadable_of([entry["judging"]]) if entry["judging"] else None,
        consistent=consistent_in(details_of({(run.pk, scorer)})) if repeated else None,
    )


@dataclass(frozen=True)
class Judging:
    """How far the judges of a run are: responses with every verdict so far, of those that there will be."""

    done: int
    total: int


def judgings_of(runs: Sequence[Run]) -> dict[int, Judging]:
    """By run, only of those whose judges are at work; one query, none without judges. Needs the tallies."""
    judged = {run.pk: run for run in runs if run.is_judged}
    if not judged:
        return {}
    rows = Run.objects.filter(judged__in=judged, status__in=ACTIVE_STATUSES).values_list(
        "judged_id", "scorer"
    )
    active: dict[int, list[str]] = {}
    for pk, scorer in rows:
        active.setdefault(int(pk or 0), []).append(scorer)
    return {pk: _judging(judged[pk], scorers) for pk, scorers in active.items()}


def _judging(run: Run, scorers: Sequence[str]) -> Judging:
    sums = sums_by_scorer(tally for tally in run.tallies.all() if tally.scorer in scorers)
    done = min((sums[name].scored + sums[name].unscored if name in sums else 0) for name in scorers)
    return Judging(done, run.total - run.errored - run.canceled)
