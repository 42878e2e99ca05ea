"""First start, joining by invitation, and what site staff do to people."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from workspaces import access, people, selectors, services
from workspaces.access import access_for
from workspaces.models import AuditEvent, Membership, Role, User, Workspace

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
PERSON = {"name": "Ada", "email": "Ada@Example.org", "password": PASSWORD}


@pytest.fixture(autouse=True)
def data_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    selectors.forget_somebody()
    yield tmp_path
    selectors.forget_somebody()


def invitation_link(alpha, owner, **values):
    held = access_for(owner, alpha.slug)
    _, secret = services.invitation_create(held, role=values.pop("role", Role.EDITOR), **values)
    return f"/join/{secret}/"


# First start


def setup_values(**changes):
    return {**PERSON, "workspace": "Tutors", "code": people.setup_code(), **changes}


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/w/alpha/runs/", "/admin/", "/nowhere/"])
def test_empty_installation_leads_every_page_to_setup(client, path):
    assert client.get(path)["Location"] == "/setup/"


def test_empty_installation_still_answers_machines(client):
    assert client.get("/healthz").status_code == 200
    assert client.get("/api/v1/workspace").status_code == 401


def test_first_person_becomes_staff_and_owner_and_is_logged_in(client, data_folder):
    assert b"Setup code" in client.get("/setup/").content
    assert (data_folder / "setup-code").stat().st_mode & 0o777 == 0o600
    answer = client.post("/setup/", setup_values())
    user = User.objects.get()
    assert (answer.status_code, user.email, user.is_staff, user.is_superuser) == (
        302, "ada@example.org", True, True,
    )  # fmt: skip
    assert Membership.objects.get().role == Role.OWNER
    assert client.get("/")["Location"] == "/w/tutors/"
    assert client.get("/setup/").status_code == 404
    assert set(AuditEvent.objects.values_list("action", flat=True)) == {"person.setup", "workspace.create"}


@pytest.mark.django_db(transaction=True)
def test_code_is_gone_after_setup(client, data_folder):
    client.post("/setup/", setup_values())
    assert not (data_folder / "setup-code").exists()


def test_wrong_code_and_weak_password_set_nothing_up(client):
    assert b"not the setup code" in client.post("/setup/", setup_values(code="guess")).content
    assert b"too common" in client.post("/setup/", setup_values(password="password")).content
    assert not User.objects.exists()
    assert not Workspace.objects.exists()


def test_code_may_be_typed_with_capitals_and_spaces(client):
    client.post("/setup/", setup_values(code=f" {people.setup_code().upper()} "))
    assert User.objects.count() == 1


def test_guessing_the_code_is_limited(client):
    answers = [client.post("/setup/", setup_values(code=f"guess-{n}")) for n in range(25)]
    assert answers[-1].status_code == 429
    assert b"Too many attempts" in answers[-1].content


def test_no_query_about_first_start_once_somebody_was_seen(client, owner, django_assert_num_queries):
    client.get("/healthz")
    assert not selectors.installation_is_empty()
    with django_assert_num_queries(0):
        assert not selectors.installation_is_empty()


def test_setupcode_prints_the_code_until_someone_exists(capsys, data_folder):
    call_command("setupcode")
    assert capsys.readouterr().out.strip() == people.setup_code()
    people.person_setup(**setup_values())
    with pytest.raises(CommandError, match="set up already"):
        call_command("setupcode")


def test_second_setup_is_refused(owner):
    with pytest.raises(services.Refused, match="set up already"):
        people.person_setup(**setup_values())


# Joining


def test_new_person_joins_by_link_once(alpha, owner):
    link, visitor = invitation_link(alpha, owner), Client()
    assert b"Join Alpha" in visitor.get(link).content
    assert visitor.post(link, PERSON)["Location"] == "/"
    assert visitor.get("/")["Location"] == "/w/alpha/"
    assert Membership.objects.get(user__email="ada@example.org").role == Role.EDITOR
    second = Client()
    assert second.get(link).status_code == 404
    assert second.post(link, {**PERSON, "email": "eve@example.org"}).status_code == 404
    assert not User.objects.filter(email="eve@example.org").exists()


def test_logged_in_person_accepts(alpha, owner, outsider, client_of):
    link, visitor = invitation_link(alpha, owner, role=Role.VIEWER), client_of(outsider)
    assert b"Join Alpha?" in visitor.get(link).content
    assert Membership.objects.filter(user=outsider, workspace=alpha).count() == 0
    assert visitor.post(link)["Location"] == "/w/alpha/"
    assert Membership.objects.get(user=outsider, workspace=alpha).role == Role.VIEWER


def test_member_does_not_use_up_an_invitation(alpha, owner, viewer, client_of):
    link = invitation_link(alpha, owner)
    assert b"member of this workspace already" in client_of(viewer).post(link).content
    assert Client().get(link).status_code == 200


def test_invitation_for_an_address_is_only_for_it(alpha, owner, outsider, client_of):
    link = invitation_link(alpha, owner, email="Bob@example.org")
    assert b"for bob@example.org" in client_of(outsider).post(link).content
    Client().post(link, {**PERSON, "email": "eve@example.org"})
    assert not User.objects.filter(email="eve@example.org").exists()
    assert User.objects.filter(email="bob@example.org").exists()


def test_address_with_an_account_is_told_to_log_in(alpha, owner, outsider):
    link = invitation_link(alpha, owner)
    answer = Client().post(link, {**PERSON, "email": outsider.email.upper()})
    assert b"There is an account with this address" in answer.content
    assert Client().get(link).status_code == 200


@pytest.mark.parametrize("change", ["revoked_at", "expires_at", "accepted_at"])
def test_closed_invitations_say_so(alpha, owner, change):
    from django.utils import timezone

    link = invitation_link(alpha, owner)
    alpha.invitations.update(**{change: timezone.now()})
    answer = Client().get(link)
    assert answer.status_code == 404
    assert b"closed" in answer.content


def test_secret_of_a_link_is_not_stored(alpha, owner):
    secret = invitation_link(alpha, owner).split("/")[2]
    assert secret not in str(alpha.invitations.values())


# Site staff


def test_last_owner_cannot_be_deactivated_or_deleted(staff, owner, editor, alpha):
    with pytest.raises(services.Refused, match="last owner of Alpha"):
        people.person_set_active(staff, owner, active=False)
    with pytest.raises(services.Refused, match="last owner of Alpha"):
        people.person_delete(staff, owner)
    people.person_set_active(staff, editor, active=False)
    assert access.role_in(editor, alpha.pk) is None


def test_staff_cannot_lock_themselves_out(staff):
    for attempt in (
        lambda: people.person_set_active(staff, staff, active=False),
        lambda: people.person_set_staff(staff, staff, staff=False),
        lambda: people.person_delete(staff, staff),
    ):
        with pytest.raises(services.Refused, match="your own account"):
            attempt()


def test_password_link_lets_a_person_without_password_in(staff, client):
    person = people.person_create(staff, email="new@example.org", name="New", password=None)
    page = client.get(people.password_link(staff, person), follow=True)
    answer = client.post(page.redirect_chain[-1][0], {"password1": PASSWORD, "password2": PASSWORD})
    assert answer["Location"] == "/accounts/password/reset/key/done/"
    assert client.login(email="new@example.org", password=PASSWORD)


def test_deleting_a_person_keeps_what_they_did(staff, editor, alpha):
    services.workspace_create(editor, name="Gamma")
    Membership.objects.filter(user=editor, role=Role.OWNER).delete()
    people.person_delete(staff, editor)
    event = AuditEvent.objects.get(action="workspace.create")
    assert (event.actor, event.actor_label) == (None, "editor@example.com")
