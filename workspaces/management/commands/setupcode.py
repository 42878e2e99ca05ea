"""Prints the code that the first-start page asks for."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workspaces import people, selectors


class Command(BaseCommand):
    help = "Print the setup code of an installation that nobody uses yet."

    def handle(self, *args: Any, **options: Any) -> None:
        if not selectors.installation_is_empty():
            raise CommandError("This installation is set up already: log in, or ask site staff.")
        self.stdout.write(people.setup_code())
