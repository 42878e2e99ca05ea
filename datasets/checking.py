"""The first pass over a file: everything is read and checked, nothing is stored."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from datasets.drafts import ContentHash, ItemDraft, draft_of
from datasets.importers import Record, rows_of
from datasets.mapping import Mapping, is_filled, value_at
from datasets.problems import ProblemList, RowProblem

MAX_SECTIONS = 1000
PREVIEW_ITEMS = 5
PROGRESS_EVERY = 200  # rows
Progress = Callable[[int, int], None]


@dataclass
class CheckReport:
    """What an import of the file would store, and what stands in its way."""

    items: int = 0
    last_line: int = 0
    sections: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    with_images: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    problems: ProblemList = field(default_factory=ProblemList)
    preview: list[ItemDraft] = field(default_factory=list)
    content_hash: str = ""
    whole_file: bool = True

    @property
    def response_count(self) -> int:
        return sum(self.responses.values())

    @property
    def section_list(self) -> list[dict[str, Any]]:
        return [{"name": name, "items": count} for name, count in self.sections.items()]


class SeenIds:
    """Item ids with the line of each, in a temporary file, since two million fit no memory bound."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.executescript(
            "PRAGMA cache_size = -8000; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE seen (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID; BEGIN;"
        )

    def first_line(self, external_id: str, line: int) -> int | None:
        """The earlier line with this id, or None, in which case it is remembered."""
        try:
            self._rows.execute("INSERT INTO seen VALUES (?, ?)", (external_id, line))
        except sqlite3.IntegrityError:
            found = self._rows.execute("SELECT line FROM seen WHERE id = ?", (external_id,)).fetchone()
            return int(found[0])
        return None

    def close(self) -> None:
        self._rows.close()


def drafts_in(
    file: BinaryIO, source_name: str, mapping: Mapping
) -> Iterator[tuple[Record | None, ItemDraft | None, list[RowProblem]]]:
    """Every row as (record, item, problems); the record and item are None where the row cannot be read."""
    for row in rows_of(file, source_name):
        if isinstance(row, RowProblem):
            yield None, None, [row]
        else:
            draft, problems = draft_of(row.line, row.values, mapping)
            yield row, draft, problems


def check_file(
    path: Path,
    source_name: str,
    mapping: Mapping,
    *,
    count_paths: Sequence[str] = (),
    max_bytes: int | None = None,
    on_progress: Progress | None = None,
) -> CheckReport:
    """Checks a file row by row, or its first `max_bytes`; counts filled values of `count_paths`."""
    report, hashed, seen = CheckReport(), ContentHash(), SeenIds()
    paths = [*dict.fromkeys([*count_paths, *(one.path for one in mapping.fields if one.use != "skip")])]
    for reason in mapping.problems():
        report.problems.add(RowProblem(0, "", reason))
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            for index, (record, draft, problems) in enumerate(drafts_in(file, source_name, mapping)):
                if max_bytes is not None and file.tell() > max_bytes:
                    report.whole_file = False
                    break
                if on_progress and index % PROGRESS_EVERY == 0:
                    on_progress(file.tell(), size)
                for problem in problems:
                    report.problems.add(problem)
                    report.last_line = problem.line
                if record and draft:
                    _count(report, record, draft, paths)
                    _check_id(report, seen, record.line, draft, mapping)
                    hashed.add(draft.digest)
    finally:
        seen.close()
    _check_whole(report, mapping)
    report.content_hash = hashed.hex
    return report


def _count(report: CheckReport, record: Record, draft: ItemDraft, paths: list[str]) -> None:
    report.items += 1
    report.last_line = record.line
    report.with_images += bool(draft.images)
    report.responses.update(draft.responses.keys())
    report.filled.update(path for path in paths if is_filled(value_at(record.values, path)))
    if draft.section in report.sections or len(report.sections) <= MAX_SECTIONS:
        report.sections[draft.section] += 1
    if len(report.preview) < PREVIEW_ITEMS:
        report.preview.append(draft)


def _check_id(report: CheckReport, seen: SeenIds, line: int, draft: ItemDraft, mapping: Mapping) -> None:
    earlier = seen.first_line(draft.external_id, line) if draft.external_id else None
    if earlier is not None:
        path = mapping.used_as("id")[0].path
        reason = f"the id {draft.external_id!r} is already on line {earlier:,}"
        report.problems.add(RowProblem(line, path, reason))


def _check_whole(report: CheckReport, mapping: Mapping) -> None:
    """Faults that no single line shows."""
    if not report.items and not report.problems.total:
        report.problems.add(RowProblem(0, "", "the file holds no rows"))
    if len(report.sections) > MAX_SECTIONS:
        path = mapping.used_as("section")[0].path
        report.problems.add(
            RowProblem(0, path, f"more than {MAX_SECTIONS:,} different sections; is this one?")
        )
    if report.items and report.whole_file:
        for one in mapping.fields:
            if one.use not in ("skip", "metadata", "prompt", "messages") and not report.filled[one.path]:
                report.problems.add(RowProblem(0, one.path, "no line has a value in this field"))
    if set(report.sections) == {""}:
        report.sections.clear()
