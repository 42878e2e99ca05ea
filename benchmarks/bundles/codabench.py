"""Bundles in Codabench's shape, for text tasks: what maps is taken over, what does not is said.

Its documentation: docs.codabench.org, "Competition bundle structure" (competition.yaml, version 2).
Programs of a bundle are never run here.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from benchmarks.bundles.archive import Archive, BadBundle
from benchmarks.bundles.reading import (
    Bundle,
    BundlePart,
    Plain,
    mappings,
    moment,
    text,
    whole,
)
from benchmarks.wish import PhaseWish

TABLES = (".jsonl", ".ndjson", ".csv", ".tsv")
LINES = (".txt", ".labels", ".solution", ".data")
MOST_DATA = 64 << 20
NO_PLACE = {
    "terms": "its terms",
    "image": "its picture",
    "docker_image": "its container image",
    "queue": "its queue",
    "enable_detailed_results": "",
    "registration_auto_approve": "its rule for registering",
    "make_programs_available": "its offer of programs",
    "make_input_data_available": "its offer of input data",
}


def codabench_bundle(archive: Archive, document: str) -> Bundle:
    """Raises BadBundle where no task can be read."""
    told = archive.document(document)
    left = [f"Left out: {words}." for name, words in NO_PLACE.items() if words and told.get(name)]
    parts = []
    for at, task in enumerate(mappings(told, "tasks"), 1):
        part = _task(archive, task, at, left)
        parts += [part] if part else []
    if not parts:
        raise BadBundle(
            "No task of this bundle holds text items that can be read: CSV or JSON Lines with questions and "
            "answers, or one question and one answer a line. " + " ".join(left)
        )
    phases = [_phase(each, at, left) for at, each in enumerate(mappings(told, "phases"), 1)]
    if told.get("leaderboards"):
        left.append("Left out: its leaderboard columns. Ranks come from the primary metric of each part.")
    if told.get("solutions"):
        left.append("Left out: its solutions. Import them as recorded responses of the dataset instead.")
    summary = _summary(archive, told, left)
    return Bundle(text(told, "title") or "Imported benchmark", summary, "", parts, phases, left)


def _task(archive: Archive, task: Plain, at: int, left: list[str]) -> BundlePart | None:
    name = text(task, "name") or f"Task {at}"
    for program in ("scoring_program", "ingestion_program"):
        if task.get(program):
            left.append(
                f"{name}: its {program.replace('_', ' ')} is not run. Items are scored by exact match "
                "until you choose another scorer."
            )
    inputs = _files(archive, text(task, "input_data"))
    references = _files(archive, text(task, "reference_data"))
    found = (
        _paired_lines(name, inputs, references)
        or _joined(name, inputs, references, left)
        or _table(name, references)
        or _table(name, inputs)
    )
    if found is None:
        left.append(f"{name}: no text items found in its input and reference data.")
    return found


def _files(archive: Archive, named: str) -> dict[str, bytes]:
    """The small files of a task's data: a zip within the bundle, a folder, or one file."""
    clean = str(PurePosixPath(named)) if named else ""
    if not clean or clean == ".":
        return {}
    if clean in archive.members and clean.endswith(".zip"):
        inner = archive.nested(clean)
        return {name: inner.read(name, MOST_DATA) for name in _texts(inner)}
    names = [name for name in _texts(archive) if name == clean or name.startswith(f"{clean}/")]
    return {name: archive.read(name, MOST_DATA) for name in names}


def _texts(archive: Archive) -> list[str]:
    return [name for name in archive.members if name.lower().endswith(TABLES + LINES)]


def _paired_lines(name: str, inputs: dict[str, bytes], references: dict[str, bytes]) -> BundlePart | None:
    """One question a line here, one answer a line there, equally many."""
    here, there = _lines(inputs), _lines(references)
    if not here or len(here) != len(there):
        return None
    rows = [
        {"id": str(at), "prompt": prompt, "references": [answer]}
        for at, (prompt, answer) in enumerate(zip(here, there, strict=True), 1)
    ]
    return _part(name, rows)


def _part(name: str, rows: Iterable[Plain]) -> BundlePart:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return BundlePart(name, "items.jsonl", "", content, _scored())


def _joined(
    name: str, inputs: dict[str, bytes], references: dict[str, bytes], left: list[str]
) -> BundlePart | None:
    """A table of questions and one of answers, by the first column whose values tell rows apart in both."""
    here, there = _rows(inputs), _rows(references)
    both = [column for column in (here[0] if here else ()) if there and column in there[0]]
    key = next((each for each in both if _tells_apart(here, each) and _tells_apart(there, each)), "")
    if not key:
        return None
    answers = {str(row[key]): row for row in there}
    rows = [{**row, **answers[str(row[key])]} for row in here if str(row[key]) in answers]
    if len(rows) < len(here):
        left.append(f"{name}: {len(here) - len(rows):,} of {len(here):,} rows, which have no reference.")
    return _part(name, rows) if rows else None


def _tells_apart(rows: Sequence[Plain], column: str) -> bool:
    return len({str(row[column]) for row in rows if column in row}) == len(rows)


def _rows(files: dict[str, bytes]) -> list[Plain]:
    """Of the only table; none where it cannot be read."""
    tables = [(file.lower(), content) for file, content in files.items() if file.lower().endswith(TABLES)]
    if len(tables) != 1:
        return []
    file, content = tables[0]
    try:
        told = content.decode("utf-8-sig")
        if file.endswith((".jsonl", ".ndjson")):
            found = [json.loads(line) for line in told.splitlines() if line.strip()]
        else:
            delimiter = "\t" if file.endswith(".tsv") else ","
            found = list(csv.DictReader(told.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except (ValueError, RecursionError, csv.Error):
        return []
    whole_rows = all(isinstance(row, dict) and None not in row for row in found)
    return found if whole_rows else []


def _lines(files: dict[str, bytes]) -> list[str]:
    plain = [content for name, content in files.items() if name.lower().endswith(LINES)]
    if len(plain) != 1:
        return []
    try:
        return [line for line in plain[0].decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        return []


def _table(name: str, files: dict[str, bytes]) -> BundlePart | None:
    tables = {file: content for file, content in files.items() if file.lower().endswith(TABLES)}
    if not tables:
        return None
    file = next(iter(tables))
    return BundlePart(name, PurePosixPath(file).name, "", tables[file], _scored())


def _scored() -> dict[str, Any]:
    return {"scorers": [{"key": "exact_match", "name": "exact_match", "options": {}}]}


def _phase(told: Plain, at: int, left: list[str]) -> PhaseWish:
    name = text(told, "name")[:80] or f"Phase {at}"
    if told.get("max_submissions_per_day"):
        left.append(f"{name}: its limit a day. A phase here has a limit over its whole time.")
    if told.get("execution_time_limit"):
        left.append(f"{name}: its time limit.")
    if told.get("auto_migrate_to_this_phase"):
        left.append(f"{name}: moving results of the phase before it.")
    return PhaseWish(
        name=name,
        starts_at=moment(told, "start"),
        ends_at=moment(told, "end"),
        most_runs=whole(told, "max_submissions"),
        most_per="person",
    )


def _summary(archive: Archive, told: Plain, left: list[str]) -> str:
    """The description and the pages that are Markdown or text."""
    pieces = [text(told, "description")]
    for page in mappings(told, "pages"):
        named, title = str(PurePosixPath(text(page, "file") or ".")), text(page, "title")
        if named in archive.members and named.lower().endswith((".md", ".txt")):
            body = archive.read(named, 1 << 20).decode("utf-8", "replace").replace("\0", "")
            pieces.append(f"## {title}\n\n{body}")
        else:
            left.append(f"Left out: page {title or named}; only Markdown and text are taken over.")
    whole_text = "\n\n".join(piece for piece in pieces if piece.strip())
    if len(whole_text) > 20_000:
        left.append("The pages are cut at 20,000 characters.")
    return whole_text[:20_000]
