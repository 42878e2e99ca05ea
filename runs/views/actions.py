"""What editors do to a run: cancel, pause, resume, retry, delete. Each is one service."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from runs import services
from runs.forms import CeilingForm
from runs.models import Run, Trial
from runs.views.asked import as_workspace_request, is_htmx, run_or_404, whole
from workspaces import access
from workspaces.access import Access
from workspaces.models import Role


@access.requires(Role.EDITOR)
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _done(request, pk, services.run_cancel, "canceled; finished items are kept")


@access.requires(Role.EDITOR)
@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    return _done(request, pk, services.run_pause, "paused")


@access.requires(Role.EDITOR)
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _done(request, pk, services.run_resume, "goes on")


@access.requires(Role.EDITOR)
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """All failed items, or the one that `trial` (its number) names."""
    seq = whole(request.POST.get("trial"))

    def command(held: Access, run: Run) -> None:
        only = (
            None if seq is None else list(Trial.objects.filter(run=run, seq=seq).values_list("pk", flat=True))
        )
        services.run_retry(held, run, only)

    return _done(
        request, pk, command, "asks the failed items again" if seq is None else f"asks item {seq} again"
    )


@access.requires(Role.EDITOR)
@require_POST
def ceilings(request: HttpRequest, pk: int) -> HttpResponse:
    """Raises the ceiling that the run waits at, and lets it go on."""
    form = CeilingForm(request.POST)

    def command(held: Access, run: Run) -> None:
        if not form.is_valid():
            raise services.BadCeilings(
                {name: [str(text) for text in texts] for name, texts in form.errors.items()}
            )
        services.run_set_ceilings(held, run, **form.ceilings(run))

    return _done(request, pk, command, "goes on under its new ceiling")


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks for the typed words, and deletes only then."""
    held, run = as_workspace_request(request).access, run_or_404(request, pk)
    words, problem = f"delete {run.pk}", ""
    if request.method == "POST":
        if " ".join(request.POST.get("confirm", "").lower().split()) == words:
            services.run_delete(held, run)
            messages.success(request, f"Run #{pk}, {run.alias}, is deleted.")
            return redirect("runs:board", held.workspace.slug)
        problem = f"Type {words} to confirm."
    template = "runs/_delete.html" if is_htmx(request) else "runs/delete.html"
    return render(request, template, {"run": run, "problem": problem}, status=422 if problem else 200)


def _done(request: HttpRequest, pk: int, command: Callable[[Access, Run], None], words: str) -> HttpResponse:
    """Does it; a page with script then re-reads its fragments, one without goes back to where it was."""
    held, run = as_workspace_request(request).access, run_or_404(request, pk)
    try:
        command(held, run)
    except (services.CannotDo, services.BadCeilings) as error:
        if is_htmx(request):
            status = 422 if isinstance(error, services.BadCeilings) else 409
            return HttpResponse(str(error), status=status, content_type="text/plain")
        messages.error(request, str(error))
        return redirect("runs:inspector", held.workspace.slug, run.pk)
    if is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Trigger": "run-changed"})
    messages.success(request, f"Run #{run.pk} {words}.")
    return redirect("runs:inspector", held.workspace.slug, run.pk)
