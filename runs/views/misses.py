"""From a run's failing items to a dataset or a file to fine-tune on."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from evalportal.lib.streaming import download
from runs.models import Run
from runs.selectors import TrialFilter
from runs.services import misses as services
from runs.views.asked import as_workspace_request, run_or_404
from runs.views.inspector import wanted_trials
from webhooks.selectors import last_delivery, webhook_of
from workspaces import access
from workspaces.models import Role
from workspaces.services import Refused

SHOWN = 3


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def misses(request: HttpRequest, pk: int) -> HttpResponse:
    """What would be taken, and the ways to carry on; POST registers a new dataset, or pushes."""
    run = run_or_404(request, pk)
    wanted = wanted_trials(request)
    held = as_workspace_request(request).access
    problem = ""
    if request.method == "POST" and request.POST.get("to") == "webhook":
        return _push(request, run, wanted)
    if request.method == "POST":
        try:
            version = services.misses_register(held, run, wanted, name=request.POST.get("name", ""))
        except Refused as error:
            problem = str(error)
        else:
            messages.success(request, f"Registered {version.dataset.name}.")
            return redirect("datasets:detail", held.workspace.slug, version.dataset_id)
    context = _context(run, wanted) | {"problem": problem, "name": request.POST.get("name", "")}
    return render(request, "runs/misses.html", context, status=422 if problem else 200)


def _push(request: HttpRequest, run: Run, wanted: TrialFilter) -> HttpResponse:
    held = as_workspace_request(request).access
    try:
        services.misses_push(held, run, wanted, base_url=request.build_absolute_uri("/"))
    except Refused as error:
        context = _context(run, wanted) | {"push_problem": str(error)}
        return render(request, "runs/misses.html", context, status=422)
    return redirect(f"{request.get_full_path()}#push")


def _context(run: Run, wanted: TrialFilter) -> dict[str, Any]:
    items = services.missed_items(run, wanted)
    count = items.count()
    samples = [
        (item, services.reference_text(item))
        for item in items.exclude(references=[]).order_by("position")[:SHOWN]
    ]
    return {
        "run": run,
        "wanted": wanted,
        "variation": services.provenance(run, wanted, count)["filter"].get("variation", ""),
        "count": count,
        "without": items.filter(references=[]).count(),
        "samples": samples,
        "warning": services.WARNING.format(dataset=run.config["dataset"]["name"]),
        "webhook": webhook_of(run.workspace),
        "delivery": last_delivery(run.workspace, services.subject_of(run)),
        "others": Run.objects.filter(dataset_version__dataset=run.dataset_version.dataset_id).count(),
    }


@require_safe
@access.requires(Role.EDITOR)
def misses_file(request: HttpRequest, pk: int, kind: str) -> HttpResponseBase:
    """`chat`: JSON Lines to fine-tune on; `provenance`: where they come from."""
    run = run_or_404(request, pk)
    wanted = wanted_trials(request)
    items = services.missed_items(run, wanted)
    if kind == "provenance":
        plain = services.provenance_file(run, wanted, items.count())
        text = json.dumps(plain, ensure_ascii=False, indent=2) + "\n"
        return download(
            request, [text], filename=f"run-{pk}-misses-provenance.json", content_type="application/json"
        )
    services.misses_noted(as_workspace_request(request).access, run, items.count())
    return download(
        request, services.chat_lines(run, items),
        filename=services.chat_name(run), content_type=services.CHAT_TYPE,
    )  # fmt: skip
