"""Bearer tokens, declared roles, pages, throttle and problem details, on a small API of the test's own."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from django.test import Client
from django.urls import include, path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from evalportal.urls import handler404, handler500  # noqa: F401 (Django reads them from this module)
from evalportal.urls import urlpatterns as portal_urls
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.idempotency import first_time
from workspaces.models import ApiToken, IdempotencyKey, Invitation, Membership, Role, Workspace
from workspaces.secrets import digest, new_token

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

LATER = timedelta(days=7)


class NoteSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField()


class NoteViewSet(WorkspaceViewSet):
    """Invitations stand in for any object of a workspace."""

    roles: ClassVar = {"read": Role.VIEWER, "create": Role.EDITOR}
    queryset = Invitation.objects.all()
    serializer_class = NoteSerializer

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response([{"id": note.pk} for note in page or []])

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response({"id": self.get_object().pk})

    @idempotent
    def create(self, request: Request) -> Response:
        form = NoteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        note = make_note(self.access.workspace, form.validated_data["email"])
        return Response({"id": note.pk}, status=201, headers={"Location": f"/notes/{note.pk}"})

    def update(self, request: Request, pk: str) -> Response:
        raise AssertionError("undeclared, so never reached")

    def destroy(self, request: Request, pk: str) -> Response:
        raise AssertionError("undeclared, so never reached")


class FailingViewSet(WorkspaceViewSet):
    roles: ClassVar = {"read": Role.VIEWER}

    def retrieve(self, request: Request, pk: str) -> Response:
        raise {"1": Http404("No such thing"), "2": DjangoValidationError({"name": ["Too long."]})}[pk]


router = SimpleRouter(trailing_slash=False)
router.register("notes", NoteViewSet, basename="note")
router.register("failing", FailingViewSet, basename="failing")
urlpatterns = [path("api/t/", include(router.urls)), *portal_urls]


def make_note(workspace: Any, email: str = "") -> Invitation:
    return Invitation.objects.create(
        workspace=workspace, email=email, token_hash=digest(new_token()), expires_at=timezone.now() + LATER
    )


@pytest.fixture
def token_for(alpha):
    def make(user, role=Role.EDITOR, workspace=alpha, **fields):
        secret = new_token()
        ApiToken.objects.create(
            workspace=workspace,
            created_by=user,
            name="script",
            prefix=secret[:12],
            token_hash=digest(secret),
            role=role,
            **fields,
        )
        return Client(headers={"authorization": f"Bearer {secret}"})

    return make


def test_token_acts_in_its_workspace(token_for, editor, alpha):
    answer = token_for(editor).get("/api/v1/workspace").json()
    assert answer == {"slug": "alpha", "name": "Alpha", "role": "editor", "actor": "token script"}


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer a b", "Bearer evp_nope", "Bearer \xe9", "Bearer evp_" + "x" * 43]
)
def test_bad_token_is_a_401_that_names_the_scheme(header, alpha):
    answer = Client(headers={"authorization": header}).get("/api/v1/workspace")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"


def test_no_login_is_a_401(alpha):
    answer = Client().get("/api/v1/workspace?workspace=alpha")
    assert answer.status_code == 401
    assert answer.json()["title"] == "Unauthorized"


def test_expired_and_revoked_tokens_are_refused(token_for, editor):
    past = timezone.now() - timedelta(seconds=1)
    assert token_for(editor, expires_at=past).get("/api/v1/workspace").status_code == 401
    assert token_for(editor, revoked_at=past).get("/api/v1/workspace").status_code == 401


def test_token_dies_with_its_makers_membership(token_for, editor, alpha):
    client = token_for(editor)
    Membership.objects.filter(user=editor).delete()
    assert client.get("/api/v1/workspace").status_code == 403
    editor.is_active = False
    editor.save(update_fields=["is_active"])
    assert client.get("/api/v1/workspace").status_code == 401


def test_token_never_exceeds_its_makers_role(token_for, viewer):
    client = token_for(viewer, role=Role.OWNER)
    assert client.get("/api/v1/workspace").json()["role"] == "viewer"
    assert client.post("/api/t/notes", {"email": "a@b.org"}).status_code == 403


def test_use_of_a_token_is_noted_at_most_once_a_minute(token_for, editor, django_assert_num_queries):
    client = token_for(editor)
    client.get("/api/v1/workspace")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(2):  # the token with maker and workspace, the membership
        client.get("/api/v1/workspace")
    assert ApiToken.objects.get().last_used_at == first


def test_session_names_its_workspace(client_of, viewer, outsider):
    client = client_of(viewer)
    assert client.get("/api/v1/workspace", headers={"x-workspace": "alpha"}).json()["role"] == "viewer"
    assert client.get("/api/v1/workspace?workspace=alpha").status_code == 200
    assert client.get("/api/v1/workspace").status_code == 400
    assert client_of(outsider).get("/api/v1/workspace?workspace=alpha").status_code == 404


def test_session_writes_need_the_csrf_token(editor):
    client = Client(enforce_csrf_checks=True)
    client.force_login(editor)
    answer = client.post("/api/t/notes?workspace=alpha", {"email": "a@b.org"})
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_undeclared_actions_are_refused_to_everyone(token_for, owner, alpha):
    client, note = token_for(owner, role=Role.OWNER), make_note(alpha)
    assert client.put(f"/api/t/notes/{note.pk}").status_code == 403
    assert client.delete(f"/api/t/notes/{note.pk}").status_code == 403
    assert client.patch("/api/t/notes").status_code == 405
    assert client.options("/api/t/notes").status_code == 405


def test_another_workspaces_object_is_a_404(token_for, editor, beta):
    client, note = token_for(editor), make_note(beta)
    assert client.get(f"/api/t/notes/{note.pk}").status_code == 404
    assert client.get("/api/t/notes/abc").status_code == 404
    assert client.get("/api/t/notes").json()["results"] == []


def test_pages_are_cursors_with_a_limit(token_for, viewer, alpha):
    ids = [make_note(alpha).pk for _ in range(5)][::-1]
    client = token_for(viewer)
    first = client.get("/api/t/notes?limit=2").json()
    second = client.get(first["next"]).json()
    assert [note["id"] for note in first["results"] + second["results"]] == ids[:4]
    assert second["previous"]


def test_every_error_is_a_problem(token_for, editor):
    client = token_for(editor)
    invalid = client.post("/api/t/notes", {"email": "nope"}, content_type="application/json")
    assert invalid.status_code == 400
    assert invalid.json()["errors"] == [{"field": "email", "message": "Enter a valid email address."}]
    assert client.post("/api/t/notes", "{", content_type="application/json").json()["title"] == "Bad Request"
    assert client.post("/api/t/notes", "x", content_type="text/csv").status_code == 415
    assert client.get("/api/t/failing/1").json()["detail"] == "No such thing"
    assert client.get("/api/t/failing/2").json()["errors"] == [{"field": "name", "message": "Too long."}]
    for answer in (invalid, client.get("/api/t/failing/1"), client.get("/api/t/nowhere")):
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def test_our_own_failure_is_a_problem_that_tells_nothing(token_for, editor):
    client = token_for(editor)
    client.raise_request_exception = False
    answer = client.get("/api/t/failing/3")
    assert answer.status_code == 500
    assert answer["Content-Type"] == "application/problem+json"
    assert "KeyError" not in answer.text


def test_too_many_requests_say_when_to_come_back(token_for, editor, settings):
    settings.API_REQUESTS_PER_MINUTE = 3
    client = token_for(editor)
    answers = [client.get("/api/v1/workspace") for _ in range(4)]
    assert [answer.status_code for answer in answers][:3] == [200] * 3
    assert answers[3].status_code == 429
    assert 0 < int(answers[3]["Retry-After"]) <= 60
    assert token_for(editor).get("/api/v1/workspace").status_code == 200


def post(client: Client, email: str, key: str) -> Any:
    headers = {"idempotency-key": key}
    return client.post("/api/t/notes", {"email": email}, content_type="application/json", headers=headers)


def test_repeated_creation_replays_the_answer(token_for, editor):
    client = token_for(editor)
    first, again = post(client, "a@b.org", "k1"), post(client, "a@b.org", "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true"
    assert again["Location"] == first["Location"]
    assert Invitation.objects.count() == 1


def test_key_used_for_another_body_is_a_422(token_for, editor):
    client = token_for(editor)
    post(client, "a@b.org", "k1")
    assert post(client, "c@d.org", "k1").status_code == 422


def test_key_under_way_is_a_409(token_for, editor):
    client = token_for(editor)
    post(client, "a@b.org", "k1")
    IdempotencyKey.objects.update(status=None, body=None)
    assert post(client, "a@b.org", "k1").status_code == 409


def cut_off(ago: timedelta) -> None:
    """As if the first request had begun so long ago and never ended."""
    IdempotencyKey.objects.update(status=None, body=None, created_at=timezone.now() - ago)


def test_key_of_a_request_that_died_is_free_after_minutes(token_for, editor):
    client = token_for(editor)
    post(client, "a@b.org", "k1")
    cut_off(timedelta(seconds=110))
    assert post(client, "a@b.org", "k1").status_code == 409
    cut_off(timedelta(seconds=130))
    again = post(client, "a@b.org", "k1")
    assert again.status_code == 201 and "Idempotent-Replayed" not in again
    assert post(client, "a@b.org", "k1")["Idempotent-Replayed"] == "true"
    assert Invitation.objects.count() == 2


def test_a_large_body_holds_its_key_for_longer(token_for, editor):
    client = token_for(editor)
    long = f"{'a' * 600_000}@b.org"
    assert post(client, long, "k1").status_code == 400
    IdempotencyKey.objects.create(
        workspace=Workspace.objects.get(),
        key="k2",
        route="/api/t/notes",
        request_hash="",
        created_at=timezone.now() - timedelta(seconds=130),
    )
    assert post(client, long, "k2").status_code == 422
    assert post(client, "a@b.org", "k2").status_code == 201


def test_late_end_of_a_request_that_lost_its_key_changes_nothing(token_for, editor, alpha):
    client = token_for(editor)
    post(client, "a@b.org", "k1")
    old = IdempotencyKey.objects.get()
    cut_off(timedelta(seconds=130))
    post(client, "a@b.org", "k1")
    first_time(old, lambda: Response({"id": 0}, status=201))
    assert post(client, "a@b.org", "k1").json()["id"] == Invitation.objects.latest("pk").pk


def test_refused_request_frees_its_key(token_for, editor):
    client = token_for(editor)
    assert post(client, "nope", "k1").status_code == 400
    assert post(client, "a@b.org", "k1").status_code == 201


def test_keys_belong_to_a_workspace_and_expire(token_for, editor, outsider, beta):
    post(token_for(editor), "a@b.org", "k1")
    assert post(token_for(outsider, workspace=beta), "a@b.org", "k1").status_code == 201
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert "Idempotent-Replayed" not in post(token_for(editor), "a@b.org", "k1")


def test_repeated_multipart_upload_is_recognised(token_for, editor):
    from django.core.files.uploadedfile import SimpleUploadedFile

    def upload(content: bytes) -> Any:
        body = {"email": "a@b.org", "file": SimpleUploadedFile("x.csv", content)}
        return token_for(editor).post("/api/t/notes", body, headers={"idempotency-key": "k"})

    assert [upload(content).status_code for content in (b"a,b", b"a,b", b"a,c")] == [201, 201, 422]
