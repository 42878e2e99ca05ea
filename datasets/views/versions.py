"""How two versions of a dataset differ, or a draft and its base."""

from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from datasets import selectors
from datasets.diffs import (
    KINDS,
    FieldChange,
    counterparts,
    difference_counts,
    different,
    field_changes,
    item_changes,
)
from datasets.models import Dataset, DatasetVersion, DraftState, Item
from datasets.publishing import section_counts
from datasets.views.browse import dataset_of, position_in
from datasets.views.draft import draft_counts, open_draft
from workspaces import access
from workspaces.access import WorkspaceRequest

ROWS = 20
KEPT_S = 7 * 86_400
DRAFT = "draft"
TABS = [(kind, kind.capitalize()) for kind in KINDS]


@dataclass(frozen=True)
class DiffRow:
    """One item that differs, with the fields that do."""

    item: Item
    changes: list[FieldChange]


@require_safe
@access.requires()
def diff(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """`?from=1&to=2`; without `from` the version before. `to=draft` for editors."""
    dataset = dataset_of(request, pk)
    context = compared(request, dataset)
    if context["before"] is None:
        return render(request, "datasets/diff.html", context)
    before, after = context["before"], context["after"]
    shown = request.GET.get("show", "")
    kind = shown if shown in KINDS else next((each for each in KINDS if context["counts"][each]), KINDS[0])
    page = selectors.keyset_page(
        different(before, after, kind), "position",
        after=position_in(request, "after"), before=position_in(request, "before"), size=ROWS,
    )  # fmt: skip
    context |= {"kind": kind, "page": page, "tabs": TABS, "rows": diff_rows(page.rows, before, kind)}
    return render(request, "datasets/diff.html", context)


def diff_rows(items: list[Item], before: DatasetVersion, kind: str) -> list[DiffRow]:
    """With their fields side by side; one query for the changed ones' earlier selves."""
    if kind != "changed":
        return [DiffRow(item, field_changes(item, added=kind == "added")) for item in items]
    earlier = counterparts(items, before)
    return [DiffRow(item, item_changes(earlier[item.key], item)) for item in items if item.key in earlier]


def compared(request: WorkspaceRequest, dataset: Dataset) -> dict[str, Any]:
    """The two sides that the address names and how many items differ. Raises Http404."""
    versions = list(selectors.versions_of(dataset))
    context: dict[str, Any] = {"dataset": dataset, "versions": versions}
    to = request.GET.get("to") or (str(versions[0].number) if versions else "")
    if to == DRAFT and request.access.can_edit:
        draft = open_draft(dataset)
        if draft is None or draft.state != DraftState.OPEN:
            raise Http404("No open draft")
        counts = draft_counts(draft, section_counts(Item.objects.filter(version=draft.version)))
        return context | {"before": draft.base, "after": draft.version, "draft": draft, "counts": counts}
    after = next((version for version in versions if str(version.number) == to), None)
    asked = request.GET.get("from")
    earlier = [
        version
        for version in versions
        if (str(version.number) == asked if asked else after and version.number < after.number)
    ]
    if after is None or (asked and not earlier):
        raise Http404("No two such versions")
    if not earlier:
        return context | {"before": None, "after": after, "draft": None}
    before = earlier[0]
    figures: Any = cache.get_or_set(
        f"diff:{before.pk}:{after.pk}:{after.content_hash}",
        lambda: difference_counts(before, after, after.item_count), KEPT_S,
    )  # fmt: skip
    return context | {"before": before, "after": after, "draft": None, "counts": figures}
