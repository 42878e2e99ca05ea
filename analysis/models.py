"""What people conclude: triaged items, comparisons kept under a name, and their own labels of responses."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from datasets.models import Item
from judges.models import Judge
from runs.models import Run, Trial
from workspaces.models import Workspace


class TriageState(models.TextChoices):
    OPEN = "open", "To decide"
    REAL = "real", "Real"
    FLAKY = "flaky", "Flaky"
    WRONG_REFERENCE = "wrong_reference", "Wrong reference"
    JUDGE_WRONG = "judge_wrong", "Judge wrong"
    ACCEPTED = "accepted", "Accepted"


class TriagedItem(models.Model):
    """What the workspace holds of an item that a run got wrong; one decision per item and run.

    Runs are deleted by table, so their rows here are not constrained: readers join them.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="triaged")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="triaged")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_constraint=False, related_name="triaged")
    baseline = models.ForeignKey(
        Run,
        null=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="+",
        help_text="The run that it was compared with",
    )
    scorer = models.CharField(max_length=80, blank=True, help_text="By which verdict it was wrong")
    state = models.CharField(max_length=15, choices=TriageState.choices, default=TriageState.OPEN)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    comment = models.TextField(blank=True, max_length=2000)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_at = models.DateTimeField()
    again = models.ForeignKey(
        Run,
        null=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="+",
        help_text="The latest run that asked the item again",
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "item"], name="triage_once"),
            models.CheckConstraint(
                condition=Q(state__in=list(TriageState.values)), name="triage_state_known"
            ),
        ]
        indexes = [models.Index(fields=["workspace", "state", "-id"], name="triage_by_state")]

    def __str__(self) -> str:
        return f"triage of item {self.item_id} in run {self.run_id}"


class SavedComparison(models.Model):
    """A comparison under a name, for everyone in the workspace: the query string of its page."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="comparisons")
    name = models.CharField(max_length=120)
    query = models.CharField(max_length=2000)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="comparison_name_once")]

    def __str__(self) -> str:
        return self.name


class HumanLabel(models.Model):
    """What a person says of a response by a judge's rubric, in the judge's own terms.

    Runs are deleted by table, so run and trial are not constrained here: readers join them.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="human_labels")
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="human_labels")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_constraint=False, related_name="human_labels")
    trial = models.ForeignKey(
        Trial, on_delete=models.CASCADE, db_constraint=False, related_name="human_labels"
    )
    opponent = models.ForeignKey(
        Run,
        null=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="+",
        help_text="Of a rubric that compares: the run with the other response",
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    answer = models.CharField(max_length=200, help_text="A label, a number, or A, B or tie")
    value = models.FloatField()
    passed = models.BooleanField(null=True)
    comment = models.TextField(blank=True, max_length=2000)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["trial", "judge", "person"], name="human_label_once"),
        ]
        indexes = [models.Index(fields=["judge", "run"], name="human_label_by_run")]

    def __str__(self) -> str:
        return f"{self.answer} for trial {self.trial_id}"


class ReviewSample(models.Model):
    """Responses drawn for people to label: what it takes to draw the same ones again.

    The first `size` of the run's judged trials in an order that `seed` shuffles, without those that had a
    label up to `after`, the newest label's id at the draw.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="review_samples")
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="review_samples")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, db_constraint=False, related_name="review_samples")
    size = models.PositiveIntegerField()
    seed = models.PositiveIntegerField()
    after = models.PositiveBigIntegerField(default=0)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["workspace", "-id"], name="review_by_workspace")]

    def __str__(self) -> str:
        return f"review sample {self.pk}"
