"""A portal of its own process, a scripted endpoint, and Debian's Chromium that listens for trouble."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)

from tests.services import CHROMIUM, ROOT, Process, environment, free_port
from tests.stub_endpoint import StubEndpoint

expect.set_options(timeout=20_000)  # a busy machine is no fault of a page

MODELS = ("stub-model", "stub-model-b")
# What an administrator does in the admin beforehand: an endpoint with two models for the demo's workspace.
PREPARE = """
from registry.models import Provider, RegisteredModel
from workspaces.models import Workspace
workspace = Workspace.objects.get()
provider = Provider.objects.create(
    workspace=workspace, name="Scripted", base_url={base_url!r}, concurrency=4, timeout_s=10)
for name in {models!r}:
    RegisteredModel.objects.create(
        workspace=workspace, provider=provider, name=name, source="external", capabilities=["streaming"])
"""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
]


@dataclass
class Portal:
    url: str
    email: str
    password: str
    env: dict[str, str]


# What htmx says of a request whose page is left; one that fails says sendError or responseError besides.
LEFT_MEANWHILE = ("htmx:afterRequest,", "htmx:sendAbort,")


@dataclass
class Trouble:
    """What a browser must not see: errors in the console, refusals by the policy, requests elsewhere."""

    origin: str
    found: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.found.append(f"exception: {error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        left = message.text.startswith(LEFT_MEANWHILE)
        if message.type in ("error", "warning") and not left:
            self.found.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.found.append(f"off-origin request: {request.url}")


@pytest.fixture(scope="package")
def endpoint() -> Iterator[StubEndpoint]:
    with StubEndpoint() as server:
        yield server


@pytest.fixture(scope="package")
def portal(tmp_path_factory: pytest.TempPathFactory, endpoint: StubEndpoint) -> Iterator[Portal]:
    with started(tmp_path_factory.mktemp("portal"), endpoint) as running:
        yield running


@contextmanager
def started(data: Path, endpoint: StubEndpoint) -> Iterator[Portal]:
    """A portal with its demo and two models on the endpoint."""
    port = free_port()
    env = {"EVALPORTAL_DATA": str(data), "DATABASE_URL": "", "REDIS_URL": ""}
    with Process("manage.py", "up", "--port", str(port), env=env, name="up") as process:
        process.wait_for("Ctrl-C stops it.", 90)
        shell(PREPARE.format(base_url=endpoint.base_url, models=MODELS), env)
        email, password = (data / "demo-login").read_text().split()
        yield Portal(f"http://127.0.0.1:{port}", email, password, env)
        assert "Traceback" not in process.output, process.output


def shell(code: str, env: dict[str, str]) -> str:
    """What the code prints."""
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment(env), capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield running
    running.close()


@pytest.fixture
def trouble(portal: Portal) -> Trouble:
    return Trouble(portal.url)


@pytest.fixture
def page(browser: Browser, trouble: Trouble, portal: Portal, tmp_path: Path) -> Iterator[Page]:
    """A page at the login; a test fails at its end if the browser met any trouble."""
    context = browser.new_context(
        base_url=portal.url,
        viewport={"width": 1440, "height": 1000},
        permissions=["clipboard-read", "clipboard-write"],
        accept_downloads=True,
    )
    context.set_default_timeout(40_000)
    context.set_default_navigation_timeout(40_000)
    trouble.watch(context)
    opened = context.new_page()
    opened.goto("/")
    yield opened
    context.close()
    assert not trouble.found, "\n".join(trouble.found)


@pytest.fixture
def logged_in(page: Page, portal: Portal) -> Page:
    page.get_by_label("Email").fill(portal.email)
    page.get_by_label("Password", exact=True).fill(portal.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/w/*/")
    page.goto(f"{page.url}runs/")
    return page
