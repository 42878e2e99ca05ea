"""What is wrong with a file, said so that a person can mend it."""

from dataclasses import asdict, dataclass
from typing import Any

MAX_KEPT = 1000


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One fault; line 0 is the file as a whole, an empty field the whole line."""

    line: int
    field: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

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
    """Keeps the first problems and counts the rest, so that a bad file cannot fill the memory."""

    def __init__(self) -> None:
        self.kept: list[RowProblem] = []
        self.total = 0

    def add(self, problem: RowProblem) -> None:
        self.total += 1
        if len(self.kept) < MAX_KEPT:
            self.kept.append(problem)

    def raise_if_any(self) -> None:
        if self.total:
            raise ImportProblems(self.kept, self.total)
