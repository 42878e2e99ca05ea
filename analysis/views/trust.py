"""How far verdicts can be trusted: a judge's card, and a run's figures corrected by people."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from analysis import selectors_agreement, selectors_corrected, selectors_trust, trust
from judges.models import Judge
from judges.selectors import versions_in
from runs.selectors import listed
from runs.views.asked import as_workspace_request, is_htmx, whole
from workspaces import access

APART_SHOWN = 50


@access.requires()
@require_safe
def judge_card(request: HttpRequest, pk: int) -> HttpResponse:
    """`?version=2&dataset=5`; by itself the newest version on all datasets."""
    held = as_workspace_request(request).access
    judge = get_object_or_404(Judge, pk=pk, workspace=held.workspace)
    versions = list(versions_in(held.workspace).filter(judge=judge))
    number = whole(request.GET.get("version"))
    version = next((each for each in versions if number in (None, each.number)), None)
    if version is None:
        raise Http404("No such version")
    wanted = whole(request.GET.get("dataset"))
    context = {
        "judge": judge,
        "versions": versions,
        "version": version,
        "card": selectors_trust.card_of(version, versions, wanted),
        "wanted": wanted,
        "rule": trust,
        "apart_shown": APART_SHOWN,
        "can_edit": held.can_edit,
    }
    return render(request, "analysis/judge_card.html", context)


@access.requires()
@require_safe
def corrected(request: HttpRequest, pk: int) -> HttpResponse:
    """What a run's judges say, corrected by people: a part of the run's page, or a page of its own."""
    held = as_workspace_request(request).access
    run = get_object_or_404(listed(held.workspace), pk=pk)
    context = {"run": run, "can_edit": held.can_edit, "more": selectors_corrected.MORE}
    context["corrected"] = selectors_corrected.corrected_of(run)
    template = "analysis/_corrected.html" if is_htmx(request) else "analysis/corrected.html"
    return render(request, template, context)


@access.requires()
@require_safe
def agreement(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a run's judges agree with one another: a part of the run's page, or a page of its own."""
    run = get_object_or_404(listed(as_workspace_request(request).access.workspace), pk=pk)
    context = {"run": run, "among": selectors_agreement.judges_agree(run)}
    template = "analysis/_agreement.html" if is_htmx(request) else "analysis/agreement.html"
    return render(request, template, context)
