"""Pages of query generation: begin, watch, decide on drafts, make the dataset."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from generation import once, selectors, services
from generation.documents import ENDINGS
from generation.forms import BeginForm, EditForm
from generation.models import Draft, DraftState, Generation
from generation.prompts import PROMPTS
from generation.services import GenerationProblems
from runs.views.asked import as_workspace_request, is_htmx, whole
from workspaces import access
from workspaces.forms import TypedConfirmation
from workspaces.models import Role
from workspaces.services import Refused

EARLIER = 20
DECISIONS = {"approve": DraftState.APPROVED, "drop": DraftState.DROPPED, "reopen": DraftState.OPEN}


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def begin(request: HttpRequest) -> HttpResponse:
    """The form with what was drafted before; `?prompt=reasoning` shows that template. POST begins."""
    held = as_workspace_request(request).access
    prompt = request.GET.get("prompt", "facts")
    prompt = prompt if prompt in PROMPTS else "facts"
    form = BeginForm(initial={"prompt": prompt, "template": PROMPTS[prompt].template})
    if request.method == "POST":
        form = BeginForm(request.POST)
        if form.is_valid() and (answer := _begun(request, form)):
            return answer
    context = {
        "once": once.word(),
        "form": form,
        "prompts": PROMPTS,
        "chosen_prompt": form["prompt"].value() or "facts",
        "models": selectors.drafting_models(held.workspace),
        "endings": ",".join(ENDINGS),
        "earlier": selectors.generations_of(held.workspace)[:EARLIER],
    }
    return render(request, "generation/begin.html", context, status=422 if form.errors else 200)


def _begun(request: HttpRequest, form: BeginForm) -> HttpResponse | None:
    """To the drafting, also if the same form was sent before; None if the form says what is wrong."""
    held, sent = as_workspace_request(request).access, once.sent(request)
    if not once.claim(held, sent):
        return redirect(once.outcome(held, sent) or request.path)
    url = None
    try:
        url = services.generation_expect(held, form.wish(request.FILES.getlist("files"))).get_absolute_url()
    except GenerationProblems as error:
        form.add_problems(error.problems)
    finally:
        once.finish(held, sent, url)
    return redirect(url) if url else None


def _generation(request: HttpRequest, pk: int) -> Generation:
    rows = Generation.objects.select_related("workspace", "version__dataset")
    return get_object_or_404(rows, workspace=as_workspace_request(request).access.workspace, pk=pk)


def _draft(generation: Generation, number: int) -> Draft:
    drafts = generation.drafts.select_related("decided_by")
    return get_object_or_404(drafts, number=number)


def _context(request: HttpRequest, generation: Generation) -> dict[str, Any]:
    services.reading_resume(generation)
    services.drafts_collect(generation)
    return {
        "generation": generation,
        "standing": selectors.standing(generation),
        "can_edit": as_workspace_request(request).access.can_edit,
    }


@access.requires()
@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """`?show=open` and the page are in the URL."""
    generation = _generation(request, pk)
    show = request.GET.get("show", "open")
    show = show if show in selectors.SHOWN else ""
    context = _context(request, generation)
    page = selectors.draft_page(
        generation, show, after=whole(request.GET.get("after")), before=whole(request.GET.get("before"))
    )
    context |= {"page": page, "show": show, "shown": selectors.SHOWN, "seen": context["standing"].drafts}
    return render(request, "generation/detail.html", context)


@access.requires()
@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Polled while drafts may come; `seen` is how many the page knows of."""
    generation = _generation(request, pk)
    context = _context(request, generation) | {"seen": whole(request.GET.get("seen")) or 0}
    context["oob_empty"] = not context["standing"].drafts
    return render(request, "generation/_progress.html", context)


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def draft(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """GET shows one draft to edit; POST approves, drops, reopens, or saves what was edited."""
    generation = _generation(request, pk)
    found = _draft(generation, number)
    held, problem = as_workspace_request(request).access, ""
    if request.method == "POST":
        action = request.POST.get("action", "")
        if action in DECISIONS:
            services.draft_decide(held, found, DECISIONS[action])
        else:
            problem = _edited(request, found)
    editing = (request.method == "GET" and request.GET.get("edit") != "0") or bool(problem)
    context = _context(request, generation) | {"draft": found, "problem": problem, "oob": True}
    if problem:
        context["typed"] = request.POST
    if is_htmx(request):
        template = "generation/_edit.html" if editing else "generation/_decided.html"
        return render(request, template, context)
    if editing:
        return render(request, "generation/edit.html", context, status=422 if problem else 200)
    return redirect(f"{generation.get_absolute_url()}#draft-{found.number}")


def _edited(request: HttpRequest, draft: Draft) -> str:
    """What stands in the way of saving it; empty when it is saved."""
    form = EditForm(request.POST)
    if not form.is_valid():
        return "This cannot be read."
    try:
        services.draft_edit(as_workspace_request(request).access, draft, **form.words())
    except Refused as error:
        return str(error)
    return ""


@access.requires(Role.EDITOR)
@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Many at once, of those that are still to decide."""
    generation = _generation(request, pk)
    left = generation.drafts.filter(state=DraftState.OPEN)
    distinct, similar = left.filter(similar_to=None), left.exclude(similar_to=None)
    ways = {
        "approve": (left, DraftState.APPROVED, "approved"),
        "approve_distinct": (distinct, DraftState.APPROVED, "approved"),
        "drop_similar": (similar, DraftState.DROPPED, "dropped"),
    }
    way = ways.get(request.POST.get("what", ""))
    if way is None:
        messages.error(request, "Choose what to do with the drafts.")
    else:
        drafts, state, words = way
        count = services.drafts_decide(as_workspace_request(request).access, drafts, state)
        messages.success(request, f"{count:,} {'draft' if count == 1 else 'drafts'} {words}.")
    return redirect(generation)


@access.requires(Role.EDITOR)
@require_POST
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    """Makes a dataset version of the approved drafts, and shows it."""
    generation = _generation(request, pk)
    held = as_workspace_request(request).access
    name, note = request.POST.get("name", ""), request.POST.get("note", "")
    try:
        made = services.generation_publish(held, generation, name=name, note=note)
    except Refused as error:
        messages.error(request, str(error))
        return redirect(generation)
    version = made.version
    words = "is made" if made.created else "was there already"
    messages.success(request, f"Version {version.number} of {version.dataset.name} {words}.")
    return redirect(reverse("datasets:detail", args=[held.workspace.slug, version.dataset_id]))


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks until the typed words are right, then removes the drafts."""
    generation = _generation(request, pk)
    held, expected = as_workspace_request(request).access, f"delete {pk}"
    form = TypedConfirmation(request.POST or None, expected=expected)
    if request.method == "POST" and form.is_valid():
        services.generation_delete(held, generation)
        messages.success(request, f"Deleted the drafts of {generation.name}.")
        return redirect("generation:begin", held.workspace.slug)
    context = {"generation": generation, "form": form, "drafts": generation.drafts.count()}
    return render(request, "generation/delete.html", context, status=422 if form.errors else 200)
