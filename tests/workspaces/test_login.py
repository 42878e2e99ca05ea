"""The account pages: by email, limited, closed to strangers, and none of them unstyled."""

import re

import pytest
from django.core import mail
from django.test import Client

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
PAGES_FOR_ANYONE = (
    "login/",
    "signup/",
    "password/reset/",
    "password/reset/done/",
    "password/reset/key/done/",
    "inactive/",
)


def log_in(client, email, password=PASSWORD, **more):
    return client.post("/accounts/login/", {"login": email, "password": password}, **more)


def test_email_and_password_lead_to_the_workspace(client, editor):
    assert log_in(client, "Editor@Example.com")["Location"] == "/"
    assert client.get("/")["Location"] == "/w/alpha/"


def test_login_returns_to_where_one_wanted_to_go(client, editor):
    wanted = client.get("/w/alpha/members/")["Location"]
    assert wanted == "/accounts/login/?next=/w/alpha/members/"
    answer = client.post(
        "/accounts/login/", {"login": editor.email, "password": PASSWORD, "next": "/w/alpha/members/"}
    )
    assert answer["Location"] == "/w/alpha/members/"
    elsewhere = Client().post(
        "/accounts/login/", {"login": editor.email, "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert elsewhere["Location"] == "/"


def test_wrong_login_says_so_without_telling_who_exists(client, editor):
    wrong = log_in(client, editor.email, "wrong").content
    unknown = log_in(client, "nobody@example.com", "wrong").content
    assert b"The email address or the password is wrong." in wrong
    assert b"The email address or the password is wrong." in unknown


def test_guessing_a_password_is_limited(client, editor):
    answers = [log_in(client, editor.email, f"wrong-{n}") for n in range(7)]
    assert b"Too many failed attempts" in answers[-1].content
    assert b"Too many failed attempts" in log_in(client, editor.email).content


def test_hammering_the_login_gets_a_friendly_429(client, editor):
    answers = [log_in(client, f"nobody{n}@example.com", "wrong") for n in range(32)]
    assert answers[-1].status_code == 429
    assert b"Too many attempts" in answers[-1].content


def test_inactive_person_stays_out(client, editor):
    editor.is_active = False
    editor.save(update_fields=["is_active"])
    answer = log_in(client, editor.email, follow=True)
    assert b"inactive" in answer.content
    assert client.get("/").status_code == 302


def test_strangers_cannot_sign_up(client, editor):
    for answer in (client.get("/accounts/signup/"), client.post("/accounts/signup/", {"email": "a@b.org"})):
        assert b"by invitation" in answer.content


@pytest.mark.parametrize("page", PAGES_FOR_ANYONE)
def test_pages_wear_the_portals_look_without_inline_code(client, editor, page):
    check_look(client.get(f"/accounts/{page}"))


@pytest.mark.parametrize("page", ["password/change/", "logout/", "reauthenticate/"])
def test_pages_of_the_logged_in_wear_it_too(client_of, editor, page):
    client = Client()
    log_in(client, editor.email)
    check_look(client.get(f"/accounts/{page}"))


def check_look(answer):
    text = answer.content.decode()
    assert answer.status_code == 200
    assert 'class="entrance"' in text
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", text)
    assert "'unsafe" not in answer["Content-Security-Policy"]


@pytest.mark.parametrize("page", ["email/", "confirm-email/", "confirm-email/abc/", "login/code/confirm/"])
def test_what_allauth_has_beyond_that_leads_home(client_of, editor, page):
    assert client_of(editor).get(f"/accounts/{page}")["Location"] == "/"


def test_password_reset_by_mail(client, editor):
    client.post("/accounts/password/reset/", {"email": editor.email})
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)
    page = client.get(link, follow=True)
    check_look(page)
    new = "another good horse"
    answer = client.post(page.redirect_chain[-1][0], {"password1": new, "password2": new}, follow=True)
    assert b"Your password is changed" in answer.content
    assert log_in(client, editor.email, new)["Location"] == "/"
    assert b"no longer works" in Client().get(link, follow=True).content


def test_password_reset_sends_nothing_to_strangers(client, editor):
    answer = client.post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert answer["Location"] == "/accounts/password/reset/done/"
    assert mail.outbox == []


def test_password_change_ends_other_sessions(editor):
    here, there = Client(), Client()
    log_in(here, editor.email)
    log_in(there, editor.email)
    new = "another good horse"
    values = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/accounts/password/change/", values)["Location"] == "/"
    assert here.get("/w/alpha/members/").status_code == 200
    assert there.get("/w/alpha/members/").status_code == 302


def test_the_admin_has_no_login_of_its_own(client, staff, editor, client_of):
    assert client.get("/admin/login/")["Location"].startswith("/accounts/login/")
    assert client_of(editor).get("/admin/", follow=True).status_code == 403
    assert client_of(staff).get("/admin/").status_code == 200
