"""Headers of every answer, and the two places whose policy is looser."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def policy_of(answer):
    parts = answer["Content-Security-Policy"].split("; ")
    return {name: sources for name, _, sources in (part.partition(" ") for part in parts)}


@pytest.mark.parametrize(
    "path", ["/w/alpha/members/", "/nowhere/", "/api/v1/workspace", "/healthz", "/accounts/login/"]
)
def test_portal_answers_are_strict(client_of, owner, path):
    for client in (Client(), client_of(owner)):
        answer = client.get(path)
        policy = policy_of(answer)
        assert (policy["default-src"], policy["script-src"], policy["style-src"]) == (
            "'none'",
            "'self'",
            "'self'",
        )
        assert policy["frame-ancestors"] == "'none'"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Referrer-Policy"] == "same-origin"
        assert "no-store" in answer["Cache-Control"]


def test_admin_and_docs_are_only_as_loose_as_their_code_needs(client_of, staff):
    admin, docs = (policy_of(client_of(staff).get(path)) for path in ("/admin/", "/api/docs"))
    assert admin["script-src"] == "'self' 'unsafe-eval'"
    assert docs["script-src"] == "'self'"
    assert admin["style-src"] == docs["style-src"] == "'self' 'unsafe-inline'"


def test_api_docs_are_for_people_who_may_log_in(client, client_of, viewer):
    assert client.get("/api/docs")["Location"].startswith("/accounts/login/")
    assert client.get("/api/schema").status_code == 401
    page = client_of(viewer).get("/api/docs").text
    assert "<script>" not in page
    assert client_of(viewer).get("/api/schema").status_code == 200
