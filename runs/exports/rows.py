"""The trials of a run as plain rows, read in chunks by keyset: four queries a chunk, none per row."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from datasets.models import ItemAsset
from runs.models import LogLine, Run, Score, Trial
from runs.selectors_variants import paraphrases_of
from runs.variations import FIELDS

CHUNK = 500
ITEM = ("external_id", "position", "section", "prompt", "messages", "choices", "references", "metadata")
TRIAL = (
    "id", "seq", "epoch", "state", "cached", "response", "finish_reason", "answer", "passed", "latency_ms",
    "first_token_ms", "input_tokens", "output_tokens", "cost", "attempt_count", "error_kind", "error",
    "finished_at",
)  # fmt: skip
SCORE = ("scorer", "value", "passed", "answer", "explanation", "unscored_reason")
DETAIL = "detail"  # of a judge that was asked several times, or a panel; left out where there is none
Row = dict[str, Any]


def trial_rows(run: Run) -> Iterator[list[Row]]:
    """Chunks of trials in order, each with its `item` and `scores`."""
    after = 0
    columns = (*TRIAL, "item_id", *(f"item__{name}" for name in ITEM))
    while True:
        trials = Trial.objects.filter(run=run, seq__gt=after).order_by("seq")
        chunk = list(trials.values_list(*columns)[:CHUNK])
        if not chunk:
            return
        yield _rows(run, [dict(zip(columns, values, strict=True)) for values in chunk])
        after = chunk[-1][columns.index("seq")]


def _rows(run: Run, found: Sequence[Row]) -> list[Row]:
    _as_asked(run, found)
    scores = _scores(run, found)
    images = _images([row["item_id"] for row in found])
    return [_row(row, scores.get(row["id"], []), images.get(row["item_id"], [])) for row in found]


def _as_asked(run: Run, found: Sequence[Row]) -> None:
    """Gives each row its variant, and the item's columns as that variant asks them."""
    variants, titles = run.variants, run.variants.titles
    ids = [row["item_id"] for row in found] if variants.reads_paraphrases else []
    approved = paraphrases_of(ids) if ids else {}
    for row in found:
        turn = row["epoch"]
        row["variant"] = variants.place(turn)
        row["variation"] = titles[row["variant"]]
        if not run.judged_id:
            row["epoch"] = variants.epoch(turn)
        if row["variant"]:
            item = {name: row[f"item__{name}"] for name in FIELDS}
            asked = variants.asked(item, turn, approved.get(row["item_id"]))
            row.update({f"item__{name}": asked[name] for name in FIELDS})


def _scores(run: Run, found: Sequence[Row]) -> dict[int, list[Row]]:
    """Scores by trial, in the order of the run's scorers."""
    order = {name: place for place, name in enumerate(run.scorer_names)}
    by_trial: dict[int, list[Row]] = defaultdict(list)
    rows = Score.objects.filter(trial_id__in=[row["id"] for row in found]).order_by()
    for trial_id, detail, *values in rows.values_list("trial_id", DETAIL, *SCORE):
        score = dict(zip(SCORE, values, strict=True))
        by_trial[trial_id].append(score | {DETAIL: detail} if detail else score)
    for scores in by_trial.values():
        scores.sort(key=lambda score: order.get(score["scorer"], len(order)))
    return by_trial


def _images(item_ids: Sequence[int]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    links = ItemAsset.objects.filter(item_id__in=item_ids).order_by("item_id", "position")
    for item_id, sha256, media_type, label in links.values_list(
        "item_id", "asset__sha256", "asset__media_type", "label"
    ):
        found[item_id].append({"sha256": sha256, "media_type": media_type, "label": label})
    return found


def _row(row: Row, scores: list[Row], images: list[Row]) -> Row:
    item = {"id": row["item__external_id"]} | {name: row[f"item__{name}"] for name in ITEM[1:]}
    if images:
        item["images"] = images
    return {
        "seq": row["seq"],
        "variant": row["variant"],
        "variation": row["variation"],
        "epoch": row["epoch"],
        "state": row["state"],
        "cached": row["cached"],
        "item": item,
        "response": row["response"],
        "finish_reason": row["finish_reason"],
        "answer": row["answer"],
        "passed": row["passed"],
        "scores": scores,
        "latency_ms": row["latency_ms"],
        "first_token_ms": row["first_token_ms"],
        "usage": {"input_tokens": row["input_tokens"], "output_tokens": row["output_tokens"]},
        "cost": _money(row["cost"]),
        "attempts": row["attempt_count"],
        "error_kind": row["error_kind"],
        "error": row["error"],
        "finished_at": row["finished_at"].isoformat() if row["finished_at"] else None,
    }


def _money(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"


def log_rows(run: Run) -> Iterator[list[LogLine]]:
    """Chunks of the log, oldest first."""
    after = 0
    while lines := list(LogLine.objects.filter(run=run, pk__gt=after).order_by("pk")[:CHUNK]):
        yield lines
        after = lines[-1].pk
