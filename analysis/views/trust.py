"""A judge's card: how far its verdicts can be trusted."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from analysis import selectors_trust, trust
from judges.models import Judge
from judges.selectors import versions_in
from runs.views.asked import as_workspace_request, whole
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
