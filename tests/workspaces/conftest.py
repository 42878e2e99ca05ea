"""Temporary people, until tests/conftest.py has them."""

import pytest
from django.test import Client

from workspaces.models import Membership, Role, User, Workspace


def person(email, **fields):
    return User.objects.create_user(email, "correct horse battery", **fields)


def member(email, workspace, role):
    user = person(email)
    Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


@pytest.fixture
def alpha(db):
    return Workspace.objects.create(slug="alpha", name="Alpha")


@pytest.fixture
def beta(db):
    return Workspace.objects.create(slug="beta", name="Beta")


@pytest.fixture
def owner(alpha):
    return member("owner@example.org", alpha, Role.OWNER)


@pytest.fixture
def editor(alpha):
    return member("editor@example.org", alpha, Role.EDITOR)


@pytest.fixture
def viewer(alpha):
    return member("viewer@example.org", alpha, Role.VIEWER)


@pytest.fixture
def outsider(beta):
    return member("outsider@example.org", beta, Role.OWNER)


@pytest.fixture
def staff(db):
    return person("staff@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def client_of():
    def make(user):
        client = Client()
        client.force_login(user)
        return client

    return make
