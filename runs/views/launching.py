"""The launch sheet: over the board, as a page of its own without script, and its forecast."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from runs import selectors_pages, selectors_trying, services
from runs.forms import LaunchForm, initial_of_run
from runs.models import BY_HAND, Run
from runs.selectors import runs_of
from runs.services import LaunchPlan, LaunchProblems
from runs.views.asked import as_workspace_request, is_htmx, whole
from workspaces import access
from workspaces.models import Role

GENERATION = (
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "stop",
    "extra_body",
    "concurrency",
    "max_failures",
)
NUMBERS = (*GENERATION, "epochs", "limit", "cost_ceiling", "token_ceiling")
# What the sheet calls a field whose name does not say it.
WORDS = {"template": "Prompt template", "max_failures": "Attempts per item", "limit": "Items at most"}


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def launch(request: HttpRequest) -> HttpResponse:
    """GET shows the sheet (a dialog for htmx, else a page), POST launches."""
    held = as_workspace_request(request).access
    if request.method == "GET":
        template = "runs/_launch.html" if is_htmx(request) else "runs/launch.html"
        return render(request, template, sheet_context(request))
    form = LaunchForm(held.workspace, request.POST)
    if form.is_valid() and "check" not in request.POST:
        try:
            evaluation = services.launch(held, form.launch())
        except LaunchProblems as error:
            form.add_problems(error.problems)
        else:
            first = evaluation.runs.filter(judged=None).order_by("-id").values_list("pk", flat=True).first()
            by_hand = form.cleaned_data["responses"] == BY_HAND
            return _to(request, "runs:by_hand", first) if by_hand else _to_board(request, f"#run-{first}")
    context = _context(request, form)
    if is_htmx(request):
        return render(request, "runs/_launch.html", context)
    return render(request, "runs/launch.html", context, status=422 if form.errors else 200)


@access.requires(Role.EDITOR)
@require_POST
def plan(request: HttpRequest) -> HttpResponse:
    """The forecast and the preview of the first item, while the sheet is filled in."""
    held = as_workspace_request(request).access
    form = LaunchForm(held.workspace, request.POST)
    followed = form.follow_dataset()
    context = _context(request, form) | {"oob": True, "followed": followed}
    return render(request, "runs/_launch_forecast.html", context)


def sheet_context(request: HttpRequest) -> dict[str, Any]:
    """A new launch; `from` starts it from a run, `model` and `dataset_version` choose."""
    workspace, query = as_workspace_request(request).access.workspace, request.GET
    initial: dict[str, Any] = {}
    source = whole(query.get("from"))
    run = runs_of(workspace).filter(pk=source).first() if source else None
    if run is not None:
        initial = initial_of_run(run)
    models = [pk for text in query.getlist("model") if (pk := whole(text)) is not None]
    if models:
        initial |= {"models": models, "responses": "fresh"}
    if name := query.get("by_hand", "").strip():
        initial |= {"by_hand_name": name[:200], "responses": BY_HAND}
    version = whole(query.get("dataset_version"))
    if version:
        initial["dataset_version"] = version
    if subset := whole(query.get("subset")):
        initial["subset"] = subset
    form = LaunchForm(workspace, initial=initial)
    if run is None:
        form.choose_defaults()
    return _context(request, form) | {"subset_gone": _subset_gone(run, form) if run else ""}


def _subset_gone(run: Run, form: LaunchForm) -> str:
    """The name of the run's subset, if it was deleted since."""
    subset = run.config["dataset"].get("subset", {})
    gone = subset and subset.get("id") not in {each.pk for each in form.subsets}
    return str(subset.get("name") or "without a name") if gone else ""


def _context(request: HttpRequest, form: LaunchForm) -> dict[str, Any]:
    found, problems = _forecast(request, form)
    items = selectors_pages.first_items(form.version) if form.version else []
    recorded = form["responses"].value() == "recorded"
    return {
        "launch_form": form,
        "try_sources": selectors_trying.sources(form.version) if form.version else [],
        "plan": found,
        "plan_problems": problems,
        "preview": selectors_pages.prompt_of(items[0], form["template"].value() or "", recorded=recorded)
        if items
        else None,
        "generation_open": any(form[name].errors for name in GENERATION if form.is_bound),
    }


def _forecast(request: HttpRequest, form: LaunchForm) -> tuple[LaunchPlan | None, list[str]]:
    """The plan of what is filled in so far, and what stands in its way (not what is merely missing yet)."""
    held = as_workspace_request(request).access
    if not form.is_bound:
        return None, []
    form.is_valid()
    found = services.launch_plan(held, form.launch())
    missing = {"dataset_version_id", "model_ids"} if not found.version or not found.targets else set()
    unread = {name: form.errors[name] for name in NUMBERS if name in form.errors}
    standing = {name: texts for name, texts in found.problems.items() if name not in missing} | unread
    return found, [_about(name, str(text)) for name, texts in standing.items() for text in texts]


def _about(name: str, text: str) -> str:
    """A problem away from its field names it; those of a choice are sentences of their own."""
    if name != "template" and name not in NUMBERS:
        return text
    return f"{WORDS.get(name, name.replace('_', ' ').capitalize())}: {text[:1].lower()}{text[1:]}"


def _to_board(request: HttpRequest, anchor: str) -> HttpResponse:
    return _to(request, "runs:board", anchor=anchor)


def _to(request: HttpRequest, name: str, *args: Any, anchor: str = "") -> HttpResponse:
    url = reverse(name, args=[as_workspace_request(request).access.workspace.slug, *args]) + anchor
    return HttpResponse(status=204, headers={"HX-Redirect": url}) if is_htmx(request) else redirect(url)
