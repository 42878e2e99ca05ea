"""The API tokens page."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from workspaces import services
from workspaces.access import access_for
from workspaces.models import ApiToken, AuditEvent, Role
from workspaces.secrets import digest

pytestmark = pytest.mark.django_db


def make(user, role=Role.VIEWER, slug="alpha", expires_at=None):
    return services.token_create(access_for(user, slug), name="nightly", role=role, expires_at=expires_at)


def test_token_is_shown_once_and_stored_hashed(client_of, editor):
    client = client_of(editor)
    page = client.post("/w/alpha/tokens/", {"name": "nightly", "role": "editor", "days": "30"}).text
    secret = page.split('value="evp_')[1].split('"')[0]
    assert len(secret) == 43
    token = ApiToken.objects.get()
    assert token.token_hash == digest(f"evp_{secret}")
    assert f"evp_{secret}".startswith(token.prefix)
    assert secret not in client.get("/w/alpha/tokens/").text
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)
    assert (
        Client(headers={"authorization": f"Bearer evp_{secret}"}).get("/api/v1/workspace").status_code == 200
    )
    assert AuditEvent.objects.get().action == "token.create"


def test_token_may_never_expire(client_of, editor):
    client_of(editor).post("/w/alpha/tokens/", {"name": "n", "role": "viewer", "days": ""})
    assert ApiToken.objects.get().expires_at is None


@pytest.mark.parametrize("values", [{"role": "owner"}, {"role": "viewer", "days": "9999"}, {"name": ""}])
def test_more_than_ones_own_role_and_made_up_values_are_refused(client_of, editor, values):
    known = {"name": "n", "role": "viewer", "days": "30"}
    assert client_of(editor).post("/w/alpha/tokens/", known | values).status_code == 422
    assert not ApiToken.objects.exists()


def test_service_refuses_more_than_the_makers_role(editor):
    with pytest.raises(services.Refused, match="at most your own role, editor"):
        make(editor, Role.OWNER)


def test_members_see_their_own_and_owners_all(client_of, owner, editor, viewer):
    make(editor)
    assert "nightly" in client_of(owner).get("/w/alpha/tokens/").text
    assert "nightly" in client_of(editor).get("/w/alpha/tokens/").text
    assert "No tokens yet" in client_of(viewer).get("/w/alpha/tokens/").text


def test_revoking_is_for_its_maker_and_owners(client_of, owner, editor, viewer, outsider):
    token, secret = make(editor)
    path = f"/w/alpha/tokens/{token.pk}/revoke/"
    assert client_of(viewer).post(path).status_code == 404
    assert client_of(outsider).post(path).status_code == 404
    assert client_of(outsider).post(f"/w/beta/tokens/{token.pk}/revoke/").status_code == 404
    assert client_of(owner).post(path).status_code == 302
    assert Client(headers={"authorization": f"Bearer {secret}"}).get("/api/v1/workspace").status_code == 401
    assert AuditEvent.objects.first().action == "token.revoke"


def test_expired_token_says_so(client_of, editor):
    make(editor, expires_at=timezone.now() - timedelta(days=1))
    assert "Expired" in client_of(editor).get("/w/alpha/tokens/").text
