"""What is wrong with a file, said so that a person can mend it."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_KEPT = 1000


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One fault; line 0 is the file as a whole, an empty field the whole line.

    After one that `ends` the reading, the rest of the file is unknown: it cannot be left out.
    """

    line: int
    field: str
    reason: str
    ends: bool = dataclasses.field(default=False, compare=False, repr=False)

    @property
    def of_row(self) -> bool:
        return self.line > 0 and not self.ends

    def to_json(self) -> dict[str, Any]:
        return {"line": self.line, "field": self.field, "reason": self.reason}

    def __str__(self) -> str:
        where = f"line {self.line:,}" if self.line else "file"
        return f"{where}, {self.field}: {self.reason}" if self.field else f"{where}: {self.reason}"


class ImportProblems(Exception):
    """The file was refused and nothing of it is kept; `total` counts also what `problems` left out."""

    def __init__(self, problems: list[RowProblem], total: int):
        self.problems, self.total = problems, total
        more = f" and {total - 1:,} more" if total > 1 else ""
        super().__init__(f"{problems[0]}{more}" if problems else "the file could not be imported")


class ProblemList:
    """Keeps the first problems and counts the rest, so that a bad file cannot fill the memory.

    Those of the file as a whole come before those of rows.

    All of them go to the file `spool`, if one is given, as JSON lists of line, field and reason.
    """

    def __init__(self, spool: Path | None = None) -> None:
        self.kept: list[RowProblem] = []
        self.total = self.of_rows = 0
        self._spool = spool.open("w", encoding="utf-8") if spool else None

    def add(self, problem: RowProblem) -> None:
        self.total += 1
        self.of_rows += problem.of_row
        if not problem.of_row:
            self.kept.insert(self.total - self.of_rows - 1, problem)
            del self.kept[MAX_KEPT:]
        elif len(self.kept) < MAX_KEPT:
            self.kept.append(problem)
        if self._spool and not self._spool.closed:
            self._spool.write(json.dumps([problem.line, problem.field, problem.reason]) + "\n")

    def close(self) -> None:
        if self._spool:
            self._spool.close()

    def forgive_rows(self) -> None:
        """Only what is wrong with the file as a whole stands in the way."""
        self.kept = [problem for problem in self.kept if not problem.of_row]
        self.total -= self.of_rows

    def raise_if_any(self) -> None:
        if self.total:
            raise ImportProblems(self.kept, self.total)


def spooled(path: Path) -> Iterator[RowProblem]:
    """The problems of a file that a ProblemList wrote."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            number, field, reason = json.loads(line)
            yield RowProblem(number, field, reason)
