"""Comparisons under a name, for everyone in the workspace."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analysis import services
from analysis.asking import asked
from analysis.selectors import saved_of
from runs.views.asked import as_workspace_request, is_htmx
from workspaces import access
from workspaces.models import Role


class NameForm(forms.Form):
    name = forms.CharField(max_length=120, label="Name")


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def save(request: HttpRequest) -> HttpResponse:
    """Asks for a name and keeps the URL's state, without the open item and page."""
    held = as_workspace_request(request).access
    query = asked(request.GET).query(item=None, after=None, before=None)
    form = NameForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.comparison_save(held, name=form.cleaned_data["name"], query=query)
        except services.NameTaken as taken:
            form.add_error("name", str(taken))
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved for everyone in the workspace.")
            return redirect(reverse("analysis:compare", args=[held.workspace.slug]) + query)
    template = "analysis/_save.html" if is_htmx(request) else "analysis/save.html"
    status = 422 if form.errors else 200
    return render(request, template, {"form": form, "query": query}, status=status)


@access.requires()
@require_safe
def saved(request: HttpRequest, pk: int) -> HttpResponse:
    """A short link to it: the page with the state that was kept."""
    held = as_workspace_request(request).access
    found = get_object_or_404(saved_of(held.workspace), pk=pk)
    return redirect(reverse("analysis:compare", args=[held.workspace.slug]) + found.query)


@access.requires(Role.EDITOR)
@require_POST
def saved_delete(request: HttpRequest, pk: int) -> HttpResponse:
    held = as_workspace_request(request).access
    found = get_object_or_404(saved_of(held.workspace), pk=pk)
    services.comparison_delete(held, found)
    messages.success(request, f"{found.name} is deleted. Its runs are kept.")
    return redirect("analysis:compare", held.workspace.slug)
