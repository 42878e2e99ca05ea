"""Preparing the demo at the first start, and serving its endpoint at every one."""

import asyncio
import secrets
import socket
import tempfile
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from benchmarks.services import benchmark_create
from benchmarks.wish import BenchmarkWish, PartWish
from datasets.selectors import ready_versions
from datasets.services import version_import
from evalportal.demo import dataset, wire
from evalportal.demo.endpoint import BY_NAME, EMBEDDER, DemoEndpoint
from evalportal.lib import env
from judges.services import draft_of_rubric, judge_create
from registry.models import Capability, Provider, RegisteredModel
from registry.services import model_save, models_register, provider_save
from runs.services import Launch, launch
from workspaces.access import Access, access_for
from workspaces.models import AuditEvent, Role, User
from workspaces.services import workspace_create

EMAIL = "demo@example.com"
PROVIDER = "Demo endpoint"
CONCURRENCY = 24
UNKNOWN_YET = "http://127.0.0.1:1/v1"  # `prepare` opens a port and names it
QUESTION = "Which model reasons best about everyday things?"
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters that look like others
TEMPLATE = """{{ input }}
{% if choices %}
{% for choice in choices %}{{ "ABCDEF"[loop.index0] }}) {{ choice }}
{% endfor %}{% endif %}
Think briefly, then end with a line "ANSWER: " and the {{ "letter" if choices else "number" }}."""
SUMMARY = """Everyday things: sums, logic, words and pictures.

The answer stands after "ANSWER:". Choose a model on the Evaluate tab, and see where it ranks.
"""
SCORER = {"key": "regex", "name": "correct", "options": {"pattern": r"ANSWER:\s*(\S+)"}}


class Demo:
    """The demo of this installation, if it has one: only an installation without people gets it."""

    def __init__(self) -> None:
        self.login_file = settings.DATA_DIR / "demo-login"
        self.access: Access | None = None

    def prepare(self) -> str:
        """Creates what is missing; returns "email password" while that login still works, else ""."""
        if not User.objects.exists():
            self._create()
        user = User.objects.filter(email=EMAIL, is_active=True).first()
        provider = Provider.objects.filter(name=PROVIDER, workspace__memberships__user=user).first()
        if user is None or provider is None or provider.workspace is None:
            return ""
        self.access = access_for(user, provider.workspace.slug)
        self.socket = listen(urlsplit(provider.base_url).port or 0)
        self._point(provider)
        return self._login(user)

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answers on the socket that `prepare` opened; calls that came earlier have waited there."""
        if self.access:
            handler = DemoEndpoint()
            self._server = loop.create_task(
                loop.create_server(lambda: wire.Connection(handler, loop), sock=self.socket)
            )

    def launch(self) -> None:
        """One quick run, and an evaluation that is under way when the newcomer has logged in; once."""
        held = self.access
        if held is None or has_launched(held):
            return
        registered = RegisteredModel.objects.filter(provider__name=PROVIDER, workspace=held.workspace)
        models = {model.name: model.pk for model in registered}
        version = ready_versions(held.workspace).filter(dataset__name=dataset.NAME).first()
        if version is None or not models.keys() >= BY_NAME.keys():
            return
        usual = Launch(dataset_version_id=version.pk, template=TEMPLATE, scorers=[SCORER])
        rubric = draft_of_rubric(held.workspace, "correctness", model_ids=(models["demo-medium"],))
        quick = replace(
            usual, model_ids=[models["demo-small"]], label="baseline", concurrency=12,
            name="A quick first look", judges=[judge_create(held, rubric)],
        )  # fmt: skip
        launch(held, quick)
        slow = [models[name] for name in ("demo-medium", "demo-large", "demo-vision")]
        launch(held, replace(usual, model_ids=slow, label="welcome", concurrency=2, name=QUESTION))
        part = PartWish(version_id=version.pk, template=TEMPLATE, scorers=[SCORER])
        benchmark_create(held, BenchmarkWish(name=dataset.NAME, summary=SUMMARY, parts=[part]))

    def _create(self) -> None:
        """The person last: until then a start that was cut short begins again."""
        self.login_file.unlink(missing_ok=True)
        password = "-".join("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(3))
        kept = env.kept_secret(self.login_file, make=f"{EMAIL} {password}")
        user = User.objects.create_superuser(EMAIL, kept.split()[1], name="Demo")
        workspace = workspace_create(user, name="Demo")
        access = access_for(user, workspace.slug, Role.OWNER)
        provider = Provider(
            workspace=workspace,
            name=PROVIDER,
            base_url="http://127.0.0.1:1/v1",
            concurrency=CONCURRENCY,
            timeout_s=60,
        )
        provider_save(access, provider)
        self._register(access, provider)
        self._import(access)

    @staticmethod
    def _register(access: Access, provider: Provider) -> None:
        for model in models_register(access, provider, list(BY_NAME)):
            persona = BY_NAME[model.name]
            model.alias = persona.alias
            model.capabilities = [Capability.STREAMING.value] + [Capability.VISION.value] * persona.sees
            model.input_price, model.output_price = (
                Decimal(persona.input_price),
                Decimal(persona.output_price),
            )
            model_save(access, model)
        embedder = models_register(access, provider, [EMBEDDER])[0]
        embedder.alias, embedder.embeds, embedder.input_price = "Demo Embed", True, Decimal("0.02")
        model_save(access, embedder)

    @staticmethod
    def _import(access: Access) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / dataset.FILE.name
            dataset.write_to(path)
            version_import(
                access, path=path, source_name=path.name, dataset_name=dataset.NAME, mapping=dataset.MAPPING,
                note="Written for the demo",
            )  # fmt: skip

    def _point(self, provider: Provider) -> None:
        """The endpoint's port may differ from start to start."""
        url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"
        if self.access and provider.base_url != url:
            provider.base_url = url
            provider_save(self.access, provider)

    def _login(self, user: User) -> str:
        with suppress(OSError):
            email, _, password = self.login_file.read_text().strip().partition(" ")
            if email == user.email and user.check_password(password):
                return f"{email} {password}"
        return ""


def has_launched(held: Access) -> bool:
    return AuditEvent.objects.filter(workspace=held.workspace, action="evaluation.launch").exists()


def listen(port: int) -> socket.socket:
    """A listening loopback socket, at the port of last time if that is free."""
    for wanted in (port if port > 1023 else 0, 0):
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(("127.0.0.1", wanted))
        except OSError:
            opened.close()
            continue
        opened.listen(128)
        opened.setblocking(False)
        return opened
    raise OSError("no free port on loopback")
