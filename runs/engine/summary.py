"""Latency figures of a run, computed by its worker now and then and kept: pages never sort 100,000 rows."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import F

from judges.metrics import quantile_estimate
from runs.models import Run, Trial, TrialState

EXACT_UP_TO = 5_000


def summarise(run_id: int, final: bool = False) -> None:
    """Quantiles over the run and the median by section: exact at the end, before that of at most 5,000
    trials evenly spread over the run, so that its cost does not grow with the run."""
    total = Run.objects.filter(pk=run_id).values_list("total", flat=True).first() or 0
    rows = Trial.objects.filter(run_id=run_id, state=TrialState.DONE, latency_ms__isnull=False)
    if not final and total > EXACT_UP_TO:
        rows = rows.annotate(place=F("seq") % (-(-total // EXACT_UP_TO))).filter(place=0)
    by_section: dict[str, array[int]] = defaultdict(lambda: array("i"))
    for section, latency in rows.order_by().values_list("section", "latency_ms").iterator(chunk_size=2000):
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


def _median(latencies: Iterable[int]) -> dict[str, Any]:
    ordered = sorted(latencies)
    return {"p50": quantile_estimate(ordered, 0.5).value, "n": len(ordered)}
