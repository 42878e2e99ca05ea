"""`manage.py evaluate FILE …`: import, launch, execute here, print. Exit 0 completed, 1 not, 2 bad usage."""

import argparse
import sys
import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from judges.scorers import SCORERS
from runs.metrics import elapsed_s, primary_estimate
from runs.models import Run, RunStatus
from runs.services import run_resume, run_retry
from runs.terminal import BadUsage, preparing
from runs.terminal.executing import current, execute
from runs.terminal.preparing import Wish
from runs.terminal.screen import Bar, json_document, table
from runs.variations import STRATEGIES
from workspaces.access import Access, system_access

EXAMPLES = """examples:
  manage.py evaluate answers.jsonl --map input=question reference=gold response=gpt.output --scorer numeric
  manage.py evaluate items.csv --map input=question reference=answer --scorer exact_match \\
      --base-url http://127.0.0.1:11434/v1 --model llama3
  manage.py evaluate --resume 412

The endpoint's key is read from the environment variable EVALPORTAL_API_KEY (or --api-key-env NAME).
"""


class Command(BaseCommand):
    help = "Evaluates a model, or recorded responses, on a file and prints the figures with their intervals."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs |= {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("file", nargs="?", type=Path, metavar="FILE", help="JSONL or CSV")
        add(
            "--map", nargs="+", action="extend", default=[], metavar="USE=FIELD",
            help="input=, reference=, response=, choices=, section=, id=, image=, metadata=; dotted paths",
        )  # fmt: skip
        add("--base-url", default="", metavar="URL", help="an OpenAI-compatible endpoint, up to /v1")
        add("--model", default="", metavar="NAME", help="at that endpoint, or registered in the workspace")
        add("--scorer", action="append", default=[], metavar="KEY", help=f"one of {', '.join(SCORERS)}")
        add(
            "--scorer-option",
            action="append",
            default=[],
            metavar="K=V",
            help="such as absolute_tolerance=0.01",
        )
        add(
            "--judge",
            action="append",
            default=[],
            metavar="NAME",
            help="of the workspace; its newest version",
        )
        add(
            "--variation", action="append", default=[], metavar="KEY",
            help=f"ask each item in other ways too: {', '.join(STRATEGIES)}",
        )  # fmt: skip
        add(
            "--variation-option", action="append", default=[], metavar="K=V",
            help="such as count=3, seed=7, templates=@FILE (a line of === between two)",
        )  # fmt: skip
        add(
            "--template",
            default="",
            metavar="T",
            help="Jinja2 for the prompt, or @FILE; default: {{ input }}",
        )
        add(
            "--param",
            action="append",
            default=[],
            metavar="K=V",
            help="such as temperature=0, max_tokens=512",
        )
        add("--concurrency", type=int, metavar="N", help="calls in flight")
        add("--max-cost", type=dollars, metavar="DOLLARS", help="pause before the run has cost more")
        add("--max-tokens", type=int, metavar="N", help="pause before it has used more, input and output")
        add("--cache", action="store_true", help="reuse the workspace's answers to identical requests")
        add("--limit", type=int, metavar="N", help="only the first N items")
        add("--workspace", default="", metavar="SLUG")
        add("--dataset", default="", metavar="NAME", help="default: the file's name")
        add("--api-key-env", default="", metavar="NAME", help="default: EVALPORTAL_API_KEY")
        add("--resume", type=int, metavar="RUN", help="go on with a run that was interrupted")
        add("--json", action="store_true", help="print one JSON object instead of the table")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            access, run = self.prepared(options)
        except BadUsage as error:
            raise CommandError(str(error), returncode=2) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted before the launch; nothing was started.") from None
        completed = self.executed(access, run, as_json=options["json"], resumed=bool(options["resume"]))
        if not completed:
            sys.exit(1)

    def prepared(self, options: dict[str, Any]) -> tuple[Access, Run]:
        """A run that waits to be executed. Raises BadUsage."""
        if (options["file"] is None) == (options["resume"] is None):
            raise BadUsage("Name a FILE to evaluate, or a run to --resume.")
        if options["file"] and not options["file"].is_file():
            raise BadUsage(f"There is no file {options['file']}.")
        key = preparing.api_key_of(options["api_key_env"])
        preparing.ready_database(self.stderr_line)
        if options["resume"] is not None:
            return self.resumed(options, key)
        access = system_access(preparing.workspace_of(options["workspace"]))
        return access, preparing.launch_wish(access, wish_of(options, key))

    def resumed(self, options: dict[str, Any], key: str) -> tuple[Access, Run]:
        run = preparing.resumable_run(options["resume"], options["workspace"])
        access = system_access(run.workspace)
        preparing.renewed_key(access, run, key)
        preparing.raised_ceilings(access, run, options["max_cost"], options["max_tokens"])
        if run.status in (RunStatus.PAUSED, RunStatus.CANCELED):
            run_resume(access, run)
        elif run.is_finished:
            run_retry(access, run)
        return access, current(run.pk)

    def executed(self, access: Access, run: Run, *, as_json: bool, resumed: bool) -> bool:
        """Executes, prints, and says whether the run is complete."""
        bar, started, before = Bar(sys.stderr), time.monotonic(), run.done
        ended, interrupted = execute(access, run, lambda now: bar.show(now, estimate_of(now)))
        bar.clear()
        # A run's own clock starts with its first call; one that goes on is timed from here.
        seconds = time.monotonic() - started if resumed else elapsed_s(ended) or 0.0
        done = ended.done + ended.errored - (before if resumed else 0)
        write = json_document if as_json else table
        self.stdout.write(write(ended, seconds=seconds, done=done))
        parts = [ended, *ended.judgings.order_by("pk")]
        for part in parts:
            if interrupted or part.status != RunStatus.COMPLETED or part.errored:
                self.stderr_line(what_next(part))
        return all(part.status == RunStatus.COMPLETED for part in parts)

    def stderr_line(self, text: str) -> None:
        if text:
            self.stderr.write(text, style_func=lambda line: line)


def dollars(text: str) -> Decimal:
    """For argparse, which reports a ValueError as bad usage."""
    try:
        return Decimal(text.lstrip("$"))
    except InvalidOperation as error:
        raise ValueError(text) from error


def wish_of(options: dict[str, Any], key: str) -> Wish:
    names = ("file", "base_url", "model", "template", "concurrency", "limit", "dataset", "max_cost",
             "max_tokens", "cache")  # fmt: skip
    return Wish(
        **{name: options[name] for name in names},
        mapping=options["map"],
        scorers=options["scorer"],
        scorer_options=options["scorer_option"],
        judges=options["judge"],
        variations=options["variation"],
        variation_options=options["variation_option"],
        params=options["param"],
        api_key=key,
    )


def estimate_of(run: Run) -> Any:
    return primary_estimate(run, run.tallies.all())


def what_next(run: Run) -> str:
    """Why the run is not whole and how to go on."""
    left = run.total - run.done
    reason = f" {run.status_reason}" if run.status_reason else ""
    if not left:
        return ""
    command = f"manage.py evaluate --resume {run.pk}"
    whose = f"{run.scorer}: " if run.scorer else ""
    return f"{whose}{run.status.capitalize()}.{reason} {left:,} items left; go on with: {command}"
