"""Workspaces and their members: create, rename, delete, roles, leaving, invitations, where home leads."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from datasets.models import Dataset, DatasetVersion, Item
from registry.models import RegisteredModel, Source
from runs.models import Evaluation, Run, Trial
from workspaces import services
from workspaces.access import access_for
from workspaces.models import AuditEvent, Invitation, Membership, Role, Workspace

pytestmark = pytest.mark.django_db


def role_of(user, workspace):
    return Membership.objects.filter(user=user, workspace=workspace).values_list("role", flat=True).first()


def membership(user):
    return Membership.objects.get(user=user)


# Where home leads


def test_home_returns_to_the_workspace_looked_at_last(client_of, owner, alpha):
    services.workspace_create(owner, name="Aardvark")
    client = client_of(owner)
    assert client.get("/")["Location"] == "/w/aardvark/"
    client.get("/w/alpha/members/")
    client.get("/w/aardvark/members/", headers={"hx-request": "true"})  # a fragment is not a visit
    assert client.get("/")["Location"] == "/w/alpha/"
    Membership.objects.filter(user=owner, workspace=alpha).delete()
    assert client.get("/")["Location"] == "/w/aardvark/"


def test_someone_without_a_workspace_is_led_to_make_one(client_of, staff):
    assert client_of(staff).get("/")["Location"] == "/workspaces/new/"
    assert "not a member of a workspace yet" in client_of(staff).get("/workspaces/new/").text


def test_switcher_lists_my_workspaces_only(client_of, owner, outsider):
    services.workspace_create(owner, name="Gamma")
    page = client_of(owner).get("/w/alpha/members/").text
    assert "/w/gamma/" in page
    assert "Beta" not in page


def test_htmx_without_login_sends_the_whole_page_to_the_login(client, alpha):
    headers = {"hx-request": "true", "hx-current-url": "http://testserver/w/alpha/runs/"}
    answer = client.get("/w/alpha/members/", headers=headers)
    assert answer["HX-Redirect"] == "/accounts/login/?next=%2Fw%2Falpha%2Fruns%2F"


# Create, rename, delete


def test_maker_owns_the_new_workspace(client_of, viewer):
    assert (
        client_of(viewer).post("/workspaces/new/", {"name": "Größe & Co"})["Location"]
        == "/w/groe-co/members/"
    )
    made = Workspace.objects.get(slug="groe-co")
    assert role_of(viewer, made) == Role.OWNER
    assert AuditEvent.objects.get(action="workspace.create").workspace == made


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Alpha", "alpha-2"), ("日本", "workspace"), ("x" * 120, "x" * 50), ("--", "workspace")],
)
def test_addresses_are_made_of_names_and_free(alpha, owner, name, slug):
    assert services.workspace_create(owner, name=name).slug == slug


def test_empty_name_is_refused(client_of, viewer):
    assert "This field is required" in client_of(viewer).post("/workspaces/new/", {"name": " "}).text


def test_rename_keeps_the_address(client_of, owner, editor, alpha):
    client_of(owner).post("/w/alpha/settings/rename/", {"name": "Omega"})
    alpha.refresh_from_db()
    assert (alpha.name, alpha.slug) == ("Omega", "alpha")
    assert AuditEvent.objects.get().detail == {"before": "Alpha"}
    assert client_of(editor).post("/w/alpha/settings/rename/", {"name": "Mine"}).status_code == 403


def a_run_of(workspace):
    """A model, a dataset with an item, and a run with a trial: relations that protect each other."""
    model = RegisteredModel.objects.create(workspace=workspace, name="m", source=Source.NAME_ONLY)
    version = DatasetVersion.objects.create(
        dataset=Dataset.objects.create(workspace=workspace, name="d"), number=1, ready_at=timezone.now()
    )
    item = Item.objects.create(version=version, position=1, prompt="?")
    run = Run.objects.create(
        workspace=workspace, evaluation=Evaluation.objects.create(workspace=workspace, name="e"),
        model=model, dataset_version=version, alias="m",
    )  # fmt: skip
    Trial.objects.create(run=run, item=item, seq=1)
    return model


@pytest.mark.django_db(transaction=True)
def test_delete_removes_everything_of_it_and_nothing_else(client_of, owner, outsider, alpha, beta):
    parent = a_run_of(alpha)
    a_run_of(beta)
    shared = RegisteredModel.objects.create(name="tuned", source=Source.NAME_ONLY, parent=parent)
    folder = Path(settings.MEDIA_ROOT) / "assets" / str(alpha.pk)
    folder.mkdir(parents=True)
    (folder / "image").write_bytes(b"x")
    services.workspace_rename(access_for(owner, "alpha"), name="Alpha")
    answer = client_of(owner).post("/w/alpha/settings/delete/", {"confirm": "delete alpha"}, follow=True)
    assert "everything in it is deleted" in answer.text
    connection.check_constraints()
    assert [*Workspace.objects.all()] == [beta]
    assert [Trial.objects.count(), Run.objects.count(), Item.objects.count(), Dataset.objects.count()] == [
        1
    ] * 4
    shared.refresh_from_db()
    assert shared.parent is None
    assert not folder.exists()
    gone, renamed = AuditEvent.objects.all()
    assert (gone.action, gone.workspace_name, gone.actor) == ("workspace.delete", "Alpha", owner)
    assert gone.detail["removed"]["runs.Trial"] == 1
    assert (renamed.workspace, renamed.workspace_name) == (None, "Alpha")


@pytest.mark.parametrize("phrase", ["", "delete", "delete Alpha", "delete beta"])
def test_delete_wants_the_phrase(client_of, owner, alpha, phrase):
    answer = client_of(owner).post("/w/alpha/settings/delete/", {"confirm": phrase})
    assert answer.status_code == 422
    assert Workspace.objects.filter(pk=alpha.pk).exists()


# Members


def test_members_are_listed_owners_first(client_of, owner, editor, viewer):
    page = client_of(viewer).get("/w/alpha/members/").text
    places = [page.index(person.email) for person in (owner, editor, viewer)]
    assert places == sorted(places)
    assert "Invite someone" not in page
    assert "Invite someone" in client_of(owner).get("/w/alpha/members/").text


def test_owner_changes_a_role(client_of, owner, viewer, alpha):
    client_of(owner).post(f"/w/alpha/members/{membership(viewer).pk}/role/", {"role": "editor"})
    assert role_of(viewer, alpha) == Role.EDITOR
    assert AuditEvent.objects.get().detail == {"before": "viewer", "role": "editor"}


def test_unknown_role_changes_nothing(client_of, owner, viewer, alpha):
    client_of(owner).post(f"/w/alpha/members/{membership(viewer).pk}/role/", {"role": "god"})
    assert role_of(viewer, alpha) == Role.VIEWER


def test_member_of_another_workspace_is_out_of_reach(client_of, owner, outsider):
    path = f"/w/alpha/members/{membership(outsider).pk}"
    assert client_of(owner).post(f"{path}/role/", {"role": "viewer"}).status_code == 404
    assert client_of(owner).post(f"{path}/remove/").status_code == 404
    assert membership(outsider).role == Role.OWNER


@pytest.mark.parametrize("change", ["removed", "demoted"])
def test_a_former_owner_cannot_come_back_by_a_link_of_their_own(owner, editor, alpha, change):
    Membership.objects.filter(user=editor).update(role=Role.OWNER)
    link, _ = services.invitation_create(access_for(editor, "alpha"), role=Role.OWNER)
    held, member = access_for(owner, "alpha"), membership(editor)
    if change == "removed":
        services.member_remove(held, member)
    else:
        services.member_set_role(held, member, role=Role.VIEWER)
    link.refresh_from_db()
    assert not link.is_open


def test_removed_member_loses_access_and_tokens(client_of, owner, editor, alpha):
    token, _ = services.token_create(access_for(editor, "alpha"), name="t", role=Role.EDITOR, expires_at=None)
    client_of(owner).post(f"/w/alpha/members/{membership(editor).pk}/remove/")
    assert client_of(editor).get("/w/alpha/members/").status_code == 404
    token.refresh_from_db()
    assert not token.is_usable
    assert AuditEvent.objects.first().action == "member.remove"


def test_member_leaves(client_of, viewer, alpha):
    assert client_of(viewer).post("/w/alpha/members/leave/")["Location"] == "/"
    assert role_of(viewer, alpha) is None
    assert AuditEvent.objects.get().action == "member.leave"


def test_last_owner_stays_and_stays_owner(client_of, owner, alpha):
    client, path = client_of(owner), f"/w/alpha/members/{membership(owner).pk}"
    for answer in (
        client.post(f"{path}/role/", {"role": "viewer"}, follow=True),
        client.post(f"{path}/remove/", follow=True),
        client.post("/w/alpha/members/leave/", follow=True),
    ):
        assert "keeps at least one owner" in answer.text
    assert role_of(owner, alpha) == Role.OWNER


def test_inactive_owner_does_not_count_as_the_other_one(client_of, owner, editor, alpha):
    Membership.objects.filter(user=editor).update(role=Role.OWNER)
    editor.is_active = False
    editor.save(update_fields=["is_active"])
    assert "keeps at least" in client_of(owner).post("/w/alpha/members/leave/", follow=True).text


def test_staff_who_is_no_member_has_nothing_to_leave(client_of, staff, alpha):
    assert client_of(staff).get("/w/alpha/members/").status_code == 200
    assert client_of(staff).post("/w/alpha/members/leave/").status_code == 404


# Invitations


def test_link_is_shown_once(client_of, owner):
    client = client_of(owner)
    page = client.post("/w/alpha/invitations/", {"role": "viewer", "email": "bob@example.org"}).text
    assert "http://testserver/join/" in page
    again = client.get("/w/alpha/members/").text
    assert "/join/" not in again
    assert "bob@example.org" in again
    assert Invitation.objects.get().expires_at > timezone.now() + timedelta(days=6)
    assert client.get("/w/alpha/invitations/")["Location"] == "/w/alpha/members/"


def test_bad_address_is_refused_beside_its_field(client_of, owner):
    answer = client_of(owner).post("/w/alpha/invitations/", {"role": "viewer", "email": "bob"})
    assert answer.status_code == 422
    assert "Enter a valid email address" in answer.text
    assert not Invitation.objects.exists()


def test_revoked_invitation_leaves_the_list(client_of, owner, beta, alpha):
    services.invitation_create(access_for(owner, "alpha"), role=Role.VIEWER, email="bob@example.org")
    path = f"/w/alpha/invitations/{Invitation.objects.get().pk}/revoke/"
    assert "bob@example.org" not in client_of(owner).post(path, follow=True).text
    assert AuditEvent.objects.first().action == "invitation.revoke"


def test_editor_cannot_invite(client_of, editor):
    assert client_of(editor).post("/w/alpha/invitations/", {"role": "owner"}).status_code == 403
