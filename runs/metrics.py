"""The figures of a run, from its counters: each with n and, where one exists, its 95 % interval."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Any

from django.utils import timezone

from judges.metrics import Estimate, mean_estimate, proportion
from judges.metrics.clustered import ClusterSums, share_from_sums
from judges.metrics.weighted import WeightSums, weighted_mean
from runs.models import Run, Tally
from runs.variations import turns_of


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
    is_member: bool = False  # of a panel, which has its own figure

    def as_json(self) -> dict[str, Any]:
        fields = {
            key: value
            for key, value in asdict(self).items()
            if key not in ("key", "label", "provisional", "is_member")
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
        own = sums.get(scorer["name"], Sums())
        figures = _win_rate if scorer.get("kind") == "compare" else _scorer_metrics
        found = figures(run, scorer, own, primary=index == 0, partial=partial)
        metrics += [replace(each, is_member=True) for each in found] if scorer.get("panel") else found
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
    return verdict_estimate(run, sums) if sums else None


def verdict_estimate(run: Run, sums: "Sums | Tally") -> Estimate | None:
    """The share that passes by the first scorer; of a comparison the win rate, with ties as half."""
    if not sums.scored:
        return None
    if run.all_scorers[0].get("kind") == "compare":
        return win_rate(sums)
    return share_of(run, run.scorer_names[0], sums)


def share_of(run: Run, scorer: str, sums: "Sums | Tally") -> Estimate:
    """The share that passes. With epochs or variants it respects that those of one item hang together: from
    the finished run's summary, before as if they always agreed. Needs a scored trial."""
    turns = turns_of(run.config)
    if turns == 1:
        return proportion(sums.passed, sums.scored)
    kept = run.summary.get("clusters", {}).get(scorer, {})
    names = [sums.section] if isinstance(sums, Tally) else list(kept)
    parts = [ClusterSums(*kept[name]) for name in names if name in kept]
    if parts:
        whole = reduce(add, parts)
        if (whole.n, whole.hits) == (sums.scored, sums.passed):
            return share_from_sums(whole)
    wide = proportion(round(sums.passed / turns), max(1, round(sums.scored / turns)))
    share = sums.passed / sums.scored
    low, high = min(share, wide.low or 0.0), max(share, 1.0 if wide.high is None else wide.high)
    return Estimate(share, low, high, sums.scored, sums.passed)


def mean_of(run: Run, sums: Sums) -> Estimate:
    """Of the values; with several trials an item, its interval is as wide as if an item's always agreed."""
    found = mean_estimate(sums.value_sum, sums.value_sum_squares, sums.scored)
    turns = turns_of(run.config)
    if turns == 1:
        return found
    items = max(1, round(sums.scored / turns))
    share = items / sums.scored
    wide = mean_estimate(sums.value_sum * share, sums.value_sum_squares * share, items)
    return replace(found, low=wide.low, high=wide.high)


def win_rate(sums: "Sums | Tally") -> Estimate:
    """With a t interval, cut to 0..1. Needs a scored trial."""
    found = mean_estimate(sums.value_sum, sums.value_sum_squares, sums.scored)
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _scorer_metrics(
    run: Run, scorer: Mapping[str, Any], sums: Sums, *, primary: bool, partial: bool
) -> list[Metric]:
    note = _left_out(run, sums)
    share = share_of(run, scorer["name"], sums) if sums.scored else None
    title = scorer.get("title") or scorer["name"]
    metrics = []
    if primary:
        metrics.append(_as_metric("accuracy", "Accuracy", share, partial, note))
        metrics += _weighted(run, scorer["name"], sums, "passed", "weighted_accuracy", "Weighted accuracy")
    if scorer["key"] == "exact_match":
        metrics.append(_as_metric("exact_match", "Exact match", share, partial, note))
    elif not primary:
        words = f"{title}, pass" if scorer.get("kind") == "score" else str(title)
        metrics.append(_as_metric(scorer["name"], words, share, partial, note))
    if sums.scored and (primary or not sums.binary):
        mean = mean_of(run, sums)
        key, label = ("mean", "Mean score") if primary else (f"{scorer['name']}_mean", f"{title}, mean")
        metrics.append(
            Metric(
                key, label, "value", mean.value, mean.low, mean.high, mean.n, note=note, provisional=partial
            )
        )
    if primary and sums.scored and not sums.binary:
        metrics += _weighted(run, scorer["name"], sums, "value", "weighted_mean", "Weighted mean score")
    return metrics


def _weighted(run: Run, scorer: str, sums: Sums, of: str, key: str, label: str) -> list[Metric]:
    """In a finished run whose items count differently, the figure by weight; else nothing."""
    sections = run.summary.get("weights", {}).get(scorer, {}).values()
    parts = [WeightSums(*kept[of]) for kept in sections]
    whole = reduce(add, parts) if parts else None
    if whole is None or whole.n != sums.scored:
        return []
    found = weighted_mean(whole, share=of == "passed")
    note = "; ".join(filter(None, [whole.words, _left_out(run, sums)]))
    unit = "share" if of == "passed" else "value"
    return [Metric(key, label, unit, found.value, found.low, found.high, found.n, note=note)]


def weighs(runs: Iterable[Run]) -> bool:
    """Whether items of any of these finished runs count by different weights in its weighted figures."""
    return any(run.summary.get("weights") for run in runs)


def _left_out(run: Run, sums: Sums) -> str:
    counts = ((sums.unscored, "unscored"), (run.errored, "errored"))
    left_out = [f"{count:,} {word}" for count, word in counts if count]
    return f"{', '.join(left_out)} not counted" if left_out else ""


def _win_rate(
    run: Run, scorer: Mapping[str, Any], sums: Sums, *, primary: bool, partial: bool
) -> list[Metric]:
    """Of a judge that compares: ties count half."""
    key, label = ("accuracy", "Win rate") if primary else (scorer["name"], f"{scorer['title']}, win rate")
    found = win_rate(sums) if sums.scored else Estimate(None, None, None, 0)
    note = "; ".join(filter(None, ["ties as half", _left_out(run, sums)]))
    return [
        Metric(
            key, label, "share", found.value, found.low, found.high, found.n, note=note, provisional=partial
        )
    ]


def _share(key: str, label: str, k: int, n: int, partial: bool, note: str = "") -> Metric:
    return _as_metric(key, label, proportion(k, n) if n else None, partial, note)


def _as_metric(key: str, label: str, estimate: Estimate | None, partial: bool, note: str) -> Metric:
    if estimate is None:
        return Metric(key, label, "share", None, note=note, provisional=partial)
    return Metric(
        key,
        label,
        "share",
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        correct=estimate.correct,
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
            estimate=verdict_estimate(run, tally),
            n=tally.scored,
            unscored=tally.unscored,
            p50_ms=(medians.get(name) or {}).get("p50"),
        )
        for name in order
        if (tally := by_section.get(name))
    ]
