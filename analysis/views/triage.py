"""The shared list of triaged items, and deciding on one."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from analysis import selectors, services
from analysis.asking import LARGEST_ID, asked
from analysis.models import TriageState
from datasets.models import Item
from runs.models import Run
from runs.selectors import keyset_page, listed
from runs.views.asked import as_workspace_request, whole
from workspaces import access
from workspaces.access import Access
from workspaces.models import Role

ROWS = 50


class DecisionForm(forms.Form):
    run = forms.IntegerField(min_value=1, max_value=LARGEST_ID)
    item = forms.IntegerField(min_value=1, max_value=LARGEST_ID)
    baseline = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    scorer = forms.CharField(max_length=80, required=False)
    state = forms.ChoiceField(choices=TriageState.choices, required=False)
    assignee = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    comment = forms.CharField(max_length=2000, required=False)
    back = forms.CharField(max_length=3000, required=False)


@access.requires()
@require_safe
def triage_list(request: HttpRequest) -> HttpResponse:
    """`?state=real&mine=1`, the newest first."""
    held, query = as_workspace_request(request).access, request.GET
    state = query.get("state", "")
    state = state if state in TriageState.values else ""
    mine = "mine" in query
    rows = selectors.triage_list(held.workspace, state, held.user if mine else None)
    page = keyset_page(
        rows, key="id", size=ROWS, before=whole(query.get("before")), after=whole(query.get("after")),
        descending=True,
    )  # fmt: skip
    context = {"triaged": page, "states": TriageState.choices, "state": state, "mine": mine}
    return render(request, "analysis/triage.html", context)


@access.requires(Role.EDITOR)
@require_POST
def triage(request: HttpRequest) -> HttpResponse:
    held, form = as_workspace_request(request).access, DecisionForm(request.POST)
    if not form.is_valid():
        return refused("; ".join(str(text) for texts in form.errors.values() for text in texts))
    try:
        row = services.triage(held, decision(held, form.cleaned_data))
    except services.TriageProblem as problem:
        return refused(str(problem))
    messages.success(request, f"Kept: {row.get_state_display().lower()}. The list is under Triage.")
    return back(held, form)


def decision(held: Access, data: dict[str, Any]) -> services.Decision:
    """Raises Http404 for what is not of this workspace."""
    run = get_object_or_404(listed(held.workspace), pk=data["run"])
    item = get_object_or_404(Item, pk=data["item"], version=run.dataset_version_id)
    baseline = listed(held.workspace).filter(pk=data["baseline"] or 0).first()
    return services.Decision(
        run=run,
        item=item,
        baseline=baseline,
        scorer=data["scorer"],
        state=data["state"] or TriageState.OPEN,
        assignee_id=data["assignee"],
        comment=data["comment"].strip(),
    )


@access.requires(Role.EDITOR)
@require_POST
def again(request: HttpRequest) -> HttpResponse:
    """Asks the item again, five times, in a run of its own; its answers come to the item's triage."""
    held, form = as_workspace_request(request).access, DecisionForm(request.POST)
    if not form.is_valid():
        return refused("; ".join(str(text) for texts in form.errors.values() for text in texts))
    wanted = decision(held, form.cleaned_data)
    try:
        run: Run = services.ask_again(held, wanted)
    except services.TriageProblem as problem:
        messages.error(request, str(problem))
        return back(held, form)
    if form.cleaned_data["back"]:
        return back(held, form)
    return redirect("runs:inspector", held.workspace.slug, run.pk)


def back(held: Access, form: DecisionForm) -> HttpResponse:
    """To the item on the comparison, by the state that the form carries; never to another address."""
    wanted = asked(QueryDict(form.cleaned_data["back"].removeprefix("?")))
    if not wanted.runs:
        return redirect("analysis:triage_list", held.workspace.slug)
    return redirect(reverse("analysis:compare", args=[held.workspace.slug]) + wanted.query() + "#pair-diff")


def refused(words: str) -> HttpResponse:
    return HttpResponse(words, status=422, content_type="text/plain; charset=utf-8")
