"""A dataset seen from its runs: which items are hard, and what models made of one."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from datasets.models import Item
from datasets.selectors import ready_versions
from runs import selectors_items
from runs.views.asked import as_workspace_request, is_htmx
from workspaces import access


@require_safe
@access.requires()
def difficulty(request: HttpRequest, version_id: int) -> HttpResponse:
    """The items of a version, hardest first."""
    workspace = as_workspace_request(request).access.workspace
    version = get_object_or_404(ready_versions(workspace), pk=version_id)
    asked = request.GET.get("section", "")
    section = None if not asked else "" if asked == "-" else asked
    page = selectors_items.hardest(workspace, version, section=section, after=request.GET.get("after", ""))
    context = {
        "dataset": version.dataset, "version": version, "page": page, "section": asked,
        "runs": version.runs.filter(judged=None).count(),
    }  # fmt: skip
    return render(request, "runs/difficulty.html", context)


@require_safe
@access.requires()
def item_history(request: HttpRequest, item_id: int) -> HttpResponse:
    """One item across runs: a part of its drawer, or a page without script."""
    workspace = as_workspace_request(request).access.workspace
    items = Item.objects.filter(version__dataset__workspace=workspace, version__ready_at__isnull=False)
    item = get_object_or_404(items.select_related("version__dataset"), pk=item_id)
    context = {
        "item": item,
        "trials": selectors_items.history_of(workspace, item),
        "record": selectors_items.record_of(workspace, item),
    }
    template = "runs/_item_history.html" if is_htmx(request) else "runs/item_history.html"
    return render(request, template, context)
