"""What people who label are shown: which judged runs there are, the sample, one response at a time."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from analysis.labelling import Choice, choices_of
from analysis.models import HumanLabel, ReviewSample
from judges.models import Judge, JudgeVersion
from judges.selectors import all_judges_of, versions_in
from runs.models import Run, Score, Trial, TrialState
from runs.selectors_pages import Prompt, prompt_of_trial
from runs.selectors_variants import show_as_asked
from workspaces.models import Membership, User, Workspace

RUNS = 50
SAMPLES = 30
LARGEST_SAMPLE = 500


def judges_to_review(workspace: Workspace) -> list[Judge]:
    """By name, with `labels`, the number of people's labels. One query."""
    held = HumanLabel.objects.filter(judge=OuterRef("pk")).order_by().values("judge")
    counted = held.annotate(n=Count("pk")).values("n")
    return list(all_judges_of(workspace).annotate(labels=Coalesce(Subquery(counted), 0)))


def entry_of(run: Run, judge: Judge, versions: Sequence[int] | None = None) -> Mapping[str, Any] | None:
    """The run's first entry of the judge: of a panel its own. One query without `versions`."""
    if versions is None:
        versions = list(judge.versions.values_list("pk", flat=True))
    entries = run.config.get("judges", [])
    return next((each for each in entries if not each["panel"] and each["version"] in versions), None)


def judged_runs(judge: Judge) -> list[Run]:
    """The newest runs that it judged, with their dataset's name. Two queries."""
    versions = list(judge.versions.values_list("pk", flat=True))
    own = Run.objects.filter(workspace=judge.workspace_id)
    asked = own.filter(judged__isnull=False, config__judge__judge_id=judge.pk)
    runs = own.filter(pk__in=asked.values("judged"))
    rows = runs.select_related("dataset_version__dataset").order_by("-pk")[:RUNS]
    return [run for run in rows if entry_of(run, judge, versions)]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Trials drawn from those of a run that a judge gave a verdict; all that it takes is in its query."""

    judge: Judge
    run: Run
    entry: Mapping[str, Any]
    size: int
    seed: int
    after: int

    def query(self, at: int | None = None, **more: Any) -> str:
        fields = {
            "judge": self.judge.pk,
            "run": self.run.pk,
            "n": self.size,
            "seed": self.seed,
            "after": self.after,
        }
        return "?" + urlencode(fields | ({"at": at} if at else {}) | {k: v for k, v in more.items() if v})

    def shows_swapped(self, trial_id: int) -> bool:
        """Whether a comparison shows B first: people favour a place too, so chance decides."""
        return self.entry["kind"] == "compare" and _place(self.seed, trial_id)[0] % 2 == 1


def _place(seed: int, trial_id: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{trial_id}".encode(), digest_size=12).digest()


def sampled(sample: Sample) -> list[int]:
    """Trial ids in the order of the draw; two queries."""
    judged = Score.objects.filter(run=sample.run, scorer=sample.entry["name"], value__isnull=False)
    earlier = set(labels_on(sample).filter(pk__lte=sample.after).values_list("trial_id", flat=True))
    ids = [pk for pk in judged.order_by().values_list("trial_id", flat=True) if pk not in earlier]
    return sorted(ids, key=lambda pk: _place(sample.seed, pk))[: sample.size]


def labels_on(sample: Sample) -> QuerySet[HumanLabel]:
    return HumanLabel.objects.filter(judge=sample.judge, run=sample.run)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One response of the sample. What others said is there only beside the person's own label."""

    at: int
    trial: Trial
    prompt: Prompt
    responses: Sequence[str]
    choices: Sequence[Choice]
    own: HumanLabel | None
    said: Score | None = None
    others: Sequence[HumanLabel] = ()


@dataclass(frozen=True, kw_only=True)
class Review:
    """Where a person is in a sample. `labelled` and `open_` are positions from 1 within it."""

    sample: Sample
    version: JudgeVersion
    total: int
    labelled: int
    first_open: int | None
    shown: Shown | None


def review_of(sample: Sample, person: User | None, at: int | None) -> Review:
    """At that position, else at the first that the person has not labelled. At most ten queries."""
    ids = sampled(sample)
    version = versions_in(sample.run.workspace).get(pk=sample.entry["version"])
    mine = set(labels_on(sample).filter(person=person).values_list("trial_id", flat=True))
    first_open = next((place for place, pk in enumerate(ids, 1) if pk not in mine), None)
    place = min(at or first_open or 1, len(ids))
    return Review(
        sample=sample,
        version=version,
        total=len(ids),
        labelled=sum(pk in mine for pk in ids),
        first_open=first_open,
        shown=_shown(sample, version, ids[place - 1], place, person) if ids else None,
    )


def _shown(sample: Sample, version: JudgeVersion, trial_id: int, at: int, person: User | None) -> Shown:
    trial = Trial.objects.select_related("item").get(pk=trial_id)
    show_as_asked(sample.run, [trial])
    swapped = sample.shows_swapped(trial_id)
    responses = [trial.response]
    if sample.entry["kind"] == "compare":
        responses.append(_other_response(sample, trial))
    labels = list(labels_on(sample).filter(trial=trial).select_related("person"))
    own = next((label for label in labels if person and label.person_id == person.pk), None)
    said = Score.objects.filter(trial=trial, scorer=sample.entry["name"]).first() if own else None
    return Shown(
        at=at,
        trial=trial,
        prompt=prompt_of_trial(sample.run, trial),
        responses=responses[::-1] if swapped else responses,
        choices=choices_of(version, swapped),
        own=own,
        said=said,
        others=[label for label in labels if label != own] if own else (),
    )


def _other_response(sample: Sample, trial: Trial) -> str:
    others = Trial.objects.filter(run=sample.entry["opponent"], item=trial.item_id, state=TrialState.DONE)
    return others.filter(epoch=trial.epoch).values_list("response", flat=True).first() or ""


def responses_of(sample: Sample) -> list[tuple[Trial, Sequence[str]]]:
    """What the sample asks about, in its order: each trial with its item as it was asked, and the responses
    in the order in which they are shown. Four queries."""
    ids = sampled(sample)
    trials = Trial.objects.select_related("item").in_bulk(ids)
    show_as_asked(sample.run, trials.values())
    others: dict[tuple[int, int], str] = {}
    if sample.entry["kind"] == "compare":
        items = [trial.item_id for trial in trials.values()]
        rows = Trial.objects.filter(run=sample.entry["opponent"], item__in=items, state=TrialState.DONE)
        others = {
            (item, epoch): text for item, epoch, text in rows.values_list("item_id", "epoch", "response")
        }
    found: list[tuple[Trial, Sequence[str]]] = []
    for pk in ids:
        trial = trials[pk]
        shown = [trial.response]
        if sample.entry["kind"] == "compare":
            shown.append(others.get((trial.item_id, trial.epoch), ""))
        found.append((trial, shown[::-1] if sample.shows_swapped(pk) else shown))
    return found


def sample_in(row: ReviewSample) -> Sample | None:
    """The sample that a row stands for; None where the judge is no longer on the run."""
    entry = entry_of(row.run, row.judge)
    if entry is None:
        return None
    return Sample(judge=row.judge, run=row.run, entry=entry, size=row.size, seed=row.seed, after=row.after)


def samples_in(workspace: Workspace) -> QuerySet[ReviewSample]:
    """Of runs that are there, newest first."""
    rows = ReviewSample.objects.filter(workspace=workspace, run__workspace=workspace)
    return rows.select_related("judge", "run", "assignee", "created_by")


def samples_of(workspace: Workspace) -> list[tuple[ReviewSample, int]]:
    """The newest samples, each with how many of its run's responses its assignee (else anyone) labelled."""
    return with_labelled(list(samples_in(workspace)[:SAMPLES]))


def with_labelled(rows: Sequence[ReviewSample]) -> list[tuple[ReviewSample, int]]:
    """One query."""
    since = HumanLabel.objects.filter(judge__in=[row.judge_id for row in rows])
    labels = list(since.values_list("judge_id", "run_id", "person_id", "pk", "trial_id"))
    return [(row, _labelled(row, labels)) for row in rows]


def _labelled(row: ReviewSample, labels: Sequence[tuple[int, int, int | None, int, int]]) -> int:
    counted = {
        trial
        for judge, run, person, pk, trial in labels
        if (judge, run) == (row.judge_id, row.run_id)
        and pk > row.after
        and (row.assignee_id in (None, person))
    }
    return min(len(counted), row.size)


def members_of(workspace: Workspace) -> list[Membership]:
    return list(Membership.objects.filter(workspace=workspace).select_related("user").order_by("user__email"))
