"""`manage.py import_dataset FILE …`: imports a file here. Exit 0 imported, 1 refused, 2 bad usage."""

import argparse
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from datasets.mapping import USES, BadMapping, Mapping, mapping_of
from datasets.problems import ImportProblems, spooled
from datasets.selectors_uploads import saved_mappings
from datasets.services import version_import
from datasets.uploading import samples_of
from evalportal.lib.csv_safety import csv_lines
from workspaces.access import system_access
from workspaces.models import Workspace

SHOWN = 20


class Command(BaseCommand):
    help = "Imports a file of questions, or of questions and responses, as the next version of a dataset."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("file", type=Path, metavar="FILE", help="CSV, JSONL, JSON, Parquet, Excel or zip")
        add("--workspace", required=True, metavar="SLUG")
        add("--name", default="", metavar="NAME", help="the dataset; default: the file's name")
        add(
            "--map", nargs="+", action="extend", default=[], metavar="FIELD=USE",
            help=f"such as question=prompt or gpt=response:GPT; guessed if left out. Uses: {', '.join(USES)}",
        )  # fmt: skip
        add("--saved-mapping", default="", metavar="NAME")
        add("--leave-out", action="store_true", help="import without the rows that have problems")
        add("--problems", type=Path, metavar="CSV", help="write every bad row to this file")
        add("--note", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"{path}: there is no such file.", returncode=2)
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(
                f"--workspace {options['workspace']}: there is no such workspace.", returncode=2
            )
        spool = path.with_name(f".{path.name}.problems") if options["problems"] else None
        try:
            result = version_import(
                system_access(workspace),
                path=path,
                source_name=path.name,
                dataset_name=options["name"] or path.stem.replace("_", " "),
                mapping=self.mapping(workspace, path, options),
                note=options["note"],
                leave_out=options["leave_out"],
                problems_to=spool,
            )
        except ImportProblems as error:
            self.refuse(error)
        finally:
            if spool and spool.exists():
                rows = ([one.line or "file", one.field, one.reason] for one in spooled(spool))
                options["problems"].write_text("".join(csv_lines([["line", "column", "reason"], *rows])))
                spool.unlink()
        version = result.version
        words = "Imported" if result.created else "Already there:"
        left = f", {version.left_out:,} rows left out" if version.left_out else ""
        self.stdout.write(f"{words} {version.item_count:,} items as version {version.number}{left}.")

    def mapping(self, workspace: Workspace, path: Path, options: dict[str, Any]) -> Mapping:
        if options["saved_mapping"]:
            saved = saved_mappings(workspace).filter(name=options["saved_mapping"]).first()
            if saved is None:
                raise CommandError(
                    f"--saved-mapping {options['saved_mapping']}: not saved here.", returncode=2
                )
            return Mapping.from_json(saved.mapping)
        if not options["map"]:
            return mapping_of(samples_of(path, path.name))
        try:
            return Mapping.from_json([_field(pair) for pair in options["map"]])
        except BadMapping as error:
            raise CommandError(f"--map: {error}", returncode=2) from error

    def refuse(self, error: ImportProblems) -> None:
        for problem in error.problems[:SHOWN]:
            self.stderr.write(str(problem))
        if error.total > SHOWN:
            self.stderr.write(f"and {error.total - SHOWN:,} more")
        self.stderr.write("Nothing was imported; mend the file, or add --leave-out.")
        sys.exit(1)


def _field(pair: str) -> dict[str, str]:
    path, _, use = pair.rpartition("=")
    use, _, model = use.partition(":")
    return {"path": path, "use": use, "model": model}
