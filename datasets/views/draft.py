"""The draft of a dataset: its items to edit one by one or many at once, what changed, publishing it."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from datasets import selectors
from datasets import services_drafts as services
from datasets.diffs import difference_counts
from datasets.filters import ItemFilter
from datasets.models import Dataset, Draft, DraftState, Item
from datasets.publishing import section_counts
from datasets.views.browse import dataset_of, drawer, item_list
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role
from workspaces.services import Refused

COUNTS_KEPT_S = 3600
SINGLE = ("prompt", "section", "rubric", "weight")
WORD_LISTS = ("references", "choices")


@require_POST
@access.requires(Role.EDITOR)
def draft_begin(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Opens the dataset's draft, from the version named, or from the latest."""
    dataset = dataset_of(request, pk)
    versions = selectors.versions_of(dataset)
    number = position_in_post(request, "version")
    version = get_object_or_404(versions, number=number) if number else versions.first()
    if version is None:
        return redirect("datasets:list", request.access.workspace.slug)
    draft = services.draft_start(request.access, version)
    if draft.base_id != version.pk:
        base = f"The draft is of version {draft.base.number}. Publish or discard it to edit another."
        messages.info(request, base)
    position = position_in_post(request, "item")
    return _to_draft(
        request, dataset, f"?item={position}" if position and draft.base_id == version.pk else ""
    )


def position_in_post(request: HttpRequest, name: str) -> int | None:
    raw = request.POST.get(name, "")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 10 else None


def _to_draft(request: WorkspaceRequest, dataset: Dataset, query: str = "") -> HttpResponseRedirect:
    return redirect(reverse("datasets:draft", args=[request.access.workspace.slug, dataset.pk]) + query)


def _back(request: WorkspaceRequest, dataset: Dataset, name: str = "draft") -> HttpResponseRedirect:
    """To where the form was: the query travels with the form's address."""
    query = request.META.get("QUERY_STRING", "")
    where = reverse(f"datasets:{name}", args=[request.access.workspace.slug, dataset.pk])
    return redirect(f"{where}?{query}" if query else where)


def open_draft(dataset: Dataset) -> Draft | None:
    draft = selectors.draft_of(dataset)
    if draft:
        draft.dataset = draft.version.dataset = draft.base.dataset = dataset
    return draft


def on_draft(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view gets the dataset's draft; without one the answer leads to the dataset."""

    @wraps(view)
    def wrapped(request: WorkspaceRequest, pk: int, **more: Any) -> HttpResponse:
        found = open_draft(dataset_of(request, pk))
        return view(request, found, **more) if found else _to_dataset(request, pk)

    return wrapped


def _to_dataset(request: WorkspaceRequest, pk: int) -> HttpResponseRedirect:
    return redirect("datasets:detail", request.access.workspace.slug, pk)


@require_safe
@access.requires(Role.EDITOR)
def draft(request: WorkspaceRequest, pk: int) -> HttpResponse:
    dataset = dataset_of(request, pk)
    found = open_draft(dataset)
    if found is None:
        where = _to_dataset(request, pk)
        return HttpResponseClientRedirect(where.url) if request.htmx else where
    context: dict[str, Any] = {"dataset": dataset, "draft": found, "version": found.version, "bulk": True}
    if found.state != DraftState.OPEN:
        return render(request, "datasets/draft_busy.html", context)
    wanted = ItemFilter.of(request.GET)
    items = selectors.items_of(found.version, wanted)
    opened = drawer(request, found.version, items)
    context |= {**opened, **edit_fields(opened["item"])}
    if request.htmx and request.htmx.target == "drawer":
        return render(request, "datasets/_draft_item.html", context)
    sections = section_counts(Item.objects.filter(version=found.version))
    context |= item_list(request, found.version, items, wanted, sections)
    context |= {"counts": draft_counts(found, sections), "bulk_actions": services.BULK.items()}
    return render(request, "datasets/draft.html", context)


def draft_counts(draft: Draft, sections: list[dict[str, Any]]) -> dict[str, int]:
    """What the draft changes so far, kept until its next change."""
    items = sum(section["items"] for section in sections)
    key = f"draft-counts:{draft.pk}:{draft.changed_at.timestamp()}"
    found = cache.get_or_set(key, lambda: difference_counts(draft.base, draft.version, items), COUNTS_KEPT_S)
    return cast(dict[str, int], found)


def edit_fields(item: Item | None) -> dict[str, Any]:
    """An item's values as the form shows them: one row a text, and an empty one to add to."""
    if item is None:
        return {}
    return {
        "references": [*item.references, ""],
        "choice_rows": [*item.choices, ""],
        "tag_words": ", ".join(item.tag_list),
        "chat": json.dumps(item.messages, ensure_ascii=False, indent=1) if item.messages else "",
    }


@require_POST
@access.requires(Role.EDITOR)
@on_draft
def draft_item(request: WorkspaceRequest, found: Draft, position: int) -> HttpResponse:
    """Saves one item."""
    try:
        services.draft_edit(request.access, found, position, values_in(request))
    except (ValidationError, Refused) as error:
        messages.error(request, f"Item {position} was not saved. {_words(error)}")
    else:
        messages.success(request, f"Saved item {position} in the draft.")
    return _back(request, found.dataset)


def _words(error: ValidationError | Refused) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


def values_in(request: HttpRequest) -> dict[str, object]:
    """The fields that the form sent; a browser's line ends become the usual ones."""
    sent = request.POST
    values: dict[str, object] = {name: _lines(sent[name]) for name in SINGLE if name in sent}
    for name in WORD_LISTS:
        if name in sent:
            values[name] = [text for text in map(_lines, sent.getlist(name)) if text.strip()]
    if "tags" in sent:
        values["tags"] = [tag for tag in sent["tags"].split(",") if tag.strip()]
    return values


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


@require_POST
@access.requires(Role.EDITOR)
@on_draft
def draft_bulk(request: WorkspaceRequest, found: Draft) -> HttpResponse:
    """One change to the chosen items, or to all that the filter of the address finds."""
    chosen = [int(raw) for raw in request.POST.getlist("position") if raw.isascii() and raw.isdigit()]
    everything = request.POST.get("scope") == "all"
    if not chosen and not everything:
        messages.info(request, "Choose items first, or say that all shown by the filter are meant.")
        return _back(request, found.dataset)
    try:
        changed = services.draft_bulk(
            request.access, found, request.POST.get("action", ""), request.POST.get("value", ""),
            wanted=ItemFilter.of(request.GET) if everything else None,
            positions=None if everything else chosen,
        )  # fmt: skip
    except (ValidationError, Refused) as error:
        messages.error(request, _words(error))
    else:
        messages.success(request, f"Changed {changed:,} {'item' if changed == 1 else 'items'}.")
    return _back(request, found.dataset)


@require_POST
@access.requires(Role.EDITOR)
@on_draft
def draft_restore(request: WorkspaceRequest, found: Draft) -> HttpResponse:
    """Undoes the change of one item."""
    try:
        services.draft_restore(request.access, found, request.POST.getlist("item_key")[:100])
    except Refused as error:
        messages.error(request, str(error))
    return _back(request, found.dataset, "diff")


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
@on_draft
def draft_publish(request: WorkspaceRequest, found: Draft) -> HttpResponse:
    """Asks for a note, then makes the next version."""
    if request.method == "POST":
        return _published(request, found)
    sections = section_counts(Item.objects.filter(version=found.version))
    context = {"dataset": found.dataset, "draft": found, "counts": draft_counts(found, sections)}
    template = "datasets/_publish.html" if request.htmx else "datasets/publish.html"
    return render(request, template, context)


def _published(request: WorkspaceRequest, found: Draft) -> HttpResponse:
    try:
        version = services.draft_publish(request.access, found, request.POST.get("note", ""))
    except Refused as error:
        messages.error(request, str(error))
        return _to_draft(request, found.dataset)
    if version is None:
        return _to_draft(request, found.dataset)
    messages.success(request, f"Version {version.number} is ready. Runs keep pointing at theirs.")
    return _to_dataset(request, found.dataset_id)


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
@on_draft
def draft_discard(request: WorkspaceRequest, found: Draft) -> HttpResponse:
    """Asks, then forgets the draft."""
    if request.method == "POST":
        try:
            services.draft_discard(request.access, found)
        except Refused as error:
            messages.error(request, str(error))
            return _to_draft(request, found.dataset)
        messages.success(request, "Discarded the draft.")
        return _to_dataset(request, found.dataset_id)
    template = "datasets/_discard.html" if request.htmx else "datasets/discard.html"
    return render(request, template, {"dataset": found.dataset, "draft": found})
