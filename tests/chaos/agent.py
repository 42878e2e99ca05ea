"""The harness's hand inside an installation, as `python -m tests.chaos.agent` with its environment.

Without arguments: answers JSON lines `{"do": verb, …}` on stdin with `{"is": value}` or `{"error": text}`
on stdout. `work RUN,RUN… [PUMPS]` executes runs to their end, as a second worker process would.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.db.models import Count, Q  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from datasets.models import Dataset, DatasetVersion, Item  # noqa: E402
from registry.models import Provider, RegisteredModel, Source  # noqa: E402
from runs.engine import recovery  # noqa: E402
from runs.engine.check import check_run  # noqa: E402
from runs.engine.host import run_to_end, stop_all  # noqa: E402
from runs.models import Attempt, Run, Score, Trial, TrialState  # noqa: E402
from runs.tasks import pump  # noqa: E402
from workspaces.access import access_for  # noqa: E402
from workspaces.models import Membership, Role, User, Workspace  # noqa: E402
from workspaces.services import token_create  # noqa: E402

QUESTION = "How much is {number} plus {number}? [[answer:{answer}]]"


def prepare(items: int) -> dict[str, Any]:
    """A workspace, an API token, and a dataset whose items are called "1", "2", …"""
    workspace = Workspace.objects.create(slug="chaos", name="Chaos")
    user = User.objects.create_user("editor@example.com", "correct horse battery")
    Membership.objects.create(workspace=workspace, user=user, role=Role.EDITOR)
    _, token = token_create(access_for(user, "chaos"), name="chaos", role=Role.EDITOR, expires_at=None)
    version = DatasetVersion.objects.create(
        dataset=Dataset.objects.create(workspace=workspace, name="Sums"), number=1, item_count=items,
        sections=[{"name": "", "items": items}], ready_at=timezone.now(),
    )  # fmt: skip
    Item.objects.bulk_create(
        Item(version=version, position=number, external_id=str(number), references=[str(number * 2)],
             prompt=QUESTION.format(number=number, answer=number * 2))
        for number in range(1, items + 1)
    )  # fmt: skip
    return {"token": token, "version": version.pk}


def model(name: str, base_url: str, concurrency: int, timeout_s: int) -> int:
    """A model at a provider of its own, so that no case inherits another's limits."""
    workspace = Workspace.objects.get()
    provider = Provider.objects.create(
        workspace=workspace, name=name, base_url=base_url, concurrency=concurrency, timeout_s=timeout_s
    )
    return int(
        RegisteredModel.objects.create(
            workspace=workspace, provider=provider, name="stub-model", alias=name, source=Source.EXTERNAL
        ).pk
    )


def sql(text: str, values: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return [list(row) for row in cursor.fetchall()]


def held(run: int, of: list[list[int]] | None = None) -> list[list[int]]:
    """(id, fence) of what is leased now, or of those that still is."""
    leased = Trial.objects.filter(run_id=run, state=TrialState.LEASED).values_list("pk", "fence")
    before = None if of is None else {tuple(pair) for pair in of}
    return [[*pair] for pair in leased if before is None or pair in before]


def session() -> str:
    """Of the editor, logged in; the cookie's value."""
    browser = Client()
    browser.force_login(User.objects.get(), backend=settings.AUTHENTICATION_BACKENDS[0])
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


def message(run: int, times: int) -> None:
    """So many messages for one run, one right after the other."""
    for _ in range(times):
        pump.delay(run)


def verdict(run: int) -> dict[str, Any]:
    """All that the rows of a finished run say."""
    trials, scores, attempts = (kind.objects.filter(run_id=run) for kind in (Trial, Score, Attempt))
    found = Run.objects.get(pk=run)
    done = trials.filter(state=TrialState.DONE)
    expected = len(found.scorer_names)
    right = done.annotate(verdicts=Count("scores")).filter(verdicts=expected).count()
    pairs = scores.values("trial", "scorer").annotate(n=Count("id")).filter(n__gt=1).count()
    return {
        "status": found.status,
        "reason": found.status_reason,
        "seconds": ((found.finished_at or timezone.now()) - found.created_at).total_seconds(),
        "states": dict(Counter(trials.values_list("state", flat=True))),
        "done_without_score": done.count() - right,
        "scored_twice": pairs + max(0, scores.count() - done.count() * expected),
        "differing": repr(check_run(run) or ""),
        "outcomes": dict(Counter(attempts.values_list("outcome", flat=True))),
        "errors": dict(Counter(trials.exclude(error_kind="").values_list("error_kind", flat=True))),
        "attempts": {
            row["trial__item__external_id"]: [row["n"], row["lost"]]
            for row in attempts.values("trial__item__external_id")
            .annotate(n=Count("id"), lost=Count("id", filter=Q(outcome="lost")))
            .order_by()
        },
    }


def work(runs: str, pumps: str = "1") -> None:
    """Executes runs in this process, each with so many calls of the pump at once, sweeping meanwhile."""
    wanted = [int(run) for run in runs.split(",") for _ in range(int(pumps))]
    threads = [threading.Thread(target=run_to_end, args=(run,), daemon=True) for run in wanted]
    print("at work", flush=True)
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recovery.sweep()
        time.sleep(1)
    stop_all()


def serve() -> None:
    verbs = {verb.__name__: verb for verb in (prepare, model, sql, held, session, message, verdict)}
    for line in sys.stdin:
        wish = json.loads(line)
        try:
            answer = {"is": verbs[wish.pop("do")](**wish)}
        except Exception as error:
            answer = {"error": repr(error)}
        finally:
            connections.close_all()  # the server may be another one the next time
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    work(*sys.argv[2:]) if sys.argv[1:2] == ["work"] else serve()
