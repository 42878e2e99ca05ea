"""What a launch that is being filled in would be able to show, as a fragment of the launch sheet."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from analysis import selectors_advice
from runs import services
from runs.forms import LaunchForm
from runs.views.asked import as_workspace_request, whole
from workspaces import access
from workspaces.models import Role


@access.requires(Role.EDITOR)
@require_POST
def advice(request: HttpRequest) -> HttpResponse:
    """Takes the whole sheet and `baseline`, a run's id; without one the newest. Changes nothing."""
    held = as_workspace_request(request).access
    form = LaunchForm(held.workspace, request.POST)
    form.is_valid()
    wish = form.launch()
    plan = services.launch_plan(held, wish)
    epochs = max(1, wish.epochs)
    items = plan.items
    if plan.version is None or items < 1:
        return render(request, "analysis/_advice.html", {"advice": None})
    runs = selectors_advice.baselines(plan.version)
    wanted = whole(request.POST.get("baseline"))
    baseline = next((run for run in runs if run.pk == wanted), next(iter(runs), None))
    found = selectors_advice.advise(runs, baseline, items, min(epochs, 100))
    return render(
        request,
        "analysis/_advice.html",
        {"advice": found, "baselines": runs, "baseline": baseline, "version": plan.version},
    )
