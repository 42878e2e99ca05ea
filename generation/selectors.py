"""What pages and API read of query generation, within one workspace."""

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from datasets.selectors import Page, keyset_page
from generation.models import Draft, DraftState, Generation, Stage
from registry.models import RegisteredModel
from registry.selectors import by_title, models_for
from runs.models import FINISHED_STATUSES, Run
from runs.selectors import runs_of
from workspaces.models import Workspace

PAGE_ROWS = 30
SHOWN = {"open": "To decide", "approved": "Approved", "dropped": "Dropped", "similar": "Near-duplicates"}


@dataclass(frozen=True)
class Standing:
    """How far a generation is; `run` is None once it was deleted."""

    run: Run | None
    open: int
    approved: int
    dropped: int
    open_similar: int
    read: int
    unread: int
    reading: bool = False  # the documents are not all read

    @property
    def drafts(self) -> int:
        return self.open + self.approved + self.dropped

    @property
    def goes_on(self) -> bool:
        """Whether drafts may still come by themselves."""
        if self.reading:
            return True
        if self.run is None:
            return False
        waits = self.run.status not in (*FINISHED_STATUSES, "paused")
        return waits or self.read < self.run.done


def generations_of(workspace: Workspace) -> QuerySet[Generation]:
    """Newest first, with who began it and what it became."""
    rows = Generation.objects.filter(workspace=workspace).select_related("created_by", "version__dataset")
    return rows.annotate(draft_count=Count("drafts")).order_by("-id")


def standing(generation: Generation) -> Standing:
    """Three queries. Loads the workspace."""
    counts = dict.fromkeys(DraftState.values, 0)
    rows = generation.drafts.values("state").annotate(n=Count("id")).order_by()
    counts |= {row["state"]: row["n"] for row in rows}
    similar = generation.drafts.filter(state=DraftState.OPEN, similar_to__isnull=False).count()
    run = runs_of(generation.workspace).filter(pk=generation.run_id or 0).first()
    return Standing(
        run=run,
        open=counts[DraftState.OPEN],
        approved=counts[DraftState.APPROVED],
        dropped=counts[DraftState.DROPPED],
        open_similar=similar,
        read=len(generation.readings),
        unread=len(generation.unread),
        reading=generation.stage == Stage.READING,
    )


def drafts_shown(generation: Generation, show: str) -> QuerySet[Draft]:
    """`show` is a key of SHOWN, or empty for all."""
    drafts = generation.drafts.select_related("decided_by").order_by("number")
    if show == "similar":
        return drafts.filter(similar_to__isnull=False)
    return drafts.filter(state=show) if show in DraftState.values else drafts


def draft_page(
    generation: Generation, show: str, *, after: int | None = None, before: int | None = None
) -> Page[Draft, int]:
    """Keyset, one query."""
    return keyset_page(drafts_shown(generation, show), "number", after=after, before=before, size=PAGE_ROWS)


def drafting_models(workspace: Workspace) -> list[RegisteredModel]:
    """Those that can be called."""
    return list(by_title(models_for(workspace).filter(provider__isnull=False)))
