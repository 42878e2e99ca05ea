"""The Celery application. Tasks are short and carry ids; `runs.tasks` holds them."""

import logging
import os
from typing import Any

from celery import Celery, bootsteps
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel as RedisChannel

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
# Django's checks load every page and the admin: a third of a worker's memory. The portal makes them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "yes")

app = Celery("evalportal", task_cls="evalportal.lib.tasks:PortalTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class ForgivingQoS(RedisChannel.QoS):  # type: ignore[misc, valid-type]
    """Lets a message be acknowledged after its connection to Redis has broken.

    kombu 5.7 ends the worker for good then ('NoneType' object has no attribute 'client').
    """

    def ack(self, delivery_tag: str) -> None:
        if self.channel.connection is not None:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self.channel.connection is not None:
            super().reject(delivery_tag, requeue)


# The database is the truth, so nothing is lost with a message; and putting back what was not
# acknowledged when Redis goes away ends the worker in the same way.
RedisChannel.QoS = ForgivingQoS
RedisChannel.do_restore = False

SWEEPS = {
    "runs.tasks.sweep": 5.0,
    "webhooks.tasks.sweep": 15.0,
    "catalogue.tasks.sweep": 30.0,
}  # every so many seconds
logger = logging.getLogger(__name__)


class Sweeper(bootsteps.StartStopStep):  # type: ignore[misc]
    """Every worker, at start and every few seconds, puts right what a lost worker or message left behind."""

    requires = {"celery.worker.components:Timer"}

    def start(self, worker: Any) -> None:
        self.entries = []
        for name, seconds in SWEEPS.items():
            self.entries.append(worker.timer.call_repeatedly(seconds, self.sweep, (name,)))
            self.sweep(name)

    def stop(self, worker: Any) -> None:
        for entry in self.entries:
            entry.cancel()

    @staticmethod
    def sweep(name: str) -> None:
        """A broker that is away must not end the worker: the next sweep tries again."""
        try:
            app.send_task(name, expires=SWEEPS[name] * 2, retry=False)
        except OperationalError as error:
            logger.warning("no sweep, the broker does not answer: %s", error)


app.steps["worker"].add(Sweeper)
