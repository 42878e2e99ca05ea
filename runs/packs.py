"""The pack of a run that people answer by hand: its prompts, signed, and what of a filled-in one counts.

A pack is JSON: a head that says which run, model and dataset it belongs to, with a signature; then a
row for each prompt with its number, its own signature and an empty `answer`. It holds no references,
no scorers, no responses. Rows may be left out or reordered; a head or a prompt may not be changed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.signing import Signer
from django.utils.crypto import constant_time_compare

from runs.models import Run

FORMAT = "evalportal-pack-1"
SALT = "evalportal.pack"
MAX_ANSWER = 1_000_000  # characters
HOW_TO = (
    "Give each prompt to the model as it stands, in a new conversation, and write its whole answer into "
    "`answer`. Leave out what you did not ask. Then import this file on the run's page."
)


class BadPack(ValueError):
    """The file is no pack of this run; the message says why."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be taken; its number is 0 where it has none."""

    row: int
    number: int
    reason: str

    def __str__(self) -> str:
        return f"row {self.row:,}{f' (prompt {self.number:,})' if self.number else ''}: {self.reason}"


@dataclass(slots=True)
class Filled:
    """What a filled-in pack says: answers by prompt number, empty rows, and rows that cannot be taken."""

    answers: dict[int, str] = field(default_factory=dict)
    empty: int = 0
    bad: list[BadRow] = field(default_factory=list)


def head_of(run: Run, count: int) -> dict[str, Any]:
    """What a pack says of itself. Loads the workspace."""
    return {
        "format": FORMAT,
        "how_to": HOW_TO,
        "workspace": run.workspace.slug,
        "run": run.pk,
        "model": run.config["model"]["name"],
        "dataset": run.config["dataset"],
        "prompts": count,
    }


def pack_of(run: Run, prompts: Iterable[tuple[int, str]], count: int) -> dict[str, Any]:
    """The pack with its prompts, (number, text). Loads the workspace."""
    head = head_of(run, count)
    return {
        **head,
        "signature": _signed(head),
        "rows": [
            {"number": number, "prompt": text, "check": _check(run.pk, number, text), "answer": ""}
            for number, text in prompts
        ],
    }


def _signed(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return Signer(salt=SALT).signature(text)


def _check(run_id: int, number: int, text: str) -> str:
    return _signed(["row", run_id, number, text])


def read_pack(run: Run, data: bytes, count: int) -> Filled:
    """Answers of a filled-in pack. Raises BadPack where it is not this run's, or was not made here."""
    try:
        pack = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadPack(f"The file is not JSON: {error}.") from error
    rows = pack.get("rows") if isinstance(pack, dict) else None
    if not isinstance(pack, dict) or pack.get("format") != FORMAT or not isinstance(rows, list):
        raise BadPack("The file is not a pack of this portal.")
    _check_head(run, {name: value for name, value in pack.items() if name != "rows"}, count)
    return read_rows(run.pk, rows, count)


def _check_head(run: Run, head: dict[str, Any], count: int) -> None:
    signature = head.pop("signature", None)
    try:
        genuine = isinstance(signature, str) and constant_time_compare(signature, _signed(head))
    except (ValueError, RecursionError):
        genuine = False
    if not genuine:
        raise BadPack("The signature is wrong: the head of the pack was changed, or another portal made it.")
    expected = head_of(run, count)
    if head["run"] != expected["run"]:
        raise BadPack(f"This pack belongs to run {head['run']}, not to run {run.pk}.")
    if head["dataset"] != expected["dataset"]:
        raise BadPack("The pack was made for another version of the dataset.")


def read_rows(run_id: int, rows: list[Any], count: int, *, signed: bool = True) -> Filled:
    """Answers by number. Unsigned rows hold `number` and `answer` alone."""
    filled, seen = Filled(), set[int]()
    for at, row in enumerate(rows, start=1):
        number = _number(row, count)
        reason = _fault(run_id, row, signed=signed) if number else "it has no number of a prompt"
        if number in seen:
            reason = "its number stands in the file twice"
        if reason:
            filled.bad.append(BadRow(at, number, reason))
            continue
        seen.add(number)
        answer = re.sub(r"\r\n?", "\n", row.get("answer", ""))
        if answer.strip():
            filled.answers[number] = answer
        else:
            filled.empty += 1
    return filled


def _number(row: Any, count: int) -> int:
    """The prompt's number, or 0."""
    number = row.get("number") if isinstance(row, dict) else None
    return number if type(number) is int and 1 <= number <= count else 0


def _fault(run_id: int, row: Mapping[str, Any], *, signed: bool) -> str:
    """Why a row cannot be taken; empty when it can."""
    answer = row.get("answer", "")
    if signed:
        prompt, check = row.get("prompt"), row.get("check")
        if not isinstance(prompt, str) or not isinstance(check, str):
            return "its prompt or its check is missing"
        if not constant_time_compare(check, _check(run_id, row["number"], prompt)):
            return "its prompt was changed since the pack was made"
    return answer_fault(answer)


def answer_fault(answer: Any) -> str:
    """Why an answer cannot be kept; empty when it can."""
    if not isinstance(answer, str):
        return "its answer is not text"
    if len(answer) > MAX_ANSWER:
        return f"its answer is longer than {MAX_ANSWER:,} characters"
    if "\0" in answer:
        return "its answer holds a NUL character"
    try:
        answer.encode()
    except UnicodeEncodeError:
        return "its answer holds half of a surrogate pair"
    return ""
