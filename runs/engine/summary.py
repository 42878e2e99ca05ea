"""Latency figures of a run, computed by its worker now and then and kept: pages never sort 100,000 rows."""

from collections import defaultdict
from typing import Any

from judges.metrics import quantile_estimate
from runs.models import Run, Trial, TrialState


def summarise(run_id: int) -> None:
    """One query over the done trials' latencies; exact quantiles over the run and the median by section."""
    rows = Trial.objects.filter(run_id=run_id, state=TrialState.DONE, latency_ms__isnull=False)
    by_section: dict[str, list[int]] = defaultdict(list)
    for section, latency in rows.order_by().values_list("section", "latency_ms").iterator(chunk_size=5000):
        by_section[section].append(int(latency or 0))
    every = sorted(latency for latencies in by_section.values() for latency in latencies)
    if every:
        sections = {name: _median(latencies) for name, latencies in by_section.items()}
        Run.objects.filter(pk=run_id).update(summary={"latency": _quantiles(every), "sections": sections})


def _quantiles(ordered: list[int]) -> dict[str, Any]:
    figures: dict[str, Any] = {"n": len(ordered)}
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        estimate = quantile_estimate(ordered, share)
        figures |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return figures


def _median(latencies: list[int]) -> dict[str, Any]:
    return {"p50": quantile_estimate(sorted(latencies), 0.5).value, "n": len(latencies)}
