"""Uploading: send a file, map and check it, import it. Works without script; htmx re-checks on change."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from datasets import selectors, uploading, uploads
from datasets.checking import CheckReport
from datasets.mapping import RESPONSES, USES, BadMapping, FieldUse, Leaf, Mapping, mapping_of
from datasets.models import DatasetVersion, Upload, UploadState, UploadType
from datasets.problems import ImportProblems, RowProblem
from datasets.selectors_uploads import saved_mappings
from evalportal.lib.csv_safety import csv_lines
from evalportal.lib.streaming import download as streamed
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role

SHOWN_PROBLEMS = 50
SAMPLE_CHARACTERS = 90


class UploadForm(forms.Form):
    """What is asked before the file's fields are known."""

    file = forms.FileField(max_length=255, error_messages={"required": "Choose a file."})
    kind = forms.ChoiceField(choices=UploadType.choices, initial=UploadType.QUERY)
    dataset_name = forms.CharField(max_length=120, required=False)
    note = forms.CharField(max_length=300, required=False)


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def upload(request: WorkspaceRequest) -> HttpResponse:
    kind = request.GET.get("kind", "")
    kind = kind if kind in UploadType.values else UploadType.QUERY_RESPONSE
    initial = {"dataset_name": request.GET.get("dataset", "")[:120], "kind": kind}
    form = UploadForm(request.POST or None, request.FILES or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            stored = uploads.upload_create(
                request.access,
                source_name=file.name,
                chunks=file.chunks(),
                dataset_name=form.cleaned_data["dataset_name"],
                with_responses=form.cleaned_data["kind"] == UploadType.QUERY_RESPONSE,
                note=form.cleaned_data["note"],
            )
            return redirect("datasets:map", request.access.workspace.slug, stored.pk)
        except uploads.UploadRefused as error:
            form.add_error("file", str(error))
    names = selectors.datasets_of(request.access.workspace).values_list("name", flat=True)[:200]
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "names": names, "upload_max": settings.UPLOAD_MAX_BYTES >> 20}
    return render(request, "datasets/upload.html", context, status=status)


def my_upload(request: WorkspaceRequest, pk: int) -> Upload:
    """The person's own; a colleague's is a 404 like an outsider's."""
    mine = selectors.uploads_of(request.access.workspace, request.user)
    return get_object_or_404(mine.select_related("version__dataset"), pk=pk)


@dataclass(frozen=True)
class FieldRow:
    """A row of the mapping table."""

    index: int
    path: str
    sample: str
    filled: int
    use: str
    model: str


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def map_and_check(request: WorkspaceRequest, pk: int) -> HttpResponse:
    found = my_upload(request, pk)
    if found.state not in (UploadState.CHECKING, UploadState.REFUSED) or not found.path.exists():
        return _elsewhere(request, found)
    leaves = uploading.leaves_in(found)
    if request.method != "POST":
        return _map_page(request, found, leaves)
    mapping = chosen_mapping(request, found, leaves)
    uploads.upload_map(
        found,
        mapping=mapping,
        dataset_name=request.POST.get("dataset_name", "").strip(),
        note=request.POST.get("note", "").strip(),
        leave_out=request.POST.get("leave_out") == "1",
    )
    uploads.upload_reopen(found)
    found.state = UploadState.CHECKING
    action = request.POST.get("action")
    if action == "import":
        return _import(request, found, leaves)
    if action in ("apply", "save"):
        (_apply_saved if action == "apply" else _save_mapping)(request, found)
        return redirect("datasets:map", request.access.workspace.slug, found.pk)
    if request.htmx:
        return _map_page(request, found, leaves, template="datasets/_checked.html")
    return redirect("datasets:map", request.access.workspace.slug, found.pk)


def _apply_saved(request: WorkspaceRequest, found: Upload) -> None:
    """A saved mapping, or the guess again."""
    name = request.POST.get("saved", "")
    if not name:
        mapping = uploads.first_mapping(request.access, found, with_responses=True)
    else:
        saved = get_object_or_404(saved_mappings(request.access.workspace), name=name)
        mapping = Mapping.from_json(saved.mapping)
    uploads.upload_map(
        found, mapping=mapping, dataset_name=found.dataset_name, note=found.note, leave_out=found.leave_out
    )


def _save_mapping(request: WorkspaceRequest, found: Upload) -> None:
    try:
        saved = uploads.mapping_save(
            request.access, name=request.POST.get("save_as", ""), mapping=Mapping.from_json(found.mapping)
        )
        messages.success(request, f"Saved the mapping {saved.name}.")
    except BadMapping as error:
        messages.error(request, f"The mapping was not saved: {error}.")


def _elsewhere(request: WorkspaceRequest, found: Upload) -> HttpResponse:
    """An upload that is being imported, or whose file is gone."""
    slug = request.access.workspace.slug
    if found.state in (UploadState.CHECKING, UploadState.REFUSED):
        uploads.upload_cancel(found)
        reasons = [str(one["reason"]) for one in found.problems[:1]]
        messages.warning(request, *(reasons or ["That upload is gone; send the file again."]))
        return redirect("catalogue:list" if found.origin.get("kind") == "hub" else "datasets:upload", slug)
    return redirect("datasets:progress", slug, found.pk)


def chosen_mapping(request: WorkspaceRequest, found: Upload, leaves: list[Leaf]) -> Mapping:
    """What the form says; choosing the other upload type adds or drops the responses."""
    chosen = Mapping.of(
        FieldUse(leaf.path, use if use in USES else "skip", model if use in RESPONSES else "")
        for index, leaf in enumerate(leaves)
        for use in (request.POST.get(f"use-{index}", "skip"),)
        for model in (request.POST.get(f"model-{index}", "").strip() or default_model(leaf),)
    )
    kind, before = request.POST.get("kind", ""), request.POST.get("kind_before", "")
    if kind == before:
        return chosen
    if kind == UploadType.QUERY:
        return chosen.without("response")
    return with_guessed_responses(found, chosen)


def with_guessed_responses(found: Upload, chosen: Mapping) -> Mapping:
    records = uploading.samples_of(found.path, found.source_name)
    guessed = {one.path: one for one in mapping_of(records).responses}
    return Mapping.of(guessed.get(one.path, one) for one in chosen.fields)


def default_model(leaf: Leaf) -> str:
    """A name to begin with, when a field becomes a response by hand."""
    head, _, last = leaf.path.rpartition(".")
    return (head or last)[:200]


def _map_page(
    request: WorkspaceRequest,
    found: Upload,
    leaves: list[Leaf],
    *,
    template: str = "datasets/map.html",
    report: CheckReport | None = None,
    refused: ImportProblems | None = None,
) -> HttpResponse:
    mapping = Mapping.from_json(found.mapping)
    report = report or uploading.check_upload(found, mapping, leaves)
    context = {
        "upload": found,
        "format": ", ".join([uploads.format_title(found), *uploading.details_of(found)]),
        "recognised": uploading.recognised(found),
        "saved_mappings": saved_mappings(request.access.workspace)[:100],
        "rows": field_rows(leaves, mapping, report),
        "uses": USES,
        "kinds": UploadType.choices,
        "kind": UploadType.QUERY_RESPONSE if mapping.models else UploadType.QUERY,
        "remap": request.POST.get("kind") != request.POST.get("kind_before"),
        "report": report,
        "refused": refused is not None or found.state == UploadState.REFUSED,
        "models": mapping.models,
        "is_chat": bool(mapping.used_as("messages")),
        "names": selectors.datasets_of(request.access.workspace).values_list("name", flat=True)[:200],
        **problems_shown(found, report, refused),
        **naming(request, found.dataset_name),
    }
    return render(request, template, context, status=422 if refused else 200)


def problems_shown(found: Upload, report: CheckReport, refused: ImportProblems | None) -> dict[str, Any]:
    """The present check's problems; for a large file those that its import found."""
    problems, total = report.problems.kept, report.problems.total
    if refused and not total:
        problems, total = refused.problems, refused.total
    elif found.state == UploadState.REFUSED and not (total and report.whole_file):
        problems, total = [RowProblem(**one) for one in found.problems], found.problem_count
    part = not report.whole_file
    rows = report.problems.of_rows or sum(problem.of_row for problem in problems)
    return {
        "problems": problems[:SHOWN_PROBLEMS],
        "problem_count": total,
        "unshown": total - SHOWN_PROBLEMS,
        "leave_out": found.leave_out,
        "blocking": max(0, total - rows) if found.leave_out and (report.items or part) else total,
    }


def field_rows(leaves: list[Leaf], mapping: Mapping, report: CheckReport) -> list[FieldRow]:
    uses = {one.path: one for one in mapping.fields}
    rows = []
    for index, leaf in enumerate(leaves):
        one = uses.get(leaf.path, FieldUse(leaf.path, "skip"))
        sample = sample_of(leaf.filled[0]) if leaf.filled else ""
        model = one.model or default_model(leaf)
        rows.append(FieldRow(index, leaf.path, sample, report.filled[leaf.path], one.use, model))
    return rows


def sample_of(value: Any) -> str:
    """A value on one line, as the file writes it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text[: 4 * SAMPLE_CHARACTERS].split())[:SAMPLE_CHARACTERS]


def naming(request: WorkspaceRequest, name: str) -> dict[str, Any]:
    """What the import will be called."""
    previous = uploads.previous_version(request.access, name)
    return {"dataset_name": name, "next_number": previous.number + 1 if previous else 1, "previous": previous}


@require_safe
@access.requires(Role.EDITOR)
def name_hint(request: WorkspaceRequest) -> HttpResponse:
    context = naming(request, request.GET.get("dataset_name", "")[:120])
    return render(request, "datasets/_name_hint.html", context)


def _import(request: WorkspaceRequest, found: Upload, leaves: list[Leaf]) -> HttpResponse:
    """To a worker, unless a small file shows at once that it would be refused."""
    report = uploading.check_upload(found, Mapping.from_json(found.mapping), leaves)
    refused = ImportProblems(report.problems.kept, report.problems.total)
    if not report.whole_file or not problems_shown(found, report, None)["blocking"]:
        try:
            uploads.upload_begin(found)
            return redirect("datasets:progress", request.access.workspace.slug, found.pk)
        except ImportProblems as error:
            refused = error
    return _map_page(request, found, leaves, report=report, refused=refused)


def _imported(request: WorkspaceRequest, found: Upload, version: DatasetVersion) -> HttpResponse:
    """A version that was finished before this import last reported is an earlier one of the same content."""
    if found.alive_at and version.ready_at and version.ready_at < found.alive_at:
        messages.info(request, f"This is already version {version.number}; nothing was added.")
    else:
        items = f"{version.item_count:,} {'item' if version.item_count == 1 else 'items'}"
        messages.success(request, f"Imported {items} as version {version.number}.")
    return moved(request, version_url(version))


def version_url(version: Any) -> str:
    slug = version.dataset.workspace.slug
    return f"{reverse('datasets:detail', args=[slug, version.dataset_id])}?version={version.number}"


@require_safe
@access.requires(Role.EDITOR)
def report(request: WorkspaceRequest, pk: int) -> HttpResponseBase:
    """Every bad row, as CSV."""
    found = my_upload(request, pk)
    rows: Iterator[list[object]] = (
        [one.line or "file", one.field, one.reason] for one in uploading.problems_of(found)
    )
    parts = csv_lines(chain([["line", "column", "reason"]], rows))
    return streamed(request, parts, filename="problems.csv", content_type="text/csv; charset=utf-8")


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def progress(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """How far an import is; polled by htmx. POST starts one again whose worker fell silent."""
    found = my_upload(request, pk)
    slug = request.access.workspace.slug
    if request.method == "POST":
        if uploading.is_silent(found):
            uploads.upload_begin(found)
        return redirect("datasets:progress", slug, pk)
    if found.state == UploadState.DONE and found.version:
        return _imported(request, found, found.version)
    if found.state in (UploadState.CHECKING, UploadState.REFUSED, UploadState.DONE):
        return moved(request, reverse("datasets:map", args=[slug, pk]))
    template = "datasets/_progress.html" if request.htmx else "datasets/progress.html"
    return render(request, template, {"upload": found, "silent": uploading.is_silent(found)})


def moved(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect of the page, also when only its fragment was asked for."""
    return HttpResponseClientRedirect(url) if getattr(request, "htmx", False) else redirect(url)


@require_POST
@access.requires(Role.EDITOR)
def cancel(request: WorkspaceRequest, pk: int) -> HttpResponse:
    uploads.upload_cancel(my_upload(request, pk))
    messages.info(request, "Canceled; nothing was stored.")
    return redirect("datasets:list", request.access.workspace.slug)
