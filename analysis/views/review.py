"""Labelling by people: which samples there are, drawing one, and one response after the other."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from analysis import selectors_labels, selectors_review, services_labels
from analysis.asking import LARGEST_ID
from analysis.exports_labels import MEDIA_TYPES, labels_file
from analysis.models import ReviewSample
from analysis.selectors_review import LARGEST_SAMPLE, Sample
from analysis.services import TriageProblem
from analysis.views.triage import refused
from evalportal.lib.streaming import download
from judges.models import Judge
from runs.models import Trial
from runs.selectors import listed
from runs.views.asked import as_workspace_request, whole
from workspaces import access
from workspaces.access import Access
from workspaces.models import Role


class DrawForm(forms.Form):
    judge = forms.IntegerField(min_value=1, max_value=LARGEST_ID)
    run = forms.IntegerField(min_value=1, max_value=LARGEST_ID)
    n = forms.IntegerField(min_value=1, max_value=LARGEST_SAMPLE)
    assignee = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)


class LabelForm(forms.Form):
    trial = forms.IntegerField(min_value=1, max_value=LARGEST_ID)
    judge = forms.IntegerField(min_value=1, max_value=LARGEST_ID)
    answer = forms.CharField(max_length=200)
    comment = forms.CharField(max_length=2000, required=False)
    back = forms.CharField(max_length=500, required=False)
    stay = forms.BooleanField(required=False)


@access.requires()
@require_safe
def review(request: HttpRequest) -> HttpResponse:
    """`?judge=3&run=7` chooses what the next sample is drawn from."""
    held, query = as_workspace_request(request).access, request.GET
    judges = selectors_review.judges_to_review(held.workspace)
    judge = next((each for each in judges if each.pk == whole(query.get("judge"))), None)
    runs = selectors_review.judged_runs(judge) if judge else []
    context = {
        "judges": judges,
        "judge": judge,
        "runs": runs,
        "run": next((run for run in runs if run.pk == whole(query.get("run"))), None),
        "samples": [(row, done, query_of(row)) for row, done in selectors_review.samples_of(held.workspace)],
        "members": selectors_review.members_of(held.workspace),
        "largest": LARGEST_SAMPLE,
        "has_labels": judge.labels if judge else any(each.labels for each in judges),  # type: ignore[attr-defined]
        "can_edit": held.can_edit,
    }
    return render(request, "analysis/review.html", context)


def query_of(row: ReviewSample) -> str:
    return Sample(
        judge=row.judge, run=row.run, entry={}, size=row.size, seed=row.seed, after=row.after
    ).query()


@access.requires()
@require_safe
def review_export(request: HttpRequest) -> HttpResponseBase:
    """Everyone's labels; `?judge=3&run=7` narrows them, `kind=json`, `unblind=1` for every verdict."""
    held, query = as_workspace_request(request).access, request.GET
    kind = query.get("kind", "csv")
    if kind not in MEDIA_TYPES:
        return refused(f"There is no export {kind[:40]}; choose {', '.join(MEDIA_TYPES)}.")
    labels = selectors_labels.labels_in(held.workspace)
    if "judge" in query:
        judge = get_object_or_404(Judge, pk=whole(query.get("judge")) or 0, workspace=held.workspace)
        labels = labels.filter(judge=judge)
    if "run" in query:
        labels = labels.filter(run=get_object_or_404(listed(held.workspace), pk=whole(query.get("run")) or 0))
    rows = selectors_labels.label_rows(
        labels.iterator(chunk_size=selectors_labels.AT_ONCE), held.actor, unblind=query.get("unblind") == "1"
    )
    return download(
        request, labels_file(rows, kind), filename=f"labels.{kind}", content_type=MEDIA_TYPES[kind]
    )


@access.requires(Role.EDITOR)
@require_POST
def review_draw(request: HttpRequest) -> HttpResponse:
    held, form = as_workspace_request(request).access, DrawForm(request.POST)
    if not form.is_valid():
        return refused("; ".join(f"{name}: {text}" for name, texts in form.errors.items() for text in texts))
    data = form.cleaned_data
    judge = get_object_or_404(Judge, pk=data["judge"], workspace=held.workspace)
    run = get_object_or_404(listed(held.workspace), pk=data["run"])
    try:
        row = services_labels.sample_draw(held, judge, run, data["n"], data["assignee"])
    except (services_labels.ReviewProblem, TriageProblem) as problem:
        messages.error(request, str(problem))
        back = reverse("analysis:review", args=[held.workspace.slug])
        return redirect(f"{back}?judge={judge.pk}&run={run.pk}")
    return redirect(reverse("analysis:review_label", args=[held.workspace.slug]) + query_of(row))


@access.requires()
@require_safe
def review_label(request: HttpRequest) -> HttpResponse:
    """`?judge=3&run=7&n=50&seed=4&after=0` is the sample, `at=2` the place in it."""
    held = as_workspace_request(request).access
    if "judge" not in request.GET:
        return redirect("analysis:review", held.workspace.slug)
    sample = sample_of(held, request.GET)
    found = selectors_review.review_of(sample, held.actor, whole(request.GET.get("at")))
    stay = "stay" in request.GET
    context: dict[str, Any] = {"review": found, "sample": sample, "can_edit": held.can_edit, "stay": stay}
    if found.shown:
        at = found.shown.at
        context["here"] = sample.query(at, stay=stay)
        context["previous"] = sample.query(at - 1, stay=stay) if at > 1 else ""
        context["following"] = sample.query(at + 1, stay=stay) if at < found.total else ""
    return render(request, "analysis/review_label.html", context)


def sample_of(held: Access, query: QueryDict) -> Sample:
    """Raises Http404 for what is not of this workspace, or was not judged."""
    judge = get_object_or_404(Judge, pk=whole(query.get("judge")) or 0, workspace=held.workspace)
    run = get_object_or_404(listed(held.workspace), pk=whole(query.get("run")) or 0)
    entry = selectors_review.entry_of(run, judge)
    if entry is None:
        raise Http404("The judge has not judged this run")
    return Sample(
        judge=judge,
        run=run,
        entry=entry,
        size=min(whole(query.get("n")) or 1, LARGEST_SAMPLE),
        seed=whole(query.get("seed")) or 0,
        after=whole(query.get("after")) or 0,
    )


@access.requires(Role.EDITOR)
@require_POST
def review_keep(request: HttpRequest) -> HttpResponse:
    """Then on to the next response, or with `stay` back to this one and what the judge said."""
    held, form = as_workspace_request(request).access, LabelForm(request.POST)
    if not form.is_valid():
        return refused("; ".join(f"{name}: {text}" for name, texts in form.errors.items() for text in texts))
    data = form.cleaned_data
    judge = get_object_or_404(Judge, pk=data["judge"], workspace=held.workspace)
    trials = Trial.objects.select_related("run")
    trial = get_object_or_404(trials, pk=data["trial"], run__workspace=held.workspace, run__judged=None)
    try:
        services_labels.label_keep(held, judge, trial, data["answer"], data["comment"].strip())
    except services_labels.ReviewProblem as problem:
        messages.error(request, str(problem))
    return onward(held, QueryDict(data["back"].removeprefix("?")), data["stay"])


def onward(held: Access, query: QueryDict, stay: bool) -> HttpResponse:
    """Never to another address: the sample is read from the query anew."""
    sample, at = sample_of(held, query), whole(query.get("at")) or 1
    place = at if stay else min(at + 1, sample.size)
    return redirect(
        reverse("analysis:review_label", args=[held.workspace.slug]) + sample.query(place, stay=stay)
    )
