"""What live pages are made of: a fragment's name → its template and what it needs to be read.

The page's own include, the HTMX view that re-reads a page's fragments, and the websocket consumer
all render from here. A frame is the fragments of one run for one view, as one message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string

from runs import selectors
from runs.metrics import run_metrics, section_rows
from runs.models import ACTIVE_STATUSES, Run
from runs.selectors_judges import judge_rows
from workspaces.models import Workspace

Reader = Callable[[Run], Any]
LOG_TAIL = 60

READERS: Mapping[str, Reader] = {
    "metrics": run_metrics,
    "sections": section_rows,
    "judges": judge_rows,
    "lines": lambda run: selectors.log_lines(run, last=LOG_TAIL),
}


@dataclass(frozen=True)
class Fragment:
    """A template under runs/fragments with the names in READERS that it shows."""

    template: str
    needs: tuple[str, ...] = ("card",)


FRAGMENTS: Mapping[str, Fragment] = {
    "card": Fragment("_card.html"),
    "card-status": Fragment("_card_status.html"),
    "card-score": Fragment("_card_score.html"),
    "card-grid": Fragment("_card_grid.html"),
    "card-facts": Fragment("_card_facts.html"),
    "question": Fragment("_question.html"),
    "stream": Fragment("_stream.html"),
    "header": Fragment("_header.html"),
    "judges": Fragment("_judges.html", ("judges",)),
    "budget": Fragment("_budget.html", ()),
    "header-facts": Fragment("_header_facts.html"),
    "notice": Fragment("_notice.html"),
    "metrics": Fragment("_metrics.html", ("metrics",)),
    "sections": Fragment("_sections.html", ("card", "sections")),
    "log-rate": Fragment("_log_rate.html"),
    "log-lines": Fragment("_log_lines.html", ("lines",)),
}

# What a page shows of a run while it goes on, and what is swapped once its status changes.
LIVE = {
    "board": ("card-status", "card-score", "card-grid", "card-facts", "question", "stream"),
    "run": (
        "card-status",
        "header-facts",
        "budget",
        "metrics",
        "sections",
        "judges",
        "log-rate",
        "log-lines",
    ),
}
WHOLE = {
    "board": ("card",),
    "run": ("header", "budget", "notice", "metrics", "sections", "judges", "log-rate", "log-lines"),
}


@dataclass(frozen=True)
class Frame:
    """The run's fragments at one moment, for pages that know it in a certain status."""

    run_id: int
    sequence: int
    status: str
    html: str


def render_frame(
    workspace: Workspace, run_id: int, view: str, can_edit: bool, known: str = ""
) -> Frame | None:
    """What moves in a run; with all that depends on its status when that is no longer the `known` one.
    None when the run is gone."""
    run = selectors.full_run(workspace, run_id)
    if run is None:
        return None
    card = selectors.card(run)
    context = {"run": run, "card": card, "can_edit": can_edit, "workspace": workspace, "oob": True}
    names = (LIVE if card.shown_status == known else WHOLE)[view]
    for need in {need for name in names for need in FRAGMENTS[name].needs} - {"card"}:
        context[need] = READERS[need](run)
    return Frame(run.pk, run.sequence, card.shown_status, "".join(render(name, context) for name in names))


def render(name: str, context: Mapping[str, Any]) -> str:
    return render_to_string(f"runs/fragments/{FRAGMENTS[name].template}", dict(context))


def render_summary(workspace: Workspace) -> str:
    """What the board and the sidebar say of all runs."""
    counts = selectors.status_counts(workspace)
    active = sum(counts.get(str(status), 0) for status in ACTIVE_STATUSES)
    context = {"counts": counts, "workspace": workspace, "active_run_count": active, "oob": True}
    return render_to_string("runs/fragments/_runs_summary.html", context) + render_to_string(
        "partials/_active_count.html", context
    )


def render_page(workspace: Workspace, run_ids: Sequence[int], view: str, can_edit: bool) -> str:
    """All of a page's fragments again, for a page that was away."""
    frames = [render_frame(workspace, run_id, view, can_edit) for run_id in run_ids]
    return "".join(frame.html for frame in frames if frame) + render_summary(workspace)
