"""The first pass over a file: everything is read and checked, nothing is stored."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets.drafts import ContentHash, ItemDraft, draft_of
from datasets.importers import Record, Rows, rows_of
from datasets.mapping import MISSING, QUESTIONS, Mapping, is_filled, value_at
from datasets.problems import ProblemList, RowProblem

MAX_SECTIONS = 1000
PREVIEW_ITEMS = 5
PROGRESS_EVERY = 200  # rows
GLANCE_WEIGHT = 8 << 20  # what a request reads: half a second of it
ROW_WEIGHT = 500
BAD_FROM_THE_START = 10_000  # rows; after so many without a good one nothing more is learnt
Progress = Callable[[int, int], None]


@dataclass
class CheckReport:
    """What an import of the file would store, and what stands in its way."""

    items: int = 0
    left_out: int = 0  # rows with problems
    last_line: int = 0
    sections: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    with_images: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    present: set[str] = field(default_factory=set)  # fields that some row has, be they empty
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


Checked = tuple[Record | None, ItemDraft | None, list[RowProblem]]


def drafts_in(rows: Rows, mapping: Mapping, seen: SeenIds | None = None) -> Iterator[Checked]:
    """Every row as (record, item, problems); the record and item are None where the row cannot be read.

    With `seen`, an id that was there before is a problem.
    """
    id_field = next(iter(mapping.used_as("id")), None)
    for row in rows:
        if isinstance(row, RowProblem):
            yield None, None, [row]
            continue
        draft, problems = draft_of(row.line, row.values, mapping, rows.asset)
        if seen and id_field and draft.external_id:
            earlier = seen.first_line(draft.external_id, row.line)
            if earlier is not None:
                reason = f"the id {draft.external_id!r} is already on line {earlier:,}"
                problems.append(RowProblem(row.line, id_field.path, reason))
        yield row, draft, problems


def good_drafts(rows: Rows, mapping: Mapping, *, leave_out: bool) -> Iterator[ItemDraft]:
    """The items that an import stores; with `leave_out`, those of rows without problems."""
    seen = SeenIds() if leave_out else None
    try:
        for _, draft, problems in drafts_in(rows, mapping, seen):
            if draft and not (leave_out and problems):
                yield draft
    finally:
        if seen:
            seen.close()


def check_file(
    path: Path,
    source_name: str,
    mapping: Mapping,
    *,
    count_paths: Sequence[str] = (),
    glance: bool = False,
    leave_out: bool = False,
    on_progress: Progress | None = None,
    problems_to: Path | None = None,
) -> CheckReport:
    """Checks a file row by row, with `glance` its beginning alone; counts filled values of `count_paths`.

    With `leave_out`, rows with problems are no hindrance: they are counted in `left_out`, and what stays
    in `problems.total` concerns the file as a whole. `problems_to` gets every problem, one JSON list a line.
    """
    report, seen = CheckReport(problems=ProblemList(problems_to)), SeenIds()
    paths = [*dict.fromkeys([*count_paths, *(one.path for one in mapping.fields if one.use != "skip")])]
    for reason in mapping.problems():
        report.problems.add(RowProblem(0, "", reason))
    try:
        with path.open("rb") as file:
            _check_rows(report, rows_of(file, source_name), mapping, seen, paths, path, glance, on_progress)
    finally:
        seen.close()
        report.problems.close()
    _check_whole(report, mapping)
    if leave_out and report.items:
        report.problems.forgive_rows()
    return report


def _check_rows(
    report: CheckReport,
    rows: Rows,
    mapping: Mapping,
    seen: SeenIds,
    paths: list[str],
    path: Path,
    glance: bool,
    on_progress: Progress | None,
) -> None:
    hashed, size, weight = ContentHash(), path.stat().st_size, 0
    for index, (record, draft, problems) in enumerate(drafts_in(rows, mapping, seen)):
        if glance and weight > GLANCE_WEIGHT:
            report.whole_file = False
            break
        if report.left_out >= BAD_FROM_THE_START and not report.items:
            reason = f"the first {BAD_FROM_THE_START:,} rows all have problems; nothing further was read"
            report.problems.add(RowProblem(0, "", reason))
            break
        if on_progress and index % PROGRESS_EVERY == 0:
            on_progress(rows.done(size), size)
        for problem in problems:
            report.problems.add(problem)
            report.last_line = problem.line
        report.left_out += any(problem.line for problem in problems)
        weight += _weight(record, draft, bad=bool(problems))
        if record and draft:
            _count(report, record, draft, paths, bad=bool(problems))
            if not problems:
                hashed.add(draft.digest)
    report.content_hash = hashed.hex


def _weight(record: Record | None, draft: ItemDraft | None, *, bad: bool) -> int:
    """Roughly how many bytes were read; a bad row counts with what it held."""
    if draft and not bad:
        return draft.weight
    values = record.values.values() if record else ()
    return ROW_WEIGHT + sum(len(value) for value in values if isinstance(value, str))


def _count(report: CheckReport, record: Record, draft: ItemDraft, paths: list[str], *, bad: bool) -> None:
    report.last_line = record.line
    for path in paths:
        value = value_at(record.values, path)
        if value is not MISSING:
            report.present.add(path)
            report.filled[path] += is_filled(value)
    if bad:
        return
    report.items += 1
    report.with_images += bool(draft.images)
    report.responses.update(draft.responses.keys())
    if draft.section in report.sections or len(report.sections) <= MAX_SECTIONS:
        report.sections[draft.section] += 1
    if len(report.preview) < PREVIEW_ITEMS:
        report.preview.append(draft)


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
            if one.use not in ("skip", "metadata", *QUESTIONS) and one.path not in report.present:
                report.problems.add(RowProblem(0, one.path, "no line has this field"))
    if set(report.sections) == {""}:
        report.sections.clear()
