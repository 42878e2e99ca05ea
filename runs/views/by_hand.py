"""Answers that people fill in: one prompt at a time, or by a pack that is filled in elsewhere."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from runs import selectors_by_hand, services
from runs.models import BY_HAND, Run
from runs.pack_form import form_of
from runs.packs import BadPack, pack_of
from runs.services.by_hand import MOST_BYTES
from runs.views.asked import as_workspace_request, is_htmx, run_or_404, whole
from workspaces import access
from workspaces.models import Role

SHOWN_ROWS = 50
View = Callable[[HttpRequest, Run], HttpResponse]


def of_hand_run(view: View) -> Callable[[HttpRequest, int], HttpResponse]:
    """Hands over the run; one that is answered by a model leads to its own page."""

    @wraps(view)
    def found(request: HttpRequest, pk: int) -> HttpResponse:
        run = run_or_404(request, pk)
        return view(request, run) if run.config.get("responses") == BY_HAND else redirect(run)

    return found


@access.requires()
@require_http_methods(["GET", "POST"])
@of_hand_run
def by_hand(request: HttpRequest, run: Run) -> HttpResponse:
    """`?n=3` shows that prompt, without it the first that has no answer. POST saves an answer."""
    if request.method == "POST":
        return _answer(request, run)
    return _page(request, run, whole(request.GET.get("n")))


def _answer(request: HttpRequest, run: Run) -> HttpResponse:
    """htmx saves while someone types and stays; the form goes on to the next prompt without an answer."""
    held = as_workspace_request(request).access
    if not held.can_edit:
        return HttpResponse("Only editors fill in answers.", status=403, content_type="text/plain")
    seq, text = whole(request.POST.get("n")), request.POST.get("answer", "")
    problem = ""
    try:
        services.answer_save(held, run, seq or 0, text, seen=request.POST.get("seen", ""))
    except services.CannotDo as error:
        problem = str(error)
    if is_htmx(request):
        return _part(request, run, seq, problem)
    if problem:
        return _page(request, run, seq, {"problem": problem, "typed": text}, status=409)
    following = selectors_by_hand.next_open(run, seq or 0)
    return redirect(_url(run, following or seq))


def _url(run: Run, seq: int | None) -> str:
    return reverse("runs:by_hand", args=[run.workspace.slug, run.pk]) + (f"?n={seq}" if seq else "")


def _context(request: HttpRequest, run: Run, seq: int | None) -> dict[str, Any]:
    prompt = selectors_by_hand.hand_prompt(run, seq)
    if prompt is None:
        raise Http404("This run has no prompt of that number.")
    return {
        "run": run,
        "prompt": prompt,
        "standing": selectors_by_hand.standing(run),
        "can_edit": as_workspace_request(request).access.can_edit,
        "waits": run.status == "paused",
    }


def _part(request: HttpRequest, run: Run, seq: int | None, problem: str) -> HttpResponse:
    context = _context(request, run, seq) | {"problem": problem, "oob": True}
    return render(request, "runs/_by_hand_saved.html", context)


def _page(
    request: HttpRequest, run: Run, seq: int | None, more: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    return render(request, "runs/by_hand.html", _context(request, run, seq) | (more or {}), status=status)


@access.requires()
@require_GET
@of_hand_run
def pack(request: HttpRequest, run: Run) -> HttpResponse:
    """The signed pack; with `?as=form` as a page to fill in offline, `?as=text` its prompts to print."""
    prompts = selectors_by_hand.prompts_of(run)
    name = f"run-{run.pk}.pack"
    if request.GET.get("as") == "text":
        return StreamingHttpResponse(  # type: ignore[return-value]
            list(_printed(run, prompts)),
            content_type="text/plain; charset=utf-8",
            headers={"Content-Disposition": f'inline; filename="{name}.txt"'},
        )
    if request.GET.get("as") == "form":
        return HttpResponse(
            form_of(pack_of(run, prompts, run.total)),
            headers={"Content-Disposition": f'attachment; filename="{name}.html"'},
        )
    return JsonResponse(
        pack_of(run, prompts, run.total),
        json_dumps_params={"indent": 2, "ensure_ascii": False},
        headers={"Content-Disposition": f'attachment; filename="{name}.json"', "Cache-Control": "no-store"},
    )


def _printed(run: Run, prompts: Iterator[tuple[int, str]]) -> Iterator[str]:
    dataset = run.config["dataset"]
    yield f"{run.alias}: {dataset['name']} v{dataset['version']}, {run.total:,} prompts of run {run.pk}\n"
    for number, text in prompts:
        yield f"\n{'─' * 72}\nPrompt {number} of {run.total}\n\n{text}\n\nAnswer:\n\n\n"


@access.requires(Role.EDITOR)
@require_POST
@of_hand_run
def pack_import(request: HttpRequest, run: Run) -> HttpResponse:
    """Takes a filled-in pack; where rows are bad, the page lists them and nothing is saved."""
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        return _page(request, run, None, {"import_problem": "Choose the filled-in pack."}, status=422)
    leave_out = "leave_out" in request.POST
    held = as_workspace_request(request).access
    try:
        done = services.pack_import(held, run, file.read(MOST_BYTES + 1), leave_out=leave_out)
    except (BadPack, services.CannotDo) as error:
        return _page(request, run, None, {"import_problem": str(error)}, status=422)
    if done.bad:
        shown = {"imported": done, "bad_rows": done.bad[:SHOWN_ROWS], "unshown": len(done.bad) - SHOWN_ROWS}
        return _page(request, run, None, shown, status=200 if done.done else 422)
    words = f"{done.saved:,} answers imported" + (f", {done.same:,} were there already" if done.same else "")
    messages.success(request, f"{words}.")
    return redirect(_url(run, None))


@access.requires(Role.EDITOR)
@require_POST
@of_hand_run
def score(request: HttpRequest, run: Run) -> HttpResponse:
    """Scores what is filled in, and shows the run."""
    try:
        services.by_hand_score(as_workspace_request(request).access, run)
    except services.CannotDo as error:
        messages.error(request, str(error))
        return redirect(_url(run, None))
    return redirect(run)


@access.requires(Role.EDITOR)
@require_POST
@of_hand_run
def reopen(request: HttpRequest, run: Run) -> HttpResponse:
    """Lets people fill in what had no answer when the run was scored."""
    try:
        services.by_hand_reopen(as_workspace_request(request).access, run)
    except services.CannotDo as error:
        messages.error(request, str(error))
        return redirect(run)
    return redirect(_url(run, None))
