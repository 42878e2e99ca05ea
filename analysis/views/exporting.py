"""A comparison as a file."""

from collections.abc import Callable, Iterable, Mapping
from json import dumps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from analysis.asking import asked
from analysis.comparison import NotComparable
from analysis.exports import figures_json, items_csv, report_html
from analysis.figures import Figures
from analysis.views.compare import figures_or_404, history_context, live_context
from evalportal.lib.streaming import download
from runs.views.asked import as_workspace_request
from workspaces import access
from workspaces.access import Access

Made = Iterable[str]


def _json(held: Access, figures: Figures) -> Made:
    return [dumps(figures_json(figures), ensure_ascii=False, indent=2)]


def _csv(held: Access, figures: Figures) -> Made:
    return items_csv(figures)


def _html(held: Access, figures: Figures) -> Made:
    context: Mapping[str, Any] = {
        "workspace": held.workspace,
        "now": timezone.now(),
        **live_context(figures),
        **history_context(held.workspace, figures),
    }
    return [report_html(figures, context)]


KINDS: Mapping[str, tuple[Callable[[Access, Figures], Made], str]] = {
    "json": (_json, "application/json"),
    "csv": (_csv, "text/csv; charset=utf-8"),
    "html": (_html, "text/html; charset=utf-8"),
}


@access.requires()
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """`?kind=html` with the page's own query string."""
    held, wanted = as_workspace_request(request).access, asked(request.GET)
    kind = request.GET.get("kind", "json")
    if kind not in KINDS:
        return problem(f"There is no export {kind[:40]}; choose {', '.join(KINDS)}.")
    try:
        figures = figures_or_404(held, wanted)
    except NotComparable as words:
        return problem(str(words))
    make, media_type = KINDS[kind]
    name = "comparison-" + "-".join(str(run.pk) for run in figures.comparison.runs)
    return download(request, make(held, figures), filename=f"{name}.{kind}", content_type=media_type)


def problem(words: str) -> HttpResponse:
    return HttpResponse(words, status=422, content_type="text/plain; charset=utf-8")
