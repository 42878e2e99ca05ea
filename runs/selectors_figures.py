"""Metrics over the trials of a run, overall and by section; kept per (run, sequence), never computed twice.

The counters give the head's figures at once; these read every trial, so a large run's are computed by
a worker (`runs.services.figures`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from datasets.models import Item, weight_in
from judges.metrics import Estimate, build_metric
from judges.metrics.trials import ScoredTrial, grouped
from judges.metrics.weighted import shortly
from judges.scorers.normalise import normalise
from runs.models import Run, Score, Trial, TrialState
from runs.variations import FIELDS

KEPT_S = 7 * 24 * 3600
MOST_LABELS = 30
MOST_SECTIONS = 40
RESAMPLED_UP_TO = 20_000  # trials; beyond, sections have no bootstrap intervals, and so no such figures
BOOTSTRAPPED = ("sd", "f1", "corpus_bleu", "corpus_chrf")
OUR_OWN = ("weight", "rubric")  # metadata that says nothing of what belongs together
OF_EPOCHS = ("pass_at_k", "pass_hat_k", "majority_vote")  # of the original alone
TEXT_SCORERS = ("token_f1", "rouge", "bleu", "chrf")
SAMPLED_ITEMS = 50


@dataclass(frozen=True)
class Asked:
    """Which figures: by what scorer, clustered by which metadata key (empty: by item)."""

    scorer: str
    cluster: str = ""


@dataclass(frozen=True)
class Figure:
    """One metric. `estimate.denominator` says what n counts; `sections` maps a name to its estimate."""

    key: str
    title: str
    description: str
    unit: str
    estimate: Estimate
    sections: Mapping[str, Estimate]


@dataclass(frozen=True)
class Figures:
    """All metrics that suit the run, at one sequence of it."""

    rows: Sequence[Figure]
    sections: Sequence[str]
    trials: int
    sequence: int
    left_out: str = ""
    weights: str = ""


def cache_key(run: Run, asked: Asked) -> str:
    return f"figures:{run.pk}:{run.sequence}:{asked.scorer}:{asked.cluster}".replace(" ", "_")


def kept_figures(run: Run, asked: Asked) -> Figures | None:
    kept: Figures | None = cache.get(cache_key(run, asked))
    return kept


def keep_figures(run: Run, asked: Asked) -> Figures:
    """Computes and keeps them."""
    found = compute(run, asked)
    cache.set(cache_key(run, asked), found, KEPT_S)
    return found


def cluster_keys(run: Run) -> list[str]:
    """Metadata keys with plain values, of the first items."""
    rows = Item.objects.filter(version=run.dataset_version_id).order_by("position")[:SAMPLED_ITEMS]
    found: dict[str, None] = {}
    for metadata in rows.values_list("metadata", flat=True):
        found |= {key: None for key, value in (metadata or {}).items() if isinstance(value, str | int)}
    for key in OUR_OWN:
        found.pop(key, None)
    return sorted(found)[:SAMPLED_ITEMS]


def compute(run: Run, asked: Asked) -> Figures:
    trials = list(scored_trials(run, asked))
    large = len(trials) > RESAMPLED_UP_TO
    groups = grouped(trials, [trial.section for trial in trials])
    names = list(groups) if 1 < len(groups) <= MOST_SECTIONS else []
    epochs = int(run.config.get("epochs", 1))
    rows = []
    for key, title, options in suited(run, asked, trials):
        metric = build_metric(key, {**options, "cluster": asked.cluster})
        within = [] if large and key in BOOTSTRAPPED else names
        last = epochs if key in OF_EPOCHS else None
        rows.append(
            Figure(
                key, title or metric.title, metric.description, metric.unit,
                metric.compute(_until(last, trials)),
                {name: metric.compute(_until(last, groups[name])) for name in within},
            )
        )  # fmt: skip
    left_out = f"Sections have no resampled figures beyond {RESAMPLED_UP_TO:,} trials." if large else ""
    return Figures(rows, names, len(trials), run.sequence, left_out, _weight_words(trials))


def _until(last: int | None, trials: Sequence[ScoredTrial]) -> Sequence[ScoredTrial]:
    """Those of the first turns: answers to other variants are no epochs of the same question."""
    return trials if last is None else [trial for trial in trials if trial.epoch <= last]


def scored_trials(run: Run, asked: Asked) -> Iterator[ScoredTrial]:
    """Trials that are done or errored, in order, with that scorer's verdicts, and the references of the
    variant that was asked. Two queries."""
    scores = {
        trial: (value, passed, answer)
        for trial, value, passed, answer in Score.objects.filter(run=run, scorer=asked.scorer)
        .values_list("trial_id", "value", "passed", "answer")
        .iterator(chunk_size=5000)
    }
    columns = ["pk", "item_id", "epoch", "section", "state", "response", "item__references", "item__metadata"]
    variants = run.variants
    if variants.variants:
        columns += ["item__prompt", "item__messages", "item__choices"]
    rows = Trial.objects.filter(run=run, state__in=(TrialState.DONE, TrialState.ERRORED)).order_by("seq")
    for row in rows.values(*columns).iterator(chunk_size=5000):
        value, passed, answer = scores.get(row["pk"], (None, None, ""))
        metadata = row.get("item__metadata") or {}
        shown = variants.asked({name: row.get(f"item__{name}") for name in FIELDS}, row["epoch"])
        yield ScoredTrial(
            item=row["item_id"],
            epoch=row["epoch"],
            section=row["section"],
            value=value,
            passed=passed,
            answer=answer,
            response=row["response"],
            references=shown["references"],
            metadata={asked.cluster: metadata[asked.cluster]} if asked.cluster in metadata else {},
            errored=row["state"] == TrialState.ERRORED,
            weight=weight_in(metadata),
        )


def _weight_words(trials: Sequence[ScoredTrial]) -> str:
    """Empty where all items count alike."""
    weights = {trial.weight for trial in trials}
    if len(weights) < 2:
        return ""
    return (
        f"Items count by their weight, from {shortly(min(weights))} to {shortly(max(weights))}, "
        "in the weighted figures; in all others each counts the same."
    )


def suited(
    run: Run, asked: Asked, trials: Sequence[ScoredTrial]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(metric, title or empty for its own, options) of those that say something about these trials."""
    epochs = int(run.config.get("epochs", 1))
    referenced = any(trial.references for trial in trials)
    yield "accuracy", "", {}
    weighted = len({trial.weight for trial in trials}) > 1
    if weighted:
        yield "weighted_accuracy", "", {}
    if referenced:
        yield "exact_match", "", {}
    yield "answer_rate", "", {}
    if any(trial.value not in (None, 0, 1) for trial in trials):
        yield "mean", "", {}
        if weighted:
            yield "weighted_mean", "", {}
        yield "sd", "", {}
    if referenced and _are_labels(trials):
        for average in ("macro", "micro"):
            yield "f1", f"F1 over labels, {average}", {"average": average}
    if referenced and _is_text(run, asked):
        yield "corpus_bleu", "", {}
        yield "corpus_chrf", "", {}
    if epochs > 1:
        for k in _ks(epochs):
            yield "pass_at_k", f"pass@{k}", {"k": k}
            yield "pass_hat_k", f"pass^{k}", {"k": k}
        yield "majority_vote", f"Majority vote of {epochs}", {}


def _ks(epochs: int) -> list[int]:
    """2, 5, 10 … and all of them."""
    return sorted({k for k in (2, 5, 10, 20, 50) if k < epochs} | {epochs})


def _are_labels(trials: Sequence[ScoredTrial]) -> bool:
    """A few references that come again and again."""
    labels = {normalise(trial.references[0]) for trial in trials if trial.references}
    return 1 < len(labels) <= MOST_LABELS and len(trials) >= 3 * len(labels)


def _is_text(run: Run, asked: Asked) -> bool:
    return any(
        scorer["name"] == asked.scorer and scorer["key"] in TEXT_SCORERS
        for scorer in run.config.get("scorers", [])
    )
