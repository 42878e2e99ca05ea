"""The composition root; importing it makes the Celery application the default one."""

from evalportal.celery import app as celery_app

__all__ = ["celery_app"]
