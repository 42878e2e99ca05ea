"""`manage.py up`: migrates, prepares the demo once, serves pages and works on runs, in one process."""

import argparse
import asyncio
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from evalportal.asgi import application
from evalportal.demo.start import Demo
from evalportal.serving import CannotServe, DataFolder, Portal, check_port
from workspaces import people
from workspaces.selectors import installation_is_empty


class Command(BaseCommand):
    help = "Starts the portal. Without REDIS_URL this one process also works on runs."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--no-demo", action="store_true", help="no demo workspace, endpoint and login")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.up(options["host"], options["port"], wants_demo=not options["no_demo"])
        except CannotServe as problem:
            raise CommandError(str(problem)) from problem
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")

    def up(self, host: str, port: int, *, wants_demo: bool) -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        check_port(host, port)
        folder = DataFolder(settings.DATA_DIR)
        if settings.EMBEDDED:
            folder.take(url)
        call_command("migrate", interactive=False, verbosity=0)
        demo = Demo() if wants_demo and settings.EMBEDDED else None
        login = demo.prepare() if demo else ""

        def with_loop(loop: asyncio.AbstractEventLoop) -> None:
            if demo:
                demo.serve(loop)

        def when_served() -> None:
            self.stdout.write(greeting(url, login))
            self.stdout.flush()
            if demo:
                demo.launch()

        def when_stopped() -> None:
            self.stdout.write("Stopped. Unfinished runs go on at the next start.")
            self.stdout.flush()

        portal = Portal(host=host, port=port, on_loop=with_loop, on_start=when_served, on_stop=when_stopped)
        portal.serve(application)


def greeting(url: str, login: str) -> str:
    """What a newcomer reads in the terminal."""
    lines = ["", f"Evalportal is running at {url}"]
    if login:
        email, password = login.split()
        lines += [
            f"  Log in as  {email}  with the password  {password}",
            f"  (kept in {settings.DATA_DIR / 'demo-login'})",
        ]
    elif installation_is_empty():
        people.setup_code()  # made now, so that the file is there when someone looks
        lines.append(f"  The first page sets it up, with the code in {people.setup_code_path()}")
    if not settings.EMBEDDED:
        lines.append("  Pages only: runs are executed by `celery -A evalportal worker`, started apart.")
    return "\n".join([*lines, f"  Data: {settings.DATA_DIR}", "  Ctrl-C stops it.", ""])
