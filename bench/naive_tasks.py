"""The tasks of the naive reference: `celery -A bench.naive_tasks worker`; `python -m bench.naive_tasks ITEMS`
makes a run's rows and sends one task per trial.

One Celery task per item, a synchronous client, rows written by the ORM. No leases, no attempts, no
retries, no limits: an item that fails is lost.
"""

import os
import sys

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
django.setup()

import httpx  # noqa: E402
from django.db import transaction  # noqa: E402
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

from judges.scorers import Subject, build_scorer  # noqa: E402
from registry.models import RegisteredModel  # noqa: E402
from runs.models import Run, Score, Trial  # noqa: E402
from runs.services import Launch, launch  # noqa: E402
from workspaces.access import system_access  # noqa: E402

app = Celery("naive", set_as_current=False)  # else the launch's own message comes here: the engine at work
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_default_queue = "naive"
client = httpx.Client(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=None))
scorer = build_scorer("numeric", {})


@app.task(name="bench.naive.answer")  # type: ignore[untyped-decorator]
def answer(trial_id: int) -> None:
    trial = Trial.objects.select_related("item", "run__model__provider").get(pk=trial_id)
    assert trial.run.model and trial.run.model.provider
    body = {"model": trial.run.model.name, "messages": [{"role": "user", "content": trial.item.prompt}]}
    reply = client.post(f"{trial.run.model.provider.base_url}/chat/completions", json=body)
    text = reply.raise_for_status().json()["choices"][0]["message"]["content"]
    found = scorer.score(Subject(response=text, references=trial.item.references))
    with transaction.atomic():
        Score.objects.create(
            run_id=trial.run_id, trial=trial, scorer="numeric", value=found.value, passed=found.passed,
            answer=found.answer, explanation=found.explanation,
        )  # fmt: skip
        trial.response, trial.state, trial.passed = text, "done", found.passed
        trial.finished_at = timezone.now()
        trial.save(update_fields=["response", "state", "passed", "finished_at"])
        Run.objects.filter(pk=trial.run_id).update(done=F("done") + 1)


def send(items: int) -> None:
    """A launch whose own message nobody takes: this application does not know it."""
    model = RegisteredModel.objects.earliest("pk")
    version = model.workspace.datasets.get().versions.get()
    wish = Launch(
        dataset_version_id=version.pk, model_ids=[model.pk], scorers=[{"key": "numeric"}], limit=items
    )
    run = launch(system_access(model.workspace), wish).runs.get()
    for trial_id in run.trials.values_list("pk", flat=True):
        answer.delay(trial_id)


if __name__ == "__main__":
    send(int(sys.argv[1]))
