"""The scorers chosen on the launch sheet, tried on the first items before anything is launched."""

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from judges.scorers import BadOptions, Scorer, build_scorer
from runs import selectors_trying
from runs.forms import LaunchForm
from runs.services.measuring import likened
from runs.views.asked import as_workspace_request
from workspaces import access
from workspaces.models import Role


@access.requires(Role.EDITOR)
@require_POST
def try_scoring(request: HttpRequest) -> HttpResponse:
    """Takes the whole sheet; `try_source` and `try_text` say which responses. Changes nothing."""
    held = as_workspace_request(request).access
    form = LaunchForm(held.workspace, request.POST)
    source, typed = request.POST.get("try_source", ""), request.POST.get("try_text", "")
    context: dict[str, Any] = {"launch_form": form, "try_source": source, "try_text": typed}
    scorers, problems = _built(form)
    if form.version:
        context["try_sources"] = selectors_trying.sources(form.version)
        context["tried"] = selectors_trying.try_scorers(
            form.version, scorers, source, typed, partial(likened, held)
        )
    return render(request, "runs/_launch_try.html", context | {"problems": problems})


def _built(form: LaunchForm) -> tuple[list[tuple[str, Scorer[Any]]], list[str]]:
    """The chosen scorers by title, and what is wrong with the others."""
    built, problems = [], []
    for slot in form.chosen_slots:
        try:
            built.append((slot.title, build_scorer(slot.key, slot.options)))
        except BadOptions as bad:
            problems.append(f"{slot.title}: {bad}")
    if not form.chosen_slots:
        problems.append("Choose at least one scorer.")
    if not form.version:
        problems.append("Choose a dataset version.")
    return built, problems
