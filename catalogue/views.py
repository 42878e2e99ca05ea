"""The catalogue: well-known benchmarks in one click, and any dataset of the hub by name."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from benchmarks.models import Benchmark
from catalogue import services
from catalogue.entries import ENTRIES, Entry
from catalogue.hub import Place, hub_host, hub_origin, is_available
from catalogue.models import HubToken
from catalogue.preparing import judge_models
from datasets.models import Dataset
from datasets.uploads import UploadRefused
from datasets.views.upload import my_upload
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role


class PlaceForm(forms.Form):
    """Where on the hub."""

    repo = forms.CharField(max_length=200)
    config = forms.CharField(max_length=120, initial="default", required=False)
    split = forms.CharField(max_length=120, initial="test", required=False)
    revision = forms.CharField(max_length=120, required=False)

    def place(self) -> Place:
        sent = self.cleaned_data
        return Place(sent["repo"], sent["config"] or "default", sent["split"] or "test", sent["revision"])


@require_safe
@access.requires()
def catalogue(request: WorkspaceRequest) -> HttpResponse:
    return page(request, PlaceForm())


def page(request: WorkspaceRequest, form: PlaceForm, status: int = 200) -> HttpResponse:
    workspace = request.access.workspace
    titles = [entry.title for entry in ENTRIES.values()]
    held = dict(Dataset.objects.filter(workspace=workspace, name__in=titles).values_list("name", "pk"))
    made = dict(Benchmark.objects.filter(workspace=workspace, name__in=titles).values_list("name", "pk"))
    rows = [(entry, held.get(entry.title), made.get(entry.title)) for entry in ENTRIES.values()]
    hub = is_available()
    context = {
        "rows": rows,
        "form": form,
        "hub": hub,
        "hub_host": hub_host() if hub else "",
        "has_token": hub and HubToken.objects.filter(workspace=workspace, origin=hub_origin()).exists(),
        "operators_token": bool(settings.HUB_TOKEN),
        "judge_models": judge_models(workspace),
        "can_edit": request.access.can_edit,
    }
    return render(request, "catalogue/list.html", context, status=status)


def entry_or_404(key: str) -> Entry:
    entry: Entry | None = ENTRIES.get(key)
    if entry is None:
        raise Http404("No such benchmark")
    return entry


def chosen_judge_model(request: WorkspaceRequest) -> int | None:
    value = request.POST.get("judge_model", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


@require_POST
@access.requires(Role.EDITOR)
def entry_import(request: WorkspaceRequest, key: str) -> HttpResponse:
    """From the file that was sent along, else from the hub."""
    entry, slug = entry_or_404(key), request.access.workspace.slug
    judge_model, file = chosen_judge_model(request), request.FILES.get("file")
    try:
        if file is None:
            upload = services.entry_fetch(request.access, entry, judge_model=judge_model)
        else:
            name, chunks = file.name or "file", file.chunks()
            upload = services.entry_receive(
                request.access, entry, source_name=name, chunks=chunks, judge_model=judge_model
            )
    except (services.BadPlace, UploadRefused) as error:
        messages.error(request, str(error))
        return redirect("catalogue:list", slug)
    return redirect("datasets:progress", slug, upload.pk)


@require_POST
@access.requires(Role.EDITOR)
def prepare(request: WorkspaceRequest, key: str) -> HttpResponse:
    """The benchmark of data that are here already."""
    entry, slug = entry_or_404(key), request.access.workspace.slug
    try:
        made = services.entry_prepare(request.access, entry, judge_model=chosen_judge_model(request))
    except services.Refused as error:
        messages.error(request, str(error))
        return redirect("catalogue:list", slug)
    messages.success(request, f"The benchmark {made.name} is ready.")
    return redirect("benchmarks:leaderboard", slug, made.pk)


@require_POST
@access.requires(Role.EDITOR)
def again(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Fetches or imports again what a lost worker left behind."""
    services.upload_again(request.access, my_upload(request, pk))
    return redirect("datasets:progress", request.access.workspace.slug, pk)


@require_POST
@access.requires(Role.OWNER)
def hub_token(request: WorkspaceRequest) -> HttpResponse:
    """Sets the workspace's token for the hub; an empty one removes it. It is never shown."""
    token = "" if request.POST.get("remove") else request.POST.get("token", "")
    try:
        services.hub_token_set(request.access, token)
    except services.Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The token is kept." if token.strip() else "No token is kept now.")
    return redirect("catalogue:list", request.access.workspace.slug)


@require_POST
@access.requires(Role.EDITOR)
def from_hub(request: WorkspaceRequest) -> HttpResponse:
    form = PlaceForm(request.POST)
    if form.is_valid():
        try:
            upload = services.place_fetch(request.access, form.place())
            return redirect("datasets:progress", request.access.workspace.slug, upload.pk)
        except services.BadPlace as error:
            form.add_error("repo", str(error))
    return page(request, form, status=422)
