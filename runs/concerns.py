"""What an operator should look at, in words that say what to do. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from runs.selectors_status import Status


@dataclass(frozen=True)
class Concern:
    """`tone` is "bad" (work stands still or is about to) or "warn"."""

    tone: str
    title: str
    advice: str


def concerns_of(status: Status) -> list[Concern]:
    """The worst first."""
    found = [*about_workers(status), *about_surroundings(status), *about_providers(status)]
    return sorted(found, key=lambda concern: concern.tone)


def about_workers(status: Status) -> Iterator[Concern]:
    work = status.work
    if not status.alive:
        tone, waiting = (
            ("bad", f"{work.active:,} of them do now") if work.active else ("warn", "none does now")
        )
        yield Concern(tone, "No worker is alive", f"Runs wait until one is started; {waiting}.")
    elif work.lease_ran_out:
        yield Concern(
            "warn",
            "A lease has run out",
            "Its worker was lost. Another takes its items within seconds; if not, restart the workers.",
        )


def about_providers(status: Status) -> Iterator[Concern]:
    for row in status.providers:
        if row.hold in ("open", "probe"):
            yield Concern(
                "warn",
                f"{row.provider.name} is left alone",
                f"{row.reason or 'It kept failing'}. One call tries it when the time is over.",
            )


def about_surroundings(status: Status) -> Iterator[Concern]:
    around = status.surroundings
    if not around.broker.answers:
        yield Concern(
            "bad",
            "Redis does not answer",
            "Live pages stand still and new runs start late. Restart it; no work is lost.",
        )
    elif around.layer_ms is None:
        yield Concern(
            "bad", "The channel layer does not answer", "Live pages stand still. Restart the web process."
        )
    if around.disk.is_low:
        yield Concern(
            "bad",
            "The data folder's disk is nearly full",
            "Less than 1 GB is free. Make room before runs are paused.",
        )
