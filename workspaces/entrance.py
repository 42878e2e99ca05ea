"""Pages before one is a member: first start, and joining by an invitation's link."""

from allauth.account.utils import perform_login
from allauth.core import ratelimit
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from workspaces import access, people, selectors, services
from workspaces.forms import JoinForm, SetupForm
from workspaces.models import Invitation, User


@access.public
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """Once someone exists it is as if it never was."""
    if not selectors.installation_is_empty():
        raise Http404("Set up already")
    form = SetupForm(request.POST or None)
    if request.method == "POST":
        if limited := too_often(request):
            return limited
        if form.is_valid():
            try:
                return welcome(request, people.person_setup(**form.cleaned_data))
            except services.Refused as refusal:
                form.add_error("code", str(refusal))
    else:
        people.setup_code()  # so that the file exists when the page names it
    return render(request, "workspaces/setup.html", {"form": form, "path": people.setup_code_path()})


@access.public
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """Someone logged in accepts; anyone else makes an account, or logs in and comes back."""
    invitation = selectors.open_invitation(secret)
    if invitation is None:
        return render(request, "workspaces/join_closed.html", status=404)
    if request.user.is_authenticated:
        return accept(request, invitation)
    form = JoinForm(request.POST or None, bound_email=invitation.email)
    if request.method == "POST":
        if limited := too_often(request):
            return limited
        if form.is_valid():
            try:
                return welcome(request, people.person_join(invitation, **form.cleaned_data))
            except services.Refused as refusal:
                form.add_error("email", str(refusal))
    return render(request, "workspaces/join.html", {"form": form, "invitation": invitation})


def accept(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    assert isinstance(request.user, User)
    problem = ""
    if request.method == "POST":
        try:
            services.invitation_accept(invitation, request.user)
            messages.success(request, f"You are now a member of {invitation.workspace}.")
            return redirect("analysis:dashboard", invitation.workspace.slug)
        except services.Refused as refusal:
            problem = str(refusal)
    return render(request, "workspaces/accept.html", {"invitation": invitation, "problem": problem})


def too_often(request: HttpRequest) -> HttpResponse | None:
    """allauth's limit on signing up, per address of the network."""
    answer: HttpResponse | None = ratelimit.consume_or_429(request, action="signup")
    return answer


def welcome(request: HttpRequest, user: User) -> HttpResponse:
    """Logs in through allauth, so that everything it keeps about a login is there."""
    answer: HttpResponse = perform_login(request, user, redirect_url="/")
    return answer
