"""The page of a version's paraphrases: draft, watch, decide."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from datasets.models import DatasetVersion, Paraphrase
from datasets.selectors import keyset_page, ready_versions
from generation import once, selectors
from generation import services_paraphrases as services
from runs.views.asked import as_workspace_request, whole
from workspaces import access
from workspaces.models import Role
from workspaces.services import Refused

ROWS = 30
SHOWN = ("open", "approved", "dropped", "withdrawn", "unread")


def _version(request: HttpRequest, version_id: int) -> DatasetVersion:
    workspace = as_workspace_request(request).access.workspace
    return get_object_or_404(ready_versions(workspace), pk=version_id)


@access.requires()
@require_GET
def paraphrases(request: HttpRequest, version_id: int) -> HttpResponse:
    """`?show=open` and the page are in the URL; looking reads what models have answered since."""
    version, held = _version(request, version_id), as_workspace_request(request).access
    services.paraphrases_collect(version)
    rows = Paraphrase.objects.filter(item__version=version)
    counts = {row["state"]: row["n"] for row in rows.order_by().values("state").annotate(n=Count("pk"))}
    show = request.GET.get("show", "open")
    show = show if show in SHOWN else "open"
    page = keyset_page(
        rows.filter(state=show).select_related("item", "decided_by").order_by("pk"), "pk",
        after=whole(request.GET.get("after")), before=whole(request.GET.get("before")), size=ROWS,
    )  # fmt: skip
    context: dict[str, Any] = {
        "version": version, "dataset": version.dataset, "page": page, "show": show, "can_edit": held.can_edit,
        "tabs": [(state, Paraphrase.State(state).label, counts.get(state, 0)) for state in SHOWN],
        "runs": list(services.draftings_of(version)[:5]), "drafted": sum(counts.values()),
        "models": selectors.drafting_models(held.workspace) if held.can_edit else [], "once": once.word(),
    }  # fmt: skip
    return render(request, "generation/paraphrases.html", context)


@access.requires(Role.EDITOR)
@require_POST
def begin(request: HttpRequest, version_id: int) -> HttpResponse:
    """Launches the drafting."""
    version, held, typed = _version(request, version_id), as_workspace_request(request).access, request.POST
    sent, run = once.sent(request), None
    if not once.claim(held, sent):
        return redirect(once.outcome(held, sent) or _back(request, version).headers["Location"])
    try:
        ceiling = Decimal(typed["cost_ceiling"]) if typed.get("cost_ceiling") else None
        run = services.paraphrases_begin(
            held, version, model_id=whole(typed.get("model")), count=whole(typed.get("count")) or 0,
            limit=whole(typed.get("limit")), cost_ceiling=ceiling,
        )  # fmt: skip
    except InvalidOperation:
        messages.error(request, "The cost ceiling is not a number.")
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Run #{run.pk} drafts them. They appear here as its responses come.")
    finally:
        once.finish(held, sent, _back(request, version).headers["Location"] if run else None)
    return _back(request, version)


@access.requires(Role.EDITOR)
@require_POST
def decide(request: HttpRequest, version_id: int) -> HttpResponse:
    """`approve` or `drop` names one, with its text as edited; `approve_all` those that the page shows."""
    version, held, typed = _version(request, version_id), as_workspace_request(request).access, request.POST
    try:
        if "approve_all" in typed:
            shown = [pk for text in typed.getlist("shown") if (pk := whole(text)) is not None]
            count = services.paraphrases_approve(held, version, shown)
            messages.success(request, f"Approved {count}.")
        else:
            _decide_one(request, version)
    except Refused as error:
        messages.error(request, str(error))
    return _back(request, version)


def _decide_one(request: HttpRequest, version: DatasetVersion) -> None:
    held, typed = as_workspace_request(request).access, request.POST
    chosen = whole(typed.get("approve") or typed.get("drop"))
    paraphrase = Paraphrase.objects.filter(item__version=version, pk=chosen or 0).first()
    if paraphrase is None:
        raise Refused("There is no such paraphrase here.")
    if "approve" in typed:
        services.paraphrase_approve(held, paraphrase, typed.get("text", ""))
    else:
        services.paraphrase_drop(held, paraphrase)


def _back(request: HttpRequest, version: DatasetVersion) -> HttpResponse:
    slug = as_workspace_request(request).access.workspace.slug
    show = request.POST.get("show", "")
    url = reverse("generation:paraphrases", args=[slug, version.pk])
    return redirect(f"{url}?show={show}" if show in SHOWN else url)
