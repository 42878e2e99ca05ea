"""A comparison to take away: figures as JSON, items as CSV, all of it as one page that opens offline."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from analysis import selectors
from analysis.asking import RIGHT, WRONG
from analysis.comparison import SectionRow
from analysis.figures import Figures, Group, RunRow
from analysis.stats.results import Difference, Interval
from datasets.models import Item, weight_in
from evalportal.lib.csv_safety import csv_lines
from judges.metrics import Estimate

REPORT_PARTS = (
    "finding",
    "left_out",
    "summary",
    "forest",
    "latency",
    "sections",
    "groups",
    "scorers",
    "cost",
    "history",
)
REPORT_ITEMS = 200
STYLES = ("tokens.css", "base.css", "components.css", "analysis.css")
CHUNK = 2000


def figures_json(figures: Figures) -> dict[str, Any]:
    """Every figure of the page. Shares and their differences are 0..1 and −1..1, latencies ms, money text."""
    found = figures.comparison
    ids = [run.pk for run in found.runs]
    return {
        "runs": [_run_json(row) for row in figures.rows],
        "scorer": found.scorer,
        "unit": "share" if figures.share else "value",
        "so_far": figures.so_far,
        "items": figures.items,
        "common_items": found.n,
        "item_weights": "not used: each item counts the same" if found.weighs else None,
        "baseline": ids[figures.base],
        "against": ids[figures.against],
        "verdict": {
            "figures": figures.wording.figures,
            "sentence": figures.wording.sentence,
            "shown": figures.wording.shown,
            "pairs": asdict(figures.counts) if figures.counts else None,
        },
        "pairs": [
            {"first": ids[row.first], "second": ids[row.second], **_difference_json(row.difference, row.p)}
            for row in figures.pairs
        ],
        "sections": [_section_json(row, ids) for row in figures.sections],
        "groups": [_group_json(group, ids) for group in figures.groups],
        "scorers": [
            {
                "scorer": row.name,
                "unit": "share" if row.share else "value",
                **_difference_json(row.difference),
            }
            for row in figures.by_scorer
        ],
    }


def _section_json(row: SectionRow, ids: Sequence[int]) -> dict[str, Any]:
    """Differences by run id."""
    differences = {
        ids[place]: _difference_json(each) for place, each in enumerate(row.differences) if each is not None
    }
    return {
        "section": row.name,
        "n": row.n,
        "baseline": _interval_json(row.baseline),
        "differences": differences,
    }


def _group_json(group: Group, ids: Sequence[int]) -> dict[str, Any]:
    return {
        "name": group.name,
        "runs": [ids[place] for place in group.runs],
        "figure": _interval_json(group.figure),
        "difference": _difference_json(group.difference) if group.difference else None,
    }


def _run_json(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.run.pk,
        "letter": row.letter,
        "alias": row.run.alias,
        "label": row.run.label,
        "status": row.run.status,
        "figure": _interval_json(row.figure),
        "difference": _difference_json(row.difference, row.p) if row.difference else None,
        "latency_ms": {"p50": _estimate_json(row.p50), "p95": _estimate_json(row.p95)},
        "input_tokens": row.run.input_tokens,
        "output_tokens": row.run.output_tokens,
        "cost_usd": str(row.cost) if row.cost is not None else None,
        "retried": row.run.retried,
        "left_out": asdict(row.left_out),
    }


def _interval_json(found: Interval) -> dict[str, Any]:
    return {name: value for name, value in asdict(found).items() if name != "reason" or value}


def _difference_json(found: Difference, p: float | None = None) -> dict[str, Any]:
    """`p` of the test itself, `p_adjusted` by Holm over all pairs where it is one of them."""
    adjusted = {"p_adjusted": p} if p is not None else {}
    return {
        **_interval_json(found.interval),
        "p": found.test.p,
        "test": found.test.method,
        **adjusted,
        "fixed": found.fixed,
        "broken": found.broken,
        "shown": found.shown,
    }


def _estimate_json(found: Estimate | None) -> Mapping[str, Any] | None:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n} if found else None


def items_csv(figures: Figures) -> Iterator[str]:
    """A row an item that all runs hold: its id, section and weight where some differ, then each run's value,
    empty without one."""
    return csv_lines(_csv_rows(figures))


def _csv_rows(figures: Figures) -> Iterator[Sequence[Any]]:
    found = figures.comparison
    head = ["item", "section", *(["weight"] if found.weighs else [])]
    yield [*head, *(f"{row.letter} #{row.run.pk} {row.run.alias}" for row in figures.rows)]
    ids = found.items[:, 0]
    for start in range(0, len(ids), CHUNK):
        chunk = [int(each) for each in ids[start : start + CHUNK]]
        wanted = ["pk", "external_id", "position", "section", *(["metadata__weight"] if found.weighs else [])]
        rows = Item.objects.filter(pk__in=chunk).values_list(*wanted)
        items = {
            pk: (name or position, section, *(f"{weight_in({'weight': held}):.12g}" for held in weight))
            for pk, name, position, section, *weight in rows
        }
        for at, item in enumerate(chunk, start):
            values = ["" if np.isnan(value) else f"{value:g}" for value in found.scores[at]]
            yield [*items[item], *values]


def report_html(figures: Figures, context: Mapping[str, Any]) -> str:
    """The figures and the broken items as one page without links, scripts or foreign parts."""
    known = {**context, "figures": figures, "oob": False}
    names = [name for name in REPORT_PARTS if name != "history" or len(context["history"]) > 1]
    parts = [render_to_string(f"analysis/_{name}.html", known) for name in names]
    words = {letter: word == RIGHT for letter, word in _broken(figures).items()}
    mask = selectors.picked(figures, words) if figures.share else figures.comparison.common & False
    places = [int(place) for place in np.flatnonzero(mask)]
    rows = selectors.item_rows(context["workspace"], figures, places[:REPORT_ITEMS])
    offline = mark_safe(_offline("".join(parts)))  # noqa: S308 (rendered by our own templates)
    known |= {"parts": offline, "rows": rows, "broken": len(places), "css": _css()}
    return render_to_string("analysis/report.html", known)


def _broken(figures: Figures) -> dict[str, str]:
    return {figures.letters[figures.base]: RIGHT, figures.letters[figures.against]: WRONG}


def _css() -> SafeString:
    text = "".join(Path(str(finders.find(name))).read_text(encoding="utf-8") for name in STYLES)
    return format_html("<{0}>{1}</{0}>", "style", mark_safe(text))  # noqa: S308 (our own stylesheets)


def _offline(html: str) -> str:
    """Without forms, menus of choices and links: there is no portal behind the file."""
    html = re.sub(r"<(form|nav|button)\b.*?</\1>", "", html, flags=re.DOTALL)
    return (
        re.sub(r"<a\b[^>]*>", "<span>", html).replace("</a>", "</span>").replace("<details", "<details open")
    )
