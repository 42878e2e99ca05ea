"""People's own labels: drawing responses to label, and keeping what is said of one."""

import secrets

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from analysis.labelling import read_answer
from analysis.models import HumanLabel, ReviewSample
from analysis.selectors_review import LARGEST_SAMPLE, entry_of
from analysis.services import LONGEST_COMMENT, member
from judges.models import Judge, JudgeVersion
from runs.models import ACTIVE_STATUSES, Run, Trial, TrialState
from workspaces import audit
from workspaces.access import Access

SEEDS = 10**6


class ReviewProblem(ValueError):
    """Why it cannot be drawn or kept, in words for people."""


def sample_draw(
    access: Access, judge: Judge, run: Run, size: int, assignee_id: int | None = None
) -> ReviewSample:
    """Draws responses without a label, by a new seed. Raises ReviewProblem, TriageProblem."""
    if not 1 <= size <= LARGEST_SAMPLE:
        raise ReviewProblem(f"Draw 1 to {LARGEST_SAMPLE} responses.")
    if entry_of(run, judge) is None:
        raise ReviewProblem(f"{judge.name} has not judged run #{run.pk}.")
    at_work = Run.objects.filter(Q(pk=run.pk) | Q(judged=run), status__in=ACTIVE_STATUSES)
    if at_work.exists():
        raise ReviewProblem(
            f"Run #{run.pk} and its judges have to finish: all verdicts take part in the draw."
        )
    assignee = member(access, assignee_id)
    known = HumanLabel.objects.filter(judge=judge, run=run).aggregate(newest=Max("pk"))
    with transaction.atomic():
        row = ReviewSample.objects.create(
            workspace=access.workspace,
            judge=judge,
            run=run,
            size=size,
            seed=secrets.randbelow(SEEDS),
            after=known["newest"] or 0,
            assignee=assignee,
            created_by=access.actor,
        )
        audit.record(
            access, "review_sample.create", f"{judge.name} on run {run.pk}", size=size, seed=row.seed
        )
    return row


def label_keep(access: Access, judge: Judge, trial: Trial, answer: str, comment: str = "") -> HumanLabel:
    """Keeps what the person says, in place of an earlier label of theirs. Raises ReviewProblem.

    `judge` and the trial's run are of the access's workspace.
    """
    if len(comment) > LONGEST_COMMENT:
        raise ReviewProblem(f"A comment has at most {LONGEST_COMMENT:,} characters.")
    entry = entry_of(trial.run, judge)
    if entry is None or trial.state != TrialState.DONE:
        raise ReviewProblem(f"{judge.name} has not judged this response.")
    read = read_answer(JudgeVersion.objects.get(pk=entry["version"]), answer)
    if read is None:
        raise ReviewProblem(f"{judge.name} has no answer “{answer[:80]}”.")
    row, _ = HumanLabel.objects.update_or_create(
        judge=judge,
        trial=trial,
        person=access.actor,
        defaults={
            "workspace": access.workspace,
            "run": trial.run,
            "opponent_id": entry["opponent"],
            "answer": read.answer[:200],
            "value": read.value,
            "passed": read.passed,
            "comment": comment,
            "at": timezone.now(),
        },
    )
    return row
