"""What the processes of the engine tell each other: who executes what, and each provider's limits."""

from django.db import models

from registry.models import Provider
from runs.models.runs import Run
from workspaces.models import Workspace


class PumpLease(models.Model):
    """A process that executes a run, until then by the database's clock. Several may share one run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="pumps")
    owner = models.CharField(max_length=64)
    until_ms = models.BigIntegerField()
    calls = models.PositiveIntegerField(db_default=0, default=0, help_text="It may have in flight")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "owner"], name="pump_once")]
        indexes = [models.Index(fields=["until_ms"], name="pump_by_expiry")]

    def __str__(self) -> str:
        return f"pump of run {self.run_id} by {self.owner}"


class Worker(models.Model):
    """A process with an engine, as it last reported itself; the status page and the metrics read it."""

    owner = models.CharField(max_length=64, unique=True, help_text="The name it signs leases with")
    machine = models.CharField(max_length=60)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_ms = models.BigIntegerField(help_text="By the database's clock")
    runs = models.PositiveIntegerField(default=0, help_text="That it executes now")
    in_flight = models.PositiveIntegerField(default=0, help_text="Calls that it waits for now")
    memory_mb = models.PositiveIntegerField(default=0, help_text="Resident")

    def __str__(self) -> str:
        return self.owner


class ProviderHold(models.Model):
    """What all processes must know of a provider before they call it: its pause and its circuit breaker."""

    provider = models.OneToOneField(Provider, on_delete=models.CASCADE, related_name="hold")
    closed_until_ms = models.BigIntegerField(default=0, help_text="It asked for a pause until then")
    open_until_ms = models.BigIntegerField(default=0, help_text="Its circuit is open; then one probe is sent")
    failures = models.PositiveIntegerField(default=0, help_text="In a row, over all processes")
    probe_owner = models.CharField(max_length=64, blank=True, help_text="Who sends the probe")
    reason = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"hold of {self.provider_id}"


class ProviderDemand(models.Model):
    """How many calls a process wants in flight at a provider; its share of the limits is its share of all."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="demands")
    owner = models.CharField(max_length=64)
    wanted = models.PositiveIntegerField()
    limit = models.FloatField(help_text="How many it lets in flight now")
    part = models.FloatField(db_default=1.0, help_text="Of its places; 429 lowers it")
    in_flight = models.PositiveIntegerField(default=0)
    until_ms = models.BigIntegerField(help_text="It counts until then")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "owner"], name="demand_once")]

    def __str__(self) -> str:
        return f"demand of {self.owner} on {self.provider_id}"


class MonthlySpend(models.Model):
    """What a workspace's calls of one month (UTC) came to; moves with the run's own counters."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="spends")
    month = models.DateField(help_text="Its first day")
    cost = models.DecimalField(max_digits=18, decimal_places=8, db_default=0)
    tokens = models.PositiveBigIntegerField(db_default=0)
    calls = models.PositiveBigIntegerField(db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "month"], name="spend_once")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} of workspace {self.workspace_id}"
