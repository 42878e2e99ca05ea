"""A judge added to a run that is there."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from judges.models import JudgeVersion
from judges.selectors import versions_in
from runs import services
from runs.models import Run
from runs.selectors import listed
from runs.views.asked import as_workspace_request, run_or_404, whole
from workspaces import access
from workspaces.models import Role


@access.requires(Role.EDITOR)
@require_POST
def add_judge(request: HttpRequest, pk: int) -> HttpResponse:
    """`judge` is a version's id; `opponent` (run:ID) is needed by one that compares."""
    held, run = as_workspace_request(request).access, run_or_404(request, pk)
    chosen = whole(request.POST.get("judge"))
    version: JudgeVersion | None = versions_in(held.workspace).filter(pk=chosen or 0).first()
    if version is None:
        messages.error(request, "Choose a judge.")
        return redirect("runs:inspector", held.workspace.slug, run.pk)
    other = whole(request.POST.get("opponent", "").removeprefix("run:"))
    opponent: Run | None = listed(held.workspace).filter(pk=other).first() if other else None
    try:
        services.add_judge(held, run, version, opponent=opponent)
    except (services.BadJudge, services.CannotDo) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{version.judge.name} v{version.number} judges run #{run.pk} now.")
    return redirect("runs:inspector", held.workspace.slug, run.pk)
