"""The figures of the status page as Prometheus metrics. No label names a workspace, a run or a person."""

from collections.abc import Iterator

from evalportal.lib.exposition import Family, Sample, single, written
from registry.models import Health
from runs.models import RunStatus
from runs.selectors_status import ProviderRow, Status

GAUGE, COUNTER = "gauge", "counter"


def exposition(status: Status, attempts_ever: int) -> str:
    return written(
        [
            *worker_metrics(status),
            *work_metrics(status),
            single("evalportal_attempts_total", COUNTER, "Calls ever put on record.", attempts_ever),
            single(
                "evalportal_answers_per_minute", GAUGE, "Calls answered, at the latest pace.",
                status.answers_per_minute,
            ),
            *provider_metrics(status),
            *surrounding_metrics(status),
        ]
    )  # fmt: skip


def worker_metrics(status: Status) -> Iterator[Family]:
    yield single("evalportal_workers_alive", GAUGE, "Workers that reported within 20 s.", len(status.alive))
    yield single("evalportal_calls_in_flight", GAUGE, "Calls that living workers wait for.", status.in_flight)
    yield single(
        "evalportal_workers_memory_bytes", GAUGE, "Resident memory of living workers.", status.memory_bytes
    )


def work_metrics(status: Status) -> Iterator[Family]:
    work = status.work
    runs: list[Sample] = [({"status": name}, work.runs.get(name, 0)) for name in RunStatus.values]
    yield Family("evalportal_runs", GAUGE, "Runs by status.", runs)
    yield single(
        "evalportal_runs_without_worker", GAUGE, "Pending or running runs that nobody executes.",
        work.without_worker,
    )  # fmt: skip
    states = ("pending", "leased", "waiting", "paused", "done", "errored", "canceled")
    trials: list[Sample] = [({"state": state}, getattr(work, state)) for state in states]
    yield Family("evalportal_trials", GAUGE, "Trials by state; paused are those left in paused runs.", trials)
    yield single(
        "evalportal_oldest_lease_seconds", GAUGE, "Since the oldest lease was renewed; 0 without leases.",
        work.oldest_lease_s or 0,
    )  # fmt: skip


def provider_metrics(status: Status) -> Iterator[Family]:
    rows = status.providers
    probed = [row for row in rows if row.provider.health != Health.UNKNOWN]
    up = [(labels(row), float(row.provider.health == Health.OK)) for row in probed]
    yield Family("evalportal_provider_up", GAUGE, "What the latest probe found; absent without one.", up)
    checked = [
        (labels(row), row.provider.health_checked_at.timestamp())
        for row in probed
        if row.provider.health_checked_at
    ]
    yield Family("evalportal_provider_probe_timestamp_seconds", GAUGE, "When it was probed.", checked)
    held = [(labels(row), row.held_s) for row in rows]
    yield Family("evalportal_provider_held_seconds", GAUGE, "Until calls go out again; 0 when they do.", held)
    circuits = [(labels(row), float(row.hold in ("open", "probe"))) for row in rows]
    yield Family("evalportal_provider_circuit_open", GAUGE, "Whether its circuit breaker is open.", circuits)
    flying = [(labels(row), float(row.in_flight)) for row in rows]
    yield Family("evalportal_provider_calls_in_flight", GAUGE, "Calls in flight now.", flying)
    recent = [
        ({**labels(row), "outcome": outcome}, float(n))
        for row in rows
        for outcome, n in sorted(row.calls.outcomes.items())
    ]
    meaning = "Calls of the last 5 minutes by outcome, of at most 2,000 of all providers."
    yield Family("evalportal_provider_recent_calls", GAUGE, meaning, recent)


def labels(row: ProviderRow) -> dict[str, str]:
    return {"provider": str(row.provider.pk), "name": row.provider.name}


def surrounding_metrics(status: Status) -> Iterator[Family]:
    around = status.surroundings
    broker = around.broker
    yield single("evalportal_queue_messages", GAUGE, "Messages that wait in the broker.", broker.messages)
    yield single("evalportal_websockets", GAUGE, "Open live sockets of all web processes.", broker.sockets)
    if broker.uses_redis:
        yield single("evalportal_redis_up", GAUGE, "Whether Redis answers.", float(broker.answers))
    layer = float(around.layer_ms is not None)
    yield single("evalportal_channel_layer_up", GAUGE, "Whether the channel layer answers.", layer)
    yield single("evalportal_database_bytes", GAUGE, "Size of the database.", around.database.bytes)
    yield single(
        "evalportal_disk_free_bytes", GAUGE, "Free where the data folder is.", around.disk.free_bytes
    )
    info = {"version": around.version, "database": around.database.kind}
    yield Family("evalportal_info", GAUGE, "Always 1.", [(info, 1.0)])
