"""Figures of a run that its worker computes now and then and keeps: pages never sort 100,000 rows."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

from django.db import connection
from django.db.models import F

from datasets.models import Item, weight_in
from judges.metrics import quantile_estimate
from judges.metrics.weighted import NO_SUMS, of_cluster
from runs.models import Run, Trial, TrialState
from runs.variations import turns_of

EXACT_UP_TO = 5_000


def summarise(run_id: int, final: bool = False) -> None:
    """Quantiles over the run and the median by section: exact at the end, before that of at most 5,000
    trials evenly spread over the run, so that its cost does not grow with the run."""
    run = Run.objects.filter(pk=run_id).only("total", "config", "dataset_version").first()
    total, turns = (run.total, turns_of(run.config)) if run else (0, 1)
    rows = Trial.objects.filter(run_id=run_id, state=TrialState.DONE, latency_ms__isnull=False)
    if not final and total > EXACT_UP_TO:
        rows = rows.annotate(place=F("seq") % (-(-total // EXACT_UP_TO))).filter(place=0)
    by_section: dict[str, array[int]] = defaultdict(lambda: array("i"))
    for section, latency in rows.order_by().values_list("section", "latency_ms").iterator(chunk_size=2000):
        by_section[section].append(int(latency or 0))
    every = sorted(latency for latencies in by_section.values() for latency in latencies)
    found: dict[str, Any] = {}
    if every:
        sections = {name: _median(latencies) for name, latencies in by_section.items()}
        found = {"latency": _quantiles(every), "sections": sections}
    if final and turns > 1:
        found["clusters"] = _clusters(run_id)
    if final and run and (weights := _weights(run)):
        found["weights"] = weights
    if found:
        Run.objects.filter(pk=run_id).update(summary=found)


def _clusters(run_id: int) -> dict[str, dict[str, list[int]]]:
    """By scorer and section, what the interval of a share over the turns of items needs: `ClusterSums`."""
    found: dict[str, dict[str, list[int]]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT scorer, section, SUM(n), SUM(h), COUNT(*), SUM(n * n), SUM(n * h), SUM(h * h) FROM (
                SELECT score.scorer, trial.section, COUNT(*) AS n,
                    SUM(CASE WHEN score.passed THEN 1 ELSE 0 END) AS h
                FROM runs_score AS score JOIN runs_trial AS trial ON trial.id = score.trial_id
                WHERE score.run_id = %s AND score.value IS NOT NULL
                GROUP BY score.scorer, trial.section, trial.item_id
            ) AS items GROUP BY scorer, section
            """,
            [run_id],
        )
        for scorer, section, *sums in cursor:
            found[scorer][section] = [int(each) for each in sums]
    return found


def _weights(run: Run) -> dict[str, dict[str, dict[str, list[float]]]]:
    """By scorer and section the `WeightSums` of "passed" and "value"; empty where all items count alike."""
    said = Item.objects.filter(version=run.dataset_version_id, metadata__has_key="weight")
    weights = {pk: weight_in({"weight": held}) for pk, held in said.values_list("pk", "metadata__weight")}
    found: dict[str, Any] = {}
    if not weights:
        return found
    by_item = """
        SELECT score.scorer, trial.section, trial.item_id, COUNT(*),
            SUM(CASE WHEN score.passed THEN 1 ELSE 0 END), SUM(score.value)
        FROM runs_score AS score JOIN runs_trial AS trial ON trial.id = score.trial_id
        WHERE score.run_id = %s AND score.value IS NOT NULL
        GROUP BY score.scorer, trial.section, trial.item_id
        """
    seen = set()
    with connection.cursor() as cursor:
        cursor.execute(by_item, [run.pk])
        for scorer, section, item, n, passed, value in cursor:
            weight = weights.get(item, 1.0)
            seen.add(weight)
            sums = found.setdefault(scorer, {}).setdefault(section, {"passed": NO_SUMS, "value": NO_SUMS})
            sums["passed"] += of_cluster(int(n), weight, float(passed))
            sums["value"] += of_cluster(int(n), weight, float(value))
    if len(seen) < 2:
        return {}
    return {
        scorer: {
            section: {name: list(astuple(sums)) for name, sums in kept.items()}
            for section, kept in sections.items()
        }
        for scorer, sections in found.items()
    }


def _quantiles(ordered: list[int]) -> dict[str, Any]:
    figures: dict[str, Any] = {"n": len(ordered)}
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        estimate = quantile_estimate(ordered, share)
        figures |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return figures


def _median(latencies: Iterable[int]) -> dict[str, Any]:
    ordered = sorted(latencies)
    return {"p50": quantile_estimate(ordered, 0.5).value, "n": len(ordered)}
