"""Shared fixtures: three people and staff in two workspaces, a scripted endpoint, real servers."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from datasets.drafts import digest_of
from datasets.identity import key_of
from datasets.models import Dataset, DatasetVersion, Item
from registry.models import Provider, RegisteredModel, Source
from tests import services
from tests.stub_endpoint import StubEndpoint
from workspaces.models import Membership, Role, User, Workspace

PASSWORD = "correct horse battery"  # what every person of the suite logs in with
SHARED = Path(os.environ.get("EVALPORTAL_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def pytest_configure(config: pytest.Config) -> None:
    """Quick password hashes, and uploads in a folder that goes away.

    A shell that starts the suite in the background makes it deaf to Ctrl-C, and so all that it starts.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    folder = tempfile.TemporaryDirectory(prefix="evalportal-media-")
    config.add_cleanup(folder.cleanup)
    settings.MEDIA_ROOT = Path(folder.name)


# What takes minutes begins first, so that no core is left with it at the end.
LONG = ("test_on_postgres", "chaos.test_faults", "test_state_machine", "test_up", "test_crash", "test_scaled")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL, what uses no database, or brings its own, is left out: it ran on SQLite."""
    if settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        apart = [item for item in items if not uses_database(item)]
        config.hook.pytest_deselected(items=apart)
        items[:] = [item for item in items if uses_database(item)]

    def place(item: pytest.Item) -> int:
        module = getattr(item, "module", None)
        name = getattr(module, "__name__", "")
        return next((at for at, long in enumerate(LONG) if name.endswith(long)), len(LONG))

    items.sort(key=place)


def uses_database(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return bool({"db", "transactional_db"} & {*fixtures} or item.get_closest_marker("django_db"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What this machine lacks skips a test with one clear line, or fails it where it is required."""
    for marker, missing, required in (
        ("services", services.missing_servers, services.REQUIRED),
        ("browser", services.missing_browser, services.REQUIRED),
        ("shared", missing_shared, services.REQUIRED or services.CI),
    ):
        if item.get_closest_marker(marker) and (what := missing()):
            services.skip_or_fail(what, required=required)


def missing_shared() -> str:
    return "" if SHARED.is_dir() else f"the folder {SHARED}"


@pytest.fixture(autouse=True)
def fresh_cache() -> Iterator[None]:
    """Rate limits and remembered figures don't leak from one test into the next."""
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def fresh_media() -> Iterator[None]:
    """Files of one test, whose rows are gone, are not found by the next one under the same ids."""
    yield
    for kept in Path(settings.MEDIA_ROOT).glob("*"):
        shutil.rmtree(kept, ignore_errors=True)


# People


@pytest.fixture
def alpha(db: None) -> Workspace:
    return Workspace.objects.create(slug="alpha", name="Alpha")


@pytest.fixture
def beta(db: None) -> Workspace:
    return Workspace.objects.create(slug="beta", name="Beta")


def member(email: str, workspace: Workspace, role: Role) -> User:
    user = User.objects.create_user(email, PASSWORD, name=email.partition("@")[0].title())
    Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


@pytest.fixture
def owner(alpha: Workspace) -> User:
    return member("owner@example.com", alpha, Role.OWNER)


@pytest.fixture
def editor(alpha: Workspace) -> User:
    return member("editor@example.com", alpha, Role.EDITOR)


@pytest.fixture
def viewer(alpha: Workspace) -> User:
    return member("viewer@example.com", alpha, Role.VIEWER)


@pytest.fixture
def outsider(beta: Workspace) -> User:
    """Owns another workspace; of alpha they must learn nothing."""
    return member("outsider@example.com", beta, Role.OWNER)


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("staff@example.com", PASSWORD, name="Staff")


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A logged-in test client of a person."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
        return client

    return make


# The scripted endpoint and what points to it


@pytest.fixture(scope="session")
def stub_server() -> Iterator[StubEndpoint]:
    with StubEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def stub(stub_server: StubEndpoint) -> StubEndpoint:
    """The scripted endpoint with its defaults and zeroed counters; `stub.set(…)` changes it."""
    stub_server.reset()
    return stub_server


@pytest.fixture
def provider(alpha: Workspace, stub: StubEndpoint) -> Callable[..., Provider]:
    """Makes providers; by default alpha's, at the stub."""

    def make(**values: Any) -> Provider:
        known = {"workspace": alpha, "base_url": stub.base_url, "concurrency": 64, "timeout_s": 10}
        return Provider.objects.create(**(known | {"name": f"Stub {Provider.objects.count() + 1}"} | values))

    return make


@pytest.fixture
def model(alpha: Workspace, provider: Callable[..., Provider]) -> Callable[..., RegisteredModel]:
    """Makes registered models; by default alpha's `stub-model` at a new provider on the stub."""

    def make(**values: Any) -> RegisteredModel:
        name_only = values.get("source") == Source.NAME_ONLY
        known: dict[str, Any] = {"workspace": alpha, "name": "stub-model", "source": Source.EXTERNAL}
        if not name_only and "provider" not in values:
            values["provider"] = provider()
        return RegisteredModel.objects.create(**(known | values))

    return make


@pytest.fixture
def dataset(alpha: Workspace) -> Callable[..., DatasetVersion]:
    """Makes ready versions of numbered questions that the stub can answer: `dataset(10)`, or from dicts."""

    def make(items: int | list[dict[str, Any]] = 10, **values: Any) -> DatasetVersion:
        rows = items if isinstance(items, list) else [numbered_item(number) for number in range(1, items + 1)]
        name = values.pop("name", f"Numbers {Dataset.objects.count() + 1}")
        parent = values.pop("dataset", None) or Dataset.objects.create(
            workspace=values.pop("workspace", alpha), name=name
        )
        sections: dict[str, int] = {}
        for row in rows:
            sections[row.get("section", "")] = sections.get(row.get("section", ""), 0) + 1
        version = DatasetVersion.objects.create(
            dataset=parent,
            number=parent.versions.count() + 1,
            item_count=len(rows),
            sections=[{"name": name, "items": count} for name, count in sections.items()],
            content_hash=values.pop("content_hash", f"{parent.pk:064d}"),
            ready_at=timezone.now(),
            **values,
        )
        items = [Item(version=version, position=at, **row) for at, row in enumerate(rows, 1)]
        for item in items:
            item.key, item.digest = key_of(item.external_id, item.prompt), digest_of(item, [])
        Item.objects.bulk_create(items)
        return version

    return make


def numbered_item(number: int) -> dict[str, Any]:
    """A question whose right answer the stub reads from its mark."""
    return {
        "external_id": f"n{number}",
        "section": "even" if number % 2 == 0 else "odd",
        "prompt": f"What is {number} + {number}? [[answer:{number * 2}]]",
        "references": [str(number * 2)],
    }


# Real servers


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[services.Postgres]:
    with services.Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: services.Postgres) -> str:
    """A new, empty database of its own for each test."""
    return postgres_server.new_database()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[services.Redis]:
    with services.Redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: services.Redis) -> str:
    """The server's first database, emptied."""
    return redis_server.emptied()
