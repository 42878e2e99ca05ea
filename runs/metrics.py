"""The figures of a run, from its counters: each with n and, where one exists, its 95 % interval."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from judges.metrics import Estimate, mean_estimate, proportion
from runs.models import Run, Tally


@dataclass(frozen=True)
class Metric:
    """One figure. `unit` is "share" (0..1), ms, tokens, usd, s or value; `note` says what n counts."""

    key: str
    label: str
    unit: str
    value: float | Decimal | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    correct: int | None = None
    note: str = ""
    provisional: bool = False

    def as_json(self) -> dict[str, Any]:
        fields = {
            key: value for key, value in asdict(self).items() if key not in ("key", "label", "provisional")
        }
        if isinstance(self.value, Decimal):
            fields["value"] = str(self.value)
        return {name: value for name, value in fields.items() if value not in (None, "") or name == "value"}


@dataclass(frozen=True)
class SectionRow:
    """The primary scorer over one section."""

    name: str
    estimate: Estimate | None
    n: int
    unscored: int
    p50_ms: float | None


@dataclass
class Sums:
    scored: int = 0
    passed: int = 0
    unscored: int = 0
    value_sum: float = 0.0
    value_sum_squares: float = 0.0

    def add(self, tally: Tally) -> None:
        self.scored += tally.scored
        self.passed += tally.passed
        self.unscored += tally.unscored
        self.value_sum += tally.value_sum
        self.value_sum_squares += tally.value_sum_squares

    @property
    def binary(self) -> bool:
        return self.value_sum == self.value_sum_squares == self.passed


def sums_by_scorer(tallies: Iterable[Tally]) -> dict[str, Sums]:
    sums: dict[str, Sums] = defaultdict(Sums)
    for tally in tallies:
        sums[tally.scorer].add(tally)
    return sums


def run_metrics(run: Run, tallies: Iterable[Tally] | None = None) -> list[Metric]:
    """All figures of a run in the order of its page. One query unless the tallies are given."""
    rows = list(run.tallies.all()) if tallies is None else list(tallies)
    sums = sums_by_scorer(rows)
    partial = not run.is_finished
    metrics: list[Metric] = []
    for index, scorer in enumerate(run.all_scorers):
        metrics += _scorer_metrics(
            run, scorer, sums.get(scorer["name"], Sums()), primary=index == 0, partial=partial
        )
    metrics.append(
        _share(
            "answer_rate", "Answer rate", run.answered, run.done, partial, note="answers that are not empty"
        )
    )
    metrics += _latency_metrics(run.summary.get("latency"), partial)
    metrics += _totals(run)
    return metrics


def metrics_json(run: Run) -> dict[str, dict[str, Any]]:
    return {metric.key: metric.as_json() for metric in run_metrics(run)}


def primary_estimate(run: Run, tallies: Iterable[Tally]) -> Estimate | None:
    """Accuracy by the first scorer, or None before the first score."""
    names = run.scorer_names
    sums = sums_by_scorer(tallies).get(names[0]) if names else None
    return proportion(sums.passed, sums.scored) if sums and sums.scored else None


def _scorer_metrics(
    run: Run, scorer: Mapping[str, Any], sums: Sums, *, primary: bool, partial: bool
) -> list[Metric]:
    left_out = [
        f"{count:,} {word}"
        for count, word in ((sums.unscored, "unscored"), (run.errored, "errored"))
        if count
    ]
    note = f"{', '.join(left_out)} not counted" if left_out else ""
    title = scorer.get("title") or scorer["name"]
    metrics = []
    if primary:
        metrics.append(_share("accuracy", "Accuracy", sums.passed, sums.scored, partial, note=note))
    if scorer["key"] == "exact_match":
        metrics.append(_share("exact_match", "Exact match", sums.passed, sums.scored, partial, note=note))
    elif not primary:
        metrics.append(_share(scorer["name"], str(title), sums.passed, sums.scored, partial, note=note))
    if sums.scored and (primary or not sums.binary):
        mean = mean_estimate(sums.value_sum, sums.value_sum_squares, sums.scored)
        key, label = ("mean", "Mean score") if primary else (f"{scorer['name']}_mean", f"{title}, mean")
        metrics.append(
            Metric(
                key, label, "value", mean.value, mean.low, mean.high, mean.n, note=note, provisional=partial
            )
        )
    return metrics


def _share(key: str, label: str, k: int, n: int, partial: bool, note: str = "") -> Metric:
    if not n:
        return Metric(key, label, "share", None, note=note, provisional=partial)
    estimate = proportion(k, n)
    return Metric(
        key,
        label,
        "share",
        estimate.value,
        estimate.low,
        estimate.high,
        n,
        correct=k,
        note=note,
        provisional=partial,
    )


def _latency_metrics(latency: Mapping[str, Any] | None, partial: bool) -> list[Metric]:
    if not latency:
        return []
    return [
        Metric(
            f"latency_{name}",
            f"Latency {name}",
            "ms",
            latency[name],
            latency.get(f"{name}_low"),
            latency.get(f"{name}_high"),
            latency["n"],
            provisional=partial,
        )
        for name in ("p50", "p95")
    ]


def _totals(run: Run) -> list[Metric]:
    totals = [
        Metric(
            "errors",
            "Errors left",
            "value",
            run.errored,
            n=run.total,
            note=f"{run.retried:,} of {run.total:,} items were retried" if run.retried else "",
        ),
    ]
    if run.input_tokens or run.output_tokens:
        totals.append(Metric("input_tokens", "Input tokens", "tokens", run.input_tokens, n=run.done))
        totals.append(Metric("output_tokens", "Output tokens", "tokens", run.output_tokens, n=run.done))
    if run.cost is not None:
        totals.append(Metric("cost", "Cost", "usd", run.cost, n=run.done))
    seconds = elapsed_s(run)
    if seconds is not None:
        totals.append(Metric("duration", "Duration", "s", round(seconds, 1), n=run.done))
    return totals


def elapsed_s(run: Run) -> float | None:
    """Seconds of work until its end, or until now; pauses and the time before a retry do not count."""
    if run.started_at is None:
        return None
    present = timezone.now().timestamp() * 1000 - run.working_since_ms if run.working_since_ms else 0
    return (run.worked_ms + max(0.0, present)) / 1000


def section_rows(run: Run, tallies: Iterable[Tally] | None = None) -> list[SectionRow]:
    """The primary scorer by section, in the dataset's order. Loads the dataset version and the tallies."""
    names = run.scorer_names
    rows = run.tallies.all() if tallies is None else tallies
    by_section = {tally.section: tally for tally in rows if names and tally.scorer == names[0]}
    order = [section["name"] for section in run.dataset_version.sections]
    order += [name for name in by_section if name not in order]
    medians = run.summary.get("sections", {})
    return [
        SectionRow(
            name=name,
            estimate=proportion(tally.passed, tally.scored) if tally.scored else None,
            n=tally.scored,
            unscored=tally.unscored,
            p50_ms=(medians.get(name) or {}).get("p50"),
        )
        for name in order
        if (tally := by_section.get(name))
    ]
