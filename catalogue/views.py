"""The catalogue: well-known benchmarks in one click, and any dataset of the hub by name."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from benchmarks.models import Benchmark
from catalogue import services
from catalogue.entries import ENTRIES, Entry
from catalogue.hub import Place, is_available
from datasets.models import Dataset
from datasets.uploads import UploadRefused
from judges.scorers import SCORERS
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
    rows = [
        (entry, scored_by(entry), held.get(entry.title), made.get(entry.title)) for entry in ENTRIES.values()
    ]
    context = {"rows": rows, "form": form, "hub": is_available(), "can_edit": request.access.can_edit}
    return render(request, "catalogue/list.html", context, status=status)


def scored_by(entry: Entry) -> str:
    """The titles of its scorers; none where only a judge can tell."""
    return ", ".join(SCORERS[scorer["key"]].title for scorer in entry.scorers)


@require_POST
@access.requires(Role.EDITOR)
def entry_import(request: WorkspaceRequest, key: str) -> HttpResponse:
    """From the file that was sent along, else from the hub."""
    entry: Entry | None = ENTRIES.get(key)
    if entry is None:
        raise Http404("No such benchmark")
    slug = request.access.workspace.slug
    file = request.FILES.get("file")
    try:
        if file is not None:
            name = file.name or "file"
            upload = services.entry_receive(request.access, entry, source_name=name, chunks=file.chunks())
        else:
            upload = services.entry_fetch(request.access, entry)
    except (services.BadPlace, UploadRefused) as error:
        messages.error(request, str(error))
        return redirect("catalogue:list", slug)
    return redirect("datasets:progress", slug, upload.pk)


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
