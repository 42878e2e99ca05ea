"""`--map input=question reference=answer response=gpt.output`, checked against the file's first rows."""

from collections.abc import Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from datasets.importers import Record, rows_of
from datasets.mapping import MISSING, FieldUse, Mapping, guess_mapping, leaves_of, value_at
from datasets.problems import RowProblem
from runs.terminal import BadUsage

SAMPLE = 50
USES = ("input", "reference", "response", "choices", "section", "id", "image", "metadata")
NAMES = {"image": "asset"}  # words of the terminal that the mapping calls otherwise


def sample_of(path: Path) -> list[dict[str, Any]]:
    """The first rows. Raises BadUsage if the file can't be read as rows at all."""
    try:
        with path.open("rb") as file:
            rows = list(islice(rows_of(file, path.name), SAMPLE))
    except OSError as error:
        raise BadUsage(f"{path}: {error.strerror or error}") from error
    records = [row.values for row in rows if isinstance(row, Record)]
    problem = next((row for row in rows if isinstance(row, RowProblem)), None)
    if not records:
        raise BadUsage(f"{path.name}: {problem or 'the file holds no rows'}")
    return records


def read_mapping(pairs: Sequence[str], records: Sequence[dict[str, Any]], *, model: str = "") -> Mapping:
    """The mapping that the pairs ask for. `model` names the responses. Raises BadUsage, naming the field."""
    fields = [_field(pair, records, model) for pair in pairs]
    for use in ("input", "response", "section", "id"):
        if sum(1 for pair in pairs if pair.startswith(f"{use}=")) > 1:
            raise BadUsage(f"--map: {use} is given twice.")
    mapping = Mapping.of(fields)
    if not any(field.use in ("prompt", "messages") for field in fields):
        guessed = next(
            (f.path for f in guess_mapping(records).fields if f.use in ("prompt", "messages")), "FIELD"
        )
        raise BadUsage(f"--map: say which field is the input, such as input={guessed}. {_known(records)}")
    problems = mapping.problems()
    if problems:
        raise BadUsage(f"--map: {'; '.join(problems)}.")
    return mapping


def _field(pair: str, records: Sequence[dict[str, Any]], model: str) -> FieldUse:
    use, equals, path = pair.partition("=")
    if not equals or not path:
        raise BadUsage(f"--map {pair}: write USE=FIELD, such as input=question.")
    if use not in USES:
        raise BadUsage(f"--map {pair}: {_near(use, USES)}")
    values = [value for record in records if (value := value_at(record, path)) is not MISSING]
    if not values or all(isinstance(value, dict) for value in values if value is not None):
        _check_path(pair, path, values, records, use)
    if use == "input":
        return FieldUse(path, "messages" if any(isinstance(value, list) for value in values) else "prompt")
    if use == "response":
        return FieldUse(path, "response", model or _model_of(path, records))
    return FieldUse(path, NAMES.get(use, use))


def _check_path(
    pair: str, path: str, values: Sequence[Any], records: Sequence[dict[str, Any]], use: str
) -> None:
    paths = [leaf.path for leaf in leaves_of(records)]
    inside = [known for known in paths if known.startswith(f"{path}.")]
    if inside:
        raise BadUsage(f"--map {pair}: {path} is an object; name a field of it: {', '.join(inside[:5])}.")
    if not values:
        raise BadUsage(f"--map {pair}: the file has no such field: {_near(path, paths)}")


def _near(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known[:20])}."


def _known(records: Sequence[dict[str, Any]]) -> str:
    return f"Fields: {', '.join(leaf.path for leaf in leaves_of(records)[:20])}."


def _model_of(path: str, records: Sequence[dict[str, Any]]) -> str:
    """`gpt.output` holds responses of gpt, `response_gpt` too."""
    guessed = next((field.model for field in guess_mapping(records).fields if field.path == path), "")
    return guessed or path.partition(".")[0]
