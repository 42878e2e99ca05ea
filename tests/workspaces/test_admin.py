"""The admin of people and workspaces: every page opens, every change goes through the services."""

import pytest
from django.contrib import admin
from django.urls import reverse

from workspaces import services
from workspaces.access import access_for
from workspaces.models import ApiToken, AuditEvent, Invitation, Membership, Role, User, Workspace

pytestmark = pytest.mark.django_db
MODELS = ("user", "workspace", "membership", "invitation", "apitoken", "auditevent")


@pytest.fixture
def everything(owner, outsider):
    """A row of each kind; returns the secrets that no page may show."""
    held = access_for(owner, "alpha")
    _, token = services.token_create(held, name="t", role=Role.OWNER, expires_at=None)
    _, link = services.invitation_create(held, role=Role.VIEWER, email="bob@example.org")
    services.workspace_rename(access_for(outsider, "beta"), name="Beta")
    return (
        token,
        link,
        *ApiToken.objects.values_list("token_hash"),
        *Invitation.objects.values_list("token_hash"),
    )


def at(model, page="changelist", *args):
    return reverse(f"admin:workspaces_{model}_{page}", args=args)


def act(client, model, action, *rows):
    return client.post(
        at(model), {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
    )


@pytest.fixture(autouse=True)
def discovered():
    """The routes discover the admin."""
    reverse("admin:index")


@pytest.mark.parametrize("model", MODELS)
def test_lists_searches_and_rows_open_without_secrets(client_of, staff, everything, model):
    client = client_of(staff)
    kind = admin.site._registry[
        next(m for m in admin.site._registry if m._meta.label_lower == f"workspaces.{model}")
    ]
    pages = [
        at(model),
        at(model) + "?q=alpha",
        *(at(model, "change", row.pk) for row in kind.model.objects.all()),
    ]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        for secret in everything:
            assert str(secret) not in answer.text


@pytest.mark.parametrize("model", MODELS)
def test_only_site_staff_get_in(client, client_of, owner, model):
    assert client.get(at(model)).status_code == 302
    assert client_of(owner).get(at(model), follow=True).status_code == 403


def test_nothing_in_the_audit_trail_can_be_changed_or_deleted(client_of, staff, everything):
    client, event = client_of(staff), AuditEvent.objects.first()
    assert client.get(at("auditevent", "add")).status_code == 403
    assert client.post(at("auditevent", "change", event.pk), {"action": "x"}).status_code == 403
    assert client.post(at("auditevent", "delete", event.pk), {"post": "yes"}).status_code == 403
    act(client, "auditevent", "delete_selected", event)
    assert AuditEvent.objects.filter(pk=event.pk, action=event.action).exists()


def test_clutter_is_gone():
    registered = {model._meta.label for model in admin.site._registry}
    assert not registered & {"auth.Group", "account.EmailAddress", "workspaces.IdempotencyKey"}


def test_person_is_made_and_changed(client_of, staff):
    client = client_of(staff)
    client.post(at("user", "add"), {"email": "New@example.org", "name": "New", "is_staff": "on"})
    person = User.objects.get(email="new@example.org")
    assert (person.is_staff, person.is_superuser, person.has_usable_password()) == (True, True, False)
    values = {"email": "newer@example.org", "name": "Newer", "is_active": "on"}
    client.post(at("user", "change", person.pk), values | inline_of("memberships"))
    person.refresh_from_db()
    assert (person.email, person.name, person.is_staff, person.is_active) == (
        "newer@example.org",
        "Newer",
        False,
        True,
    )
    done = set(AuditEvent.objects.values_list("action", flat=True))
    assert done == {
        "person.create",
        "person.make_staff",
        "person.set_email",
        "person.rename",
        "person.end_staff",
    }


def inline_of(prefix):
    return {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}


def test_refusals_are_shown_and_change_nothing(client_of, staff, owner, alpha):
    client = client_of(staff)
    assert "last owner of Alpha" in act(client, "user", "deactivate", owner).text
    answer = client.post(at("user", "delete", owner.pk), {"post": "yes"}, follow=True)
    assert "last owner of Alpha" in answer.text
    member = Membership.objects.get(user=owner)
    answer = client.post(at("membership", "change", member.pk), {"role": "viewer"}, follow=True)
    assert "keeps at least one owner" in answer.text
    owner.refresh_from_db()
    member.refresh_from_db()
    assert (owner.is_active, member.role) == (True, Role.OWNER)
    assert not AuditEvent.objects.exists()


def test_password_link_is_shown_to_staff(client_of, staff, editor):
    assert "/accounts/password/reset/key/" in act(client_of(staff), "user", "make_password_link", editor).text


def test_memberships_are_managed(client_of, staff, outsider, alpha, owner):
    client = client_of(staff)
    client.post(at("membership", "add"), {"workspace": alpha.pk, "user": outsider.pk, "role": "viewer"})
    member = Membership.objects.get(user=outsider, workspace=alpha)
    client.post(at("membership", "change", member.pk), {"role": "editor"})
    client.post(at("membership", "delete", member.pk), {"post": "yes"})
    assert not Membership.objects.filter(pk=member.pk).exists()
    actions = [*AuditEvent.objects.order_by("id").values_list("action", "actor__email")]
    assert actions == [(f"member.{verb}", staff.email) for verb in ("add", "set_role", "remove")]


def test_workspaces_are_managed(client_of, staff):
    client = client_of(staff)
    client.post(at("workspace", "add"), {"name": "Gamma"})
    made = Workspace.objects.get(slug="gamma")
    assert Membership.objects.get(workspace=made).user == staff
    client.post(at("workspace", "change", made.pk), {"name": "Delta"} | inline_of("memberships"))
    assert Workspace.objects.get().name == "Delta"
    act(client, "workspace", "delete_selected", made)  # asks first
    assert Workspace.objects.exists()
    values = {"action": "delete_selected", "_selected_action": made.pk, "post": "yes"}
    client.post(at("workspace"), values)
    assert not Workspace.objects.exists()
    assert AuditEvent.objects.first().action == "workspace.delete"


def test_tokens_and_invitations_are_revoked(client_of, staff, everything):
    client = client_of(staff)
    act(client, "apitoken", "revoke", ApiToken.objects.get())
    act(client, "invitation", "revoke", Invitation.objects.get())
    assert not ApiToken.objects.get().is_usable
    assert not Invitation.objects.get().is_open
    assert client.get(at("apitoken", "add")).status_code == 403
