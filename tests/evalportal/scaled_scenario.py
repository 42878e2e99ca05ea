"""What the scaled form's test does inside a portal of its own, as `python -m` with one of two verbs.

`prepare BASE_URL ITEMS` makes people, a dataset and two models and launches an evaluation;
`check` compares every run's counters with what COUNT(*) says. Both print one JSON object.
"""

import json
import os
import sys
from importlib import import_module
from typing import Any

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.utils import timezone  # noqa: E402

from datasets.models import Dataset, DatasetVersion, Item  # noqa: E402
from registry.models import Provider, RegisteredModel, Source  # noqa: E402
from runs.engine.check import check_run  # noqa: E402
from runs.models import Run  # noqa: E402
from runs.services import Launch, launch  # noqa: E402
from tests.conftest import numbered_item  # noqa: E402
from workspaces.access import access_for  # noqa: E402
from workspaces.models import Membership, Role, User, Workspace  # noqa: E402


def session_of(user: User) -> str:
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def prepare(base_url: str, items: str) -> dict[str, Any]:
    workspace = Workspace.objects.create(slug="alpha", name="Alpha")
    user = User.objects.create_user("editor@example.com", "correct horse battery")
    Membership.objects.create(workspace=workspace, user=user, role=Role.EDITOR)
    provider = Provider.objects.create(workspace=workspace, name="Stub", base_url=base_url, concurrency=16)
    dataset = Dataset.objects.create(workspace=workspace, name="Numbers")
    version = DatasetVersion.objects.create(
        dataset=dataset, number=1, item_count=int(items), ready_at=timezone.now(), sections=[]
    )
    Item.objects.bulk_create(
        Item(version=version, position=number, **numbered_item(number)) for number in range(1, int(items) + 1)
    )
    models = [
        RegisteredModel.objects.create(
            workspace=workspace, provider=provider, name=name, source=Source.EXTERNAL
        )
        for name in ("stub-model", "stub-model-b")
    ]
    wish = Launch(
        dataset_version_id=version.pk,
        model_ids=[model.pk for model in models],
        scorers=[{"key": "numeric", "options": {}}],
    )
    evaluation = launch(access_for(user, "alpha"), wish)
    return {"runs": list(evaluation.runs.values_list("pk", flat=True)), "session": session_of(user)}


def check() -> dict[str, Any]:
    return {str(run.pk): found(run) for run in Run.objects.all()}


def found(run: Run) -> dict[str, Any]:
    differing = repr(check_run(run.pk))
    return {"status": run.status, "done": run.done, "errored": run.errored, "differing": differing}


if __name__ == "__main__":
    print(json.dumps({"prepare": prepare, "check": check}[sys.argv[1]](*sys.argv[2:])))
