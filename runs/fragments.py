"""What live pages are made of: a fragment's name → its template and what it needs to be read.

The page's own include, the HTMX view that re-reads a page's fragments, and the websocket consumer
all render from here. A frame is the fragments of one run for one view, as one message.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.template.loader import render_to_string

from runs import selectors
from runs.metrics import run_metrics, section_rows
from runs.models import ACTIVE_STATUSES, Run, RunStatus
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


# Large or calm parts: while a run goes on they are drawn once a second.
CALM, CALM_S = ("card-grid", "metrics", "sections", "judges"), 1.0
Drawn = dict[tuple[int, str, bool], tuple[float, str]]
"""By run, fragment and whether its reader may edit: when it was drawn (monotonic), and the HTML."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A run's fragments by name at one moment, for pages that know it in a certain status."""

    run_id: int
    status: str
    parts: Mapping[str, str]
    is_behind: bool = False  # a calm part is up to a second old


@dataclass(frozen=True)
class Wanted:
    """A frame that somebody waits for; `known` is the status in which their page shows the run."""

    run_id: int
    view: str
    can_edit: bool
    known: str = ""


def render_frames(
    workspace: Workspace, wanted: Collection[Wanted], drawn: Drawn | None = None
) -> dict[Wanted, Frame | None]:
    """What moves in these runs; with all that depends on its status when that is no longer the known one.
    None of a run that is gone. They are read together; what several frames share is drawn once, and calm
    parts are taken from `drawn`, which is kept from one call to the next, while they are young."""
    runs = selectors.full_runs(workspace, {each.run_id for each in wanted})
    running = selectors.status_counts(workspace).get(RunStatus.RUNNING, 0)
    young = {} if drawn is None else drawn
    for key in [key for key, (at, _) in young.items() if time.monotonic() - at >= CALM_S]:
        del young[key]
    drawings = {card.run.pk: Drawing(workspace, card, young) for card in selectors.cards(runs, running)}
    found = {each: drawings[each.run_id].frame(each) if each.run_id in drawings else None for each in wanted}
    for drawing in drawings.values():
        drawing.remember()
    return found


class Drawing:
    """One run as it is now."""

    def __init__(self, workspace: Workspace, card: selectors.Card, young: Drawn):
        self.run, self.card, self.young = card.run, card, young
        self.context = {"run": card.run, "card": card, "workspace": workspace, "oob": True}
        self.parts: dict[tuple[str, bool], str] = {}

    def frame(self, wanted: Wanted) -> Frame:
        status, calm = self.card.shown_status, False
        same, parts = status == wanted.known, {}
        for name in (LIVE if same else WHOLE)[wanted.view]:
            _, kept = self.young.get((self.run.pk, name, wanted.can_edit), (0.0, ""))
            if kept and same:
                parts[name], calm = kept, True
            else:
                parts[name] = self.part(name, wanted.can_edit)
        return Frame(self.run.pk, status, parts, is_behind=calm)

    def part(self, name: str, can_edit: bool) -> str:
        if (name, can_edit) not in self.parts:
            for need in FRAGMENTS[name].needs:
                if need not in self.context:
                    self.context[need] = READERS[need](self.run)
            html = render(name, self.context | {"can_edit": can_edit})
            self.parts[name, can_edit] = html
        return self.parts[name, can_edit]

    def remember(self) -> None:
        """The calm parts that were drawn now, for the frames of the next second."""
        now = time.monotonic()
        for (name, can_edit), html in self.parts.items():
            if name in CALM:
                self.young[self.run.pk, name, can_edit] = now, html


@lru_cache(maxsize=256)
def news(frame: Frame, seen: Frame | None) -> str:
    """The parts of a frame that a page lacks which has seen that one."""
    known = seen.parts if seen else {}
    return "".join(html for name, html in frame.parts.items() if known.get(name) != html)


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
    frames = render_frames(workspace, [Wanted(run_id, view, can_edit) for run_id in run_ids])
    return "".join(news(frame, None) for frame in frames.values() if frame) + render_summary(workspace)
