"""Trials, their calls and their scores."""

from django.db import models
from django.db.models import Q

from datasets.models import Item
from runs.models.runs import Run
from runs.models.states import TrialState


class Trial(models.Model):
    """One item of a run in one turn (`runs.variations`: epoch and variant). Columns have database defaults:
    a launch inserts by SELECT."""

    # No index of their own for keys that begin another one: each would be written with every answer. Nor does
    # the database look up each row's run and item, which took as long as the rest of a launch: trials are
    # made from both in a transaction that holds the run, and the run's version keeps its items. The same
    # goes for attempts and scores: who writes them, or deletes the run, holds its row.
    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="trials", db_index=False, db_constraint=False
    )
    item = models.ForeignKey(
        Item, on_delete=models.PROTECT, related_name="trials", db_index=False, db_constraint=False
    )
    epoch = models.PositiveSmallIntegerField(
        db_default=1, help_text="Of a judging: (epoch of what is judged - 1) * passes + pass, from 1"
    )
    judged = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.CASCADE,
        related_name="judged_by",
        db_index=False,
        help_text="Of a judging: the trial whose response is judged",
    )
    seq = models.PositiveIntegerField(
        help_text="From 1 within the run; the order of work, pages and the grid"
    )
    section = models.CharField(max_length=120, db_default="", help_text="The item's, kept here for filters")

    state = models.CharField(max_length=8, choices=TrialState.choices, db_default=TrialState.PENDING)
    fence = models.PositiveIntegerField(
        db_default=0, help_text="Grows with each lease; an older holder writes nothing"
    )
    owner = models.CharField(max_length=64, db_default="")
    lease_until_ms = models.BigIntegerField(db_default=0)
    not_before_ms = models.BigIntegerField(db_default=0)
    crashes = models.PositiveSmallIntegerField(db_default=0, help_text="Leases that ran out")
    failures = models.PositiveSmallIntegerField(
        db_default=0, help_text="Failed calls that count against the limit"
    )
    attempt_count = models.PositiveSmallIntegerField(db_default=0)

    response = models.TextField(db_default="")
    finish_reason = models.CharField(max_length=40, db_default="")
    error_kind = models.CharField(max_length=40, db_default="")
    error = models.TextField(db_default="", help_text="What happened, in words for people")
    reserved_tokens = models.PositiveBigIntegerField(
        db_default=0, help_text="Held back from the run's ceiling while it is leased"
    )
    reserved_cost = models.DecimalField(max_digits=14, decimal_places=8, db_default=0)
    cache_key = models.CharField(
        max_length=32, db_default="", help_text="What was asked, in this workspace; empty without the cache"
    )
    cached = models.BooleanField(db_default=False, help_text="Answered by an earlier, identical call")
    passed = models.BooleanField(null=True, help_text="The first scorer's verdict; empty when unscored")
    answer = models.TextField(db_default="", help_text="What the first scorer read out of the response")
    latency_ms = models.PositiveIntegerField(
        null=True, help_text="Of the accepted call; empty for recorded responses"
    )
    first_token_ms = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cost = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["item", "run", "epoch"], name="trial_once"),
            models.UniqueConstraint(fields=["run", "seq"], name="trial_seq_once"),
            models.CheckConstraint(condition=Q(state__in=list(TrialState.values)), name="trial_state_known"),
        ]
        indexes = [
            models.Index(fields=["run", "state", "seq"], name="trial_by_state"),
            models.Index(fields=["run", "passed", "seq"], name="trial_by_verdict", condition=Q(state="done")),
            models.Index(fields=["run", "section", "seq"], name="trial_by_section"),
            models.Index(fields=["judged"], name="trial_by_judged", condition=Q(judged__isnull=False)),
            models.Index(fields=["lease_until_ms"], name="trial_leases", condition=Q(state="leased")),
            models.Index(
                fields=["lease_until_ms"],
                name="trial_abandoned",
                condition=Q(state="canceled") & ~Q(owner=""),
            ),
            models.Index(
                fields=["run"], name="trial_crashed", condition=Q(crashes__gt=0) & Q(finished_at__isnull=True)
            ),
            models.Index(
                fields=["cache_key"], name="trial_cache", condition=Q(state="done") & ~Q(cache_key="")
            ),
        ]

    def __str__(self) -> str:
        return f"trial {self.pk}"


class Attempt(models.Model):
    """One outbound call for a trial, on record before it goes out; finished once, never changed after."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts", db_constraint=False)
    trial = models.ForeignKey(
        Trial, on_delete=models.CASCADE, related_name="attempts", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()
    fence = models.PositiveIntegerField()
    outcome = models.CharField(
        max_length=40, db_default="open", help_text="open, ok, lost (its worker died), or the kind of error"
    )
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(db_default="", help_text="In words, then the raw body's beginning")
    retry_after_ms = models.PositiveIntegerField(null=True, help_text="What the provider asked for")
    wait_ms = models.PositiveBigIntegerField(null=True, help_text="Until the next attempt, as it was decided")
    latency_ms = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["trial", "number"], name="attempt_once")]
        indexes = [
            models.Index(
                fields=["run", "id"], name="attempt_failed", condition=~Q(outcome__in=["open", "ok"])
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of trial {self.trial_id}"


class Score(models.Model):
    """One scorer's verdict on one trial: a value, or a reason why there is none (never 0)."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="scores", db_index=False, db_constraint=False
    )
    trial = models.ForeignKey(
        Trial, on_delete=models.CASCADE, related_name="scores", db_index=False, db_constraint=False
    )
    scorer = models.CharField(max_length=80, help_text="The name it has in the run's configuration")
    value = models.FloatField(null=True)
    passed = models.BooleanField(null=True)
    answer = models.TextField(db_default="", help_text="What was read out of the response")
    explanation = models.TextField(db_default="", help_text="Which rule found it, and why it passed or not")
    unscored_reason = models.CharField(max_length=200, db_default="")
    detail = models.JSONField(
        null=True,
        help_text='Of judges that ask several times: {"flags": ["single_pass", "flipped", …], "passes": '
        '[{"seq", "swapped", "answer", "value", "feedback", "error"}]}; of panels: {"flags", "votes"}',
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["trial", "scorer"], name="score_once"),
            models.CheckConstraint(
                condition=Q(value__isnull=False, unscored_reason="")
                | (Q(value=None) & ~Q(unscored_reason="")),
                name="score_value_or_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["run", "scorer", "value"], name="score_by_scorer"),
            models.Index(fields=["run", "scorer"], name="score_detailed", condition=Q(detail__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.scorer} of trial {self.trial_id}"
