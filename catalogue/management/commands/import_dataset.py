"""`manage.py import_dataset FILE | --hub REPO | --entry KEY`: imports here.

Exit 0 imported (or there already), 1 refused or not to be fetched, 2 bad usage.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError

from catalogue.entries import ENTRIES, Entry
from catalogue.fetching import place_files
from catalogue.hub import BadPlace, Place, is_available, token_for
from catalogue.preparing import benchmark_prepare, judge_models
from datasets.importing import ImportResult
from datasets.mapping import USES, BadMapping, Mapping, mapping_of
from datasets.models import UploadType
from datasets.problems import ImportProblems, spooled
from datasets.selectors_uploads import saved_mappings
from datasets.services import version_import
from datasets.uploading import samples_of
from evalportal.lib.csv_safety import csv_lines
from registry.fetching import FetchFailed
from runs.terminal.screen import LINE_EVERY_S
from workspaces.access import Access, system_access
from workspaces.models import Workspace
from workspaces.services import Refused

SHOWN = 20


@dataclass
class Said:
    """Progress on stderr: redrawn in place on a terminal, a line now and then elsewhere."""

    out: TextIO
    said_at: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        if self.out.isatty():
            self.out.write(f"\r\x1b[K{text}")
            self.out.flush()
        elif time.monotonic() - self.said_at > LINE_EVERY_S:
            self.said_at = time.monotonic()
            self.out.write(f"{text}\n")

    def clear(self) -> None:
        if self.out.isatty():
            self.out.write("\r\x1b[K")

    def fetching(self, number: int, count: int, size: int) -> None:
        self.say(f"Fetching file {number + 1} of {count}: {size / 1e6:,.1f} MB")

    def importing(self, done: int, total: int) -> None:
        self.say(f"Importing: {100 * done // max(1, total)} %")


@dataclass(frozen=True)
class Source:
    """A file that is here now, what it is called, and where it is from."""

    path: Path
    name: str
    origin: dict[str, Any] = field(default_factory=dict)


class Command(BaseCommand):
    help = "Imports a file, data of the hub, or a known benchmark as the next version of a dataset."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("file", type=Path, nargs="?", metavar="FILE", help="CSV, JSONL, JSON, Parquet, Excel or zip")
        add("--hub", default="", metavar="REPO", help="owner/name on the hub instead of a file")
        add("--config", default="default", help="with --hub; default: default")
        add("--split", default="test", help="with --hub; default: test")
        add("--revision", default="", help="with --hub: a branch, tag or commit")
        add(
            "--entry", default="", choices=["", *ENTRIES], metavar="KEY",
            help=f"a known benchmark, from the hub or from FILE: {', '.join(ENTRIES)}",
        )  # fmt: skip
        add("--judge-model", default="", metavar="NAME", help="with --entry, where a judge scores it")
        add("--workspace", required=True, metavar="SLUG")
        add(
            "--name", default="", metavar="NAME", help="the dataset; default: the file's or repository's name"
        )
        add(
            "--map", nargs="+", action="extend", default=[], metavar="FIELD=USE",
            help=f"such as question=prompt or gpt=response:GPT; guessed if left out. Uses: {', '.join(USES)}",
        )  # fmt: skip
        add(
            "--type", choices=UploadType.values, default=UploadType.QUERY_RESPONSE.value,
            help="query leaves recorded responses out of a guessed mapping; default: query_response",
        )  # fmt: skip
        add("--saved-mapping", default="", metavar="NAME")
        add("--leave-out", action="store_true", help="import without the rows that have problems")
        add("--problems", type=Path, metavar="CSV", help="write every bad row to this file")
        add("--note", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        access, entry = self.asked(options)
        said = Said(sys.stderr)
        try:
            with self.source(access.workspace, entry, options, said) as source:
                result = self.imported(access, entry, source, options, said)
        except FetchFailed as error:
            raise CommandError(str(error)) from error
        except BadPlace as error:
            raise CommandError(str(error), returncode=2) from error
        except ImportProblems as error:
            self.refuse(error)
        said.clear()
        version = result.version
        words = "Imported" if result.created else "Already there:"
        left = f", {version.left_out:,} rows left out" if version.left_out else ""
        self.stdout.write(f"{words} {version.item_count:,} items as version {version.number}{left}.")
        if entry:
            self.prepare(access, entry, result, options["judge_model"])

    def asked(self, options: dict[str, Any]) -> tuple[Access, Entry | None]:
        """Raises CommandError for what does not go together."""
        ways = [name for name in ("hub", "entry") if options[name]]
        path: Path | None = options["file"]
        if len(ways) == 2 or (path and "hub" in ways) or not (ways or path):
            raise CommandError(
                "Give one of FILE, --hub and --entry; --entry may come with FILE.", returncode=2
            )
        if path and not path.is_file():
            raise CommandError(f"{path}: there is no such file.", returncode=2)
        if not path and not is_available():
            raise CommandError("No hub is set: name one in EVALPORTAL_HUB_URL.", returncode=2)
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(
                f"--workspace {options['workspace']}: there is no such workspace.", returncode=2
            )
        return system_access(workspace), ENTRIES.get(options["entry"])

    @contextmanager
    def source(
        self, workspace: Workspace, entry: Entry | None, options: dict[str, Any], said: Said
    ) -> Iterator[Source]:
        """The file, or what the hub gives for as long as it is needed. Raises BadPlace, FetchFailed."""
        place = entry.place if entry else Place(
            options["hub"], options["config"], options["split"], options["revision"]
        )  # fmt: skip
        origin: dict[str, Any] = {**asdict(place), **({"entry": entry.key} if entry else {})}
        if path := options["file"]:
            yield Source(path, path.name, origin | {"kind": "file"} if entry else {})
            return
        place.check()
        with tempfile.TemporaryDirectory(prefix="evalportal-hub-") as folder:
            into = Path(folder) / "data"
            name, commit = place_files(place, token_for(workspace), into, on_part=said.fetching)
            yield Source(into, name, origin | {"kind": "hub", "commit": commit})

    def imported(
        self, access: Access, entry: Entry | None, source: Source, options: dict[str, Any], said: Said
    ) -> ImportResult:
        """Raises ImportProblems, once every bad row is written where `--problems` says."""
        bad_rows: Path | None = options["problems"]
        spool = bad_rows.with_name(f".{bad_rows.name}.part") if bad_rows else None
        plain = entry.title if entry else options["hub"].rpartition("/")[2] or Path(source.name).stem
        try:
            return version_import(
                access,
                path=source.path,
                source_name=source.name,
                dataset_name=options["name"] or plain.replace("_", " "),
                mapping=self.mapping(access.workspace, entry, source, options),
                note=options["note"],
                on_progress=said.importing,
                leave_out=options["leave_out"],
                origin=source.origin,
                problems_to=spool,
            )
        finally:
            if bad_rows and spool and spool.exists():
                rows = ([one.line or "file", one.field, one.reason] for one in spooled(spool))
                bad_rows.write_text("".join(csv_lines([["line", "column", "reason"], *rows])))
                spool.unlink()

    def mapping(
        self, workspace: Workspace, entry: Entry | None, source: Source, options: dict[str, Any]
    ) -> Mapping:
        if options["saved_mapping"]:
            saved = saved_mappings(workspace).filter(name=options["saved_mapping"]).first()
            if saved is None:
                raise CommandError(
                    f"--saved-mapping {options['saved_mapping']}: not saved here.", returncode=2
                )
            return Mapping.from_json(saved.mapping)
        if not options["map"]:
            with_responses = options["type"] == UploadType.QUERY_RESPONSE
            samples = samples_of(source.path, source.name)
            return entry.mapping if entry else mapping_of(samples, with_responses=with_responses)
        try:
            return Mapping.from_json([_field(pair) for pair in options["map"]])
        except BadMapping as error:
            raise CommandError(f"--map: {error}", returncode=2) from error

    def prepare(self, access: Access, entry: Entry, result: ImportResult, judge_model: str) -> None:
        """The benchmark, too; where that cannot be, the data stay and the exit is 1."""
        named = [
            model for model in judge_models(access.workspace) if judge_model in (model.name, model.title)
        ]
        if judge_model and not named:
            raise CommandError(
                f"--judge-model {judge_model}: no such model that can be called.", returncode=2
            )
        try:
            made = benchmark_prepare(access, entry, result.version, named[0].pk if judge_model else None)
        except Refused as error:
            raise CommandError(f"The data are here, the benchmark is not. {error}") from error
        self.stdout.write(f"The benchmark {made.name} is ready.")

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
