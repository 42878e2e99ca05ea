"""What a measurement does inside a portal, as a process of its own; every verb prints one JSON object.

`prepare BASE_URL ITEMS IN_FLIGHT` migrates and makes a person with a token, a dataset and two
models: one whose provider allows as much as one wants, one (`narrow`) that allows IN_FLIGHT calls.
`check RUN …` compares runs' counters with COUNT(*). `judges COUNT TEXT` makes judges.
`session` logs the person in.
"""

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.core.management import call_command  # noqa: E402

from bench.endpoint import question  # noqa: E402
from datasets.mapping import FieldUse, Mapping  # noqa: E402
from datasets.models import DatasetVersion  # noqa: E402
from datasets.services import version_import  # noqa: E402
from judges.draft import Draft  # noqa: E402
from judges.services import judge_create  # noqa: E402
from registry.models import RegisteredModel  # noqa: E402
from registry.services import external_model  # noqa: E402
from runs.engine.check import check_run  # noqa: E402
from workspaces.access import Access, access_for  # noqa: E402
from workspaces.models import Membership, Role, User, Workspace  # noqa: E402
from workspaces.services import token_create  # noqa: E402

MOST_IN_FLIGHT = 4096
SECTIONS = 8
SLUG, EMAIL = "bench", "bench@example.com"


def rows(items: int) -> Iterator[str]:
    for number in range(items):
        row = {"q": question(number), "a": str(number * 2), "part": f"part-{number % SECTIONS + 1}"}
        yield json.dumps(row) + "\n"


def imported(access: Access, items: int) -> DatasetVersion:
    path = Path(settings.DATA_DIR) / "items.jsonl"
    with path.open("w") as file:
        file.writelines(rows(items))
    mapping = Mapping.of([FieldUse("q", "prompt"), FieldUse("a", "reference"), FieldUse("part", "section")])
    try:
        return version_import(
            access, path=path, source_name=path.name, dataset_name="Numbers", mapping=mapping
        ).version
    finally:
        path.unlink()


def prepare(base_url: str, items: str, in_flight: str) -> dict[str, Any]:
    call_command("migrate", verbosity=0)
    workspace = Workspace.objects.create(slug=SLUG, name="Bench")
    user = User.objects.create_superuser(EMAIL)
    Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    access = access_for(user, SLUG)
    version = imported(access, int(items))
    narrow = base_url.replace("/v1", "/narrow/v1")
    models = {
        "wide": external_model(access, base_url=base_url, name="stub-model", concurrency=MOST_IN_FLIGHT),
        "narrow": external_model(access, base_url=narrow, name="stub-model", concurrency=int(in_flight)),
    }
    token = token_create(access, name="Bench", role=Role.EDITOR, expires_at=None)[1]
    return {"token": token, "version": version.pk, **{name: model.pk for name, model in models.items()}}


def check(*runs: str) -> dict[str, Any]:
    """What differs, by run and counter: (kept, counted)."""
    found = {run: check_run(int(run)) for run in runs}
    return {
        run: {name: repr(pair) for name, pair in differing.items()}
        for run, differing in found.items()
        if differing
    }


def judges(count: str, asks: str) -> dict[str, Any]:
    """So many judges of one model each, which may have as many calls in flight as one wants."""
    access = access_for(User.objects.get(email=EMAIL), SLUG)
    model = RegisteredModel.objects.get(name="stub-model", provider__concurrency=MOST_IN_FLIGHT)
    labels = [{"label": "Correct", "passes": True}, {"label": "Wrong", "passes": False}]
    template = f"{asks}\n{{{{ input }}}}\n{{{{ response }}}}"
    drafts = [
        Draft(name=f"Judge {n + 1}", labels=labels, user_template=template, model_ids=[model.pk])
        for n in range(int(count))
    ]
    return {"judges": [judge_create(access, draft).pk for draft in drafts]}


def session() -> dict[str, Any]:
    user = User.objects.get(email=EMAIL)
    made = import_module(settings.SESSION_ENGINE).SessionStore()
    made[SESSION_KEY] = str(user.pk)
    made[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    made[HASH_SESSION_KEY] = user.get_session_auth_hash()
    made.create()
    return {"session": made.session_key}


if __name__ == "__main__":
    verbs = {"prepare": prepare, "check": check, "judges": judges, "session": session}
    print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])))
