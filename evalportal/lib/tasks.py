"""The class of all Celery tasks of the portal."""

from typing import Any

from celery.contrib.django.task import DjangoTask
from django.db import transaction


class PortalTask(DjangoTask):  # type: ignore[misc]
    """What is committed is done: a broker that is away then costs its message and not the request, whose
    sender would take it for failed and repeat it. Sweeps make good what runs, imports, webhooks and the
    catalogue lose so; a draft or a check of a judge waits to be asked for again."""

    def delay_on_commit(self, *args: Any, **options: Any) -> None:
        # Of what fails, Django logs the name: a partial has none.
        transaction.on_commit(lambda: self.delay(*args, **options), robust=True)
