"""`manage.py draft_queries FILE …`: drafts here, prints JSONL. Exit 0 completed, 1 not, 2 bad usage."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from generation import services
from generation.models import DraftState, Generation
from generation.passages import USUAL_PASSAGE
from generation.prompts import PROMPTS
from generation.services import GenerationProblems, Wish
from runs.models import Run, RunStatus
from runs.terminal import BadUsage, preparing
from runs.terminal.executing import execute
from runs.terminal.screen import Bar
from workspaces.access import Access, system_access
from workspaces.services import Refused

OPTIONS = {"wanted": "--count", "passage_characters": "--passage", "name": "--dataset", "files": "FILE",
           "model": "--model", "template": "--template"}  # fmt: skip


class Command(BaseCommand):
    help = "Lets a registered model draft questions with references from documents."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("files", nargs="+", type=Path, metavar="FILE", help="text, Markdown, HTML or PDF")
        add("--model", required=True, metavar="NAME", help="registered in the workspace")
        add("--count", type=int, default=20, metavar="N", help="questions in all; default: 20")
        add("--kind", choices=list(PROMPTS), default="facts", help="default: facts")
        add("--template", default="", metavar="T", help="Jinja2 instead of --kind, or @FILE")
        add("--passage", type=int, default=USUAL_PASSAGE, metavar="N", help="characters of a passage at most")
        add("--dataset", default="", metavar="NAME", help="default: the first file's name")
        add("--workspace", default="", metavar="SLUG")
        add("--publish", action="store_true", help="approve all drafts and make the dataset's next version")
        add("--but-similar", action="store_true", help="with --publish: leave near-duplicates out")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            preparing.ready_database(self.stderr.write)
            access = system_access(preparing.workspace_of(options["workspace"]))
            generation = begun(access, options)
        except BadUsage as error:
            raise CommandError(str(error), returncode=2) from error
        ended = self.executed(access, generation)
        while services.drafts_collect(generation):
            pass
        for draft in generation.drafts.order_by("number"):
            row = {"number": draft.number, "question": draft.question, "reference": draft.reference,
                   "choices": draft.choices, "document": draft.document, "passage": draft.passage,
                   "similar_to": draft.similar_to}  # fmt: skip
            self.stdout.write(json.dumps(row, ensure_ascii=False))
        for seq, reason in generation.unread:
            self.stderr.write(f"passage {seq}: {reason}")
        if options["publish"]:
            self.published(access, generation, but_similar=options["but_similar"])
        if ended.status != RunStatus.COMPLETED:
            raise CommandError(f"The drafting is {ended.status}. {ended.status_reason}".strip())

    def executed(self, access: Access, generation: Generation) -> Run:
        run = generation.run
        assert run is not None
        bar = Bar(sys.stderr)
        ended, _ = execute(access, run, lambda now: bar.show(now, None))
        bar.clear()
        return ended

    def published(self, access: Access, generation: Generation, *, but_similar: bool) -> None:
        drafts = generation.drafts.filter(state=DraftState.OPEN)
        if but_similar:
            drafts = drafts.filter(similar_to=None)
        services.drafts_decide(access, drafts, DraftState.APPROVED)
        try:
            version = services.generation_publish(access, generation).version
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"{version.dataset.name} v{version.number}: {version.item_count:,} items")


def begun(access: Access, options: dict[str, Any]) -> Generation:
    """Raises BadUsage."""
    try:
        files = [(path.name, path.read_bytes()) for path in options["files"]]
        typed = options["template"]
        template = Path(typed[1:]).read_text() if typed.startswith("@") else typed
    except OSError as error:
        raise BadUsage(f"{error.filename}: {error.strerror}.") from error
    wish = Wish(
        name=options["dataset"] or options["files"][0].stem,
        files=files,
        model_id=preparing.registered_model(access, options["model"]).pk,
        template=template or PROMPTS[options["kind"]].template,
        wanted=options["count"],
        passage_characters=options["passage"],
    )
    try:
        return services.generation_begin(access, wish)
    except GenerationProblems as error:
        lines = (f"{OPTIONS.get(name, name)}: {' '.join(texts)}" for name, texts in error.problems.items())
        raise BadUsage("\n".join(lines)) from error
