"""Pages of judges: the list, the editor with its preview, a version and what changed, the control check."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets.models import Item
from datasets.selectors import ready_versions
from evalportal.lib.plugins import UnknownPlugin
from judges import selectors, services
from judges.asking import Material, template_names
from judges.calling import Judged
from judges.checking import notes_on
from judges.draft import Draft
from judges.forms import JudgeForm, blank_draft
from judges.kinds import KINDS
from judges.models import Judge, JudgeVersion
from judges.rubrics import RUBRICS
from judges.selectors import Sampled
from judges.services import Rendered
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role

SAMPLES_OFFERED = 100
FIELD_WORDS = {"model_ids": "Judge models", "user_template": "Template", "system_template": "System template"}


@require_safe
@access.requires()
def judge_list(request: WorkspaceRequest) -> HttpResponse:
    archived = request.GET.get("archived") == "1"
    rows = list(selectors.judges_of(request.access.workspace, archived=archived))
    context = {
        "judges": rows,
        "archived": archived,
        "kinds": KINDS.items().items(),
        "rubrics": RUBRICS.items().items(),
        "can_ask": selectors.usable_models(request.access.workspace).exists(),
    }
    return render(request, "judges/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def new(request: WorkspaceRequest) -> HttpResponse:
    """Blank, or a rubric's copy that is stored once it is saved."""
    if request.method == "POST":
        return _saved(request, None)
    return _editor(request, None, JudgeForm.of(_first_draft(request)))


@require_safe
@access.requires()
def detail(request: WorkspaceRequest, pk: int) -> HttpResponse:
    judge = _judge(request, pk)
    return _editor(request, judge, JudgeForm.of(Draft.of(selectors.newest_version(judge))))


@require_safe
@access.requires()
def try_on(request: WorkspaceRequest) -> HttpResponse:
    """`?judge=` is a version's id: its judge's page, with `sample` and `source` as what to preview it on."""
    wanted = request.GET.get("judge", "")
    if not wanted:
        return redirect("judges:list", request.access.workspace.slug)
    number = int(wanted[:18]) if wanted[:18].isascii() and wanted[:18].isdigit() else 0
    version = get_object_or_404(selectors.versions_in(request.access.workspace), pk=number)
    kept = {name: request.GET.get(name, "")[:80] for name in ("sample", "source", "other")}
    page = redirect("judges:detail", request.access.workspace.slug, version.judge_id)
    page["Location"] += f"?{urlencode({name: value for name, value in kept.items() if value})}#judge-preview"
    return page


@require_POST
@access.requires(Role.EDITOR)
def save(request: WorkspaceRequest, pk: int) -> HttpResponse:
    return _saved(request, _judge(request, pk))


@require_POST
@access.requires(Role.EDITOR)
def preview_new(request: WorkspaceRequest) -> HttpResponse:
    return _previewed(request, None)


@require_POST
@access.requires(Role.EDITOR)
def preview(request: WorkspaceRequest, pk: int) -> HttpResponse:
    return _previewed(request, _judge(request, pk))


@require_POST
@access.requires(Role.EDITOR)
def archive(request: WorkspaceRequest, pk: int) -> HttpResponse:
    judge, archived = _judge(request, pk), request.POST.get("archived") == "1"
    services.judge_archive(request.access, judge, archived=archived)
    messages.success(request, f"{judge} is {'archived' if archived else 'offered again'}.")
    return redirect("judges:list", request.access.workspace.slug)


@require_safe
@access.requires()
def version(request: WorkspaceRequest, pk: int, number: int) -> HttpResponse:
    """What the version says, and what changed against another one: `?against=`, else the one before."""
    versions = list(selectors.versions_in(request.access.workspace).filter(judge=pk))
    shown = _numbered(versions, str(number))
    if shown is None:
        raise Http404("No such version")
    against = _numbered(versions, request.GET.get("against", "")) or _numbered(versions, str(number - 1))
    context = {
        "judge": shown.judge,
        "version": shown,
        "versions": versions,
        "against": against,
        "changes": selectors.changes_between(against, shown) if against else [],
        **_check_context(shown),
    }
    return render(request, "judges/version.html", context)


@require_safe
@access.requires()
def controls(request: WorkspaceRequest, pk: int, number: int) -> HttpResponse:
    """The panel, asked for again while a check goes on."""
    return render(request, "judges/_controls.html", _check_context(_version(request, pk, number)))


@require_POST
@access.requires(Role.EDITOR)
def check(request: WorkspaceRequest, pk: int, number: int) -> HttpResponse:
    shown = _version(request, pk, number)
    services.check_controls(request.access, shown)
    if request.htmx:
        return render(request, "judges/_controls.html", _check_context(shown))
    messages.success(
        request, "The control set is being asked; this page shows the result when it is reloaded."
    )
    return redirect("judges:detail", request.access.workspace.slug, pk)


# The editor


@dataclass(frozen=True)
class Previewed:
    """One sampled item: what would be sent and, once asked, what came of it. Neither without a response."""

    item: Item
    material: Material | None
    rendered: Sequence[Rendered] = ()
    judged: Judged | None = None


def _editor(
    request: WorkspaceRequest, judge: Judge | None, form: JudgeForm, *, status: int = 200, **more: Any
) -> HttpResponse:
    """`more` overrides what the page shows by itself."""
    workspace = request.access.workspace
    newest = selectors.newest_version(judge) if judge else None
    sampled = more["sampled"] if "sampled" in more else _sampled(request)
    kind = form["kind"].value() if form["kind"].value() in KINDS else "classify"
    context = {
        "form": form,
        "judge": judge,
        "version": newest,
        "next_number": newest.number + 1 if newest else 1,
        "versions": selectors.versions_in(workspace).filter(judge=judge)[:50] if judge else [],
        "kinds": KINDS.items().items(),
        "kind": kind,
        "names": {key: sorted(template_names(key)) for key in KINDS},
        "models_offered": selectors.usable_models(workspace),
        **_sample_context(request, sampled),
        **(_check_context(newest) if newest else {}),
        **more,
    }
    return render(request, "judges/editor.html", context, status=status)


def _saved(request: WorkspaceRequest, judge: Judge | None) -> HttpResponse:
    form = JudgeForm(request.POST)
    if not form.is_valid():
        return _editor(request, judge, form, status=422)
    sampled, draft = _sampled(request), form.draft()
    before = selectors.newest_version(judge).pk if judge else None
    try:
        made = (
            services.judge_revise(request.access, judge, draft, sampled)
            if judge
            else services.judge_create(request.access, draft, sampled)
        )
    except ValidationError as error:
        form.take_errors(error)
        return _editor(request, judge, form, status=422)
    if made.pk == before:
        messages.success(request, f"Saved. Nothing that decides verdicts changed, so v{made.number} stays.")
    else:
        messages.success(request, f"Saved {draft.name} v{made.number}.")
    for note in notes_on(draft, sampled):
        messages.info(request, note)
    page = redirect("judges:detail", request.access.workspace.slug, made.judge_id)
    if sampled:
        page["Location"] += f"?sample={sampled.version.pk}"
    return page


def _previewed(request: WorkspaceRequest, judge: Judge | None) -> HttpResponse:
    """The panel for htmx, else the whole editor with it."""
    form, sampled = JudgeForm(request.POST), _sampled(request)
    context: dict[str, Any] = _sample_context(request, sampled)
    try:
        if not form.is_valid():
            raise ValidationError({name: list(texts) for name, texts in form.errors.items()})
        draft = form.draft()
        context |= {
            "previewed": _previews(request, draft, sampled),
            "notes": notes_on(draft, sampled),
            "asked": request.POST.get("do") == "ask",
        }
    except ValidationError as error:
        context["problems"] = [
            (FIELD_WORDS.get(name, name.replace("_", " ").capitalize()), text)
            for name, texts in error.message_dict.items()
            for text in texts
        ]
    except services.Unavailable as why:
        context["problems"] = [("Judge models", str(why))]
    if request.htmx:
        return render(request, "judges/_preview.html", {"judge": judge, **context})
    return _editor(request, judge, form, **context)


def _previews(request: WorkspaceRequest, draft: Draft, sampled: Sampled | None) -> list[Previewed]:
    found = (
        selectors.materials_of(sampled, **_wanted(request, sampled), compares=draft.kind == "compare")
        if sampled
        else []
    )
    materials = [material for _, material in found if material]
    rendered = iter(services.preview(request.access, draft, materials, sampled))
    ask = request.POST.get("do") == "ask" and materials
    judged = iter(services.ask(request.access, draft, materials, sampled) if ask else [])
    return [
        Previewed(item, material, next(rendered), next(judged, None)) if material else Previewed(item, None)
        for item, material in found
    ]


def _sample_context(request: WorkspaceRequest, sampled: Sampled | None) -> dict[str, Any]:
    return {
        "sampled": sampled,
        "samples": ready_versions(request.access.workspace)[:SAMPLES_OFFERED],
        "wanted": _wanted(request, sampled),
    }


def _wanted(request: WorkspaceRequest, sampled: Sampled | None) -> dict[str, str]:
    """Where the responses of a preview come from; at first the first two sources there are."""
    given = request.POST if request.method == "POST" else request.GET
    sources = [value for value, _ in sampled.sources] if sampled else [selectors.TYPED]
    first, second = given.get("source", ""), given.get("other", "")
    return {
        "source": first if first in sources else sources[0],
        "other": second if second in sources else sources[min(1, len(sources) - 1)],
        "typed": given.get("typed", ""),
        "typed_other": given.get("typed_other", ""),
    }


def _sampled(request: WorkspaceRequest) -> Sampled | None:
    """Of the version that is asked for; a page that is opened without one takes the newest."""
    given = request.POST if request.method == "POST" else request.GET
    wanted = given.get("sample")
    if wanted is None:
        newest = ready_versions(request.access.workspace).first()
        return selectors.sampled_of(request.access.workspace, newest.pk if newest else None)
    number = int(wanted[:18]) if wanted[:18].isascii() and wanted[:18].isdigit() else None
    return selectors.sampled_of(request.access.workspace, number, given.get("source", ""))


def _first_draft(request: WorkspaceRequest) -> Draft:
    key = request.GET.get("rubric", "")
    if not key:
        return blank_draft()
    try:
        return services.draft_of_rubric(request.access.workspace, key)
    except UnknownPlugin as error:
        raise Http404(str(error)) from error


def _check_context(shown: JudgeVersion) -> dict[str, Any]:
    found = selectors.newest_check(shown)
    rate = selectors.false_pass_rate(found) if found and found.n else None
    return {"version": shown, "judge": shown.judge, "check": found, "rate": rate}


def _judge(request: WorkspaceRequest, pk: int) -> Judge:
    return get_object_or_404(
        Judge.objects.select_related("workspace"), workspace=request.access.workspace, pk=pk
    )


def _version(request: WorkspaceRequest, pk: int, number: int) -> JudgeVersion:
    return get_object_or_404(selectors.versions_in(request.access.workspace), judge=pk, number=number)


def _numbered(versions: Sequence[JudgeVersion], number: str) -> JudgeVersion | None:
    return next((each for each in versions if str(each.number) == number), None)
