"""A batch of rows as one JSON parameter that SQL can read as a table, alike on SQLite and PostgreSQL."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models.expressions import RawSQL

NUL = "\\u0000"  # as JSON writes it


def rowset(columns: Mapping[str, str]) -> str:
    """A FROM item named `v` with the given columns (name → SQL type); takes one parameter, `encode(rows)`."""
    if connection.vendor == "postgresql":
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(CAST(%s AS json)) AS v({typed})"
    picked = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {picked} FROM json_each(%s)) AS v"  # noqa: S608 (names are constants of the callers)


def unestimated(condition: str) -> str:
    """The condition, kept from PostgreSQL's estimates, for a table that is joined with a rowset.

    Statistics of a table at rest say that hardly any row is leased or open. The planner believes them also
    when work begins: it expects one such row, looks for it in the whole table, and does so for each row of
    the batch.
    """
    return f"CASE WHEN {condition} THEN TRUE ELSE FALSE END"


def encode(rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        text = orjson.dumps(rows, default=str, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError:  # lone surrogates, or what only the other encoder writes
        text = NUL
    if NUL not in text:
        return text
    clean = [{name: storable(value) for name, value in row.items()} for row in rows]
    return json.dumps(clean, ensure_ascii=False, default=str)


def storable(value: Any) -> Any:
    """Text without what a database refuses, NUL and lone surrogates; anything else as it is."""
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def among(ids: Iterable[int]) -> RawSQL:
    """For `pk__in`: one parameter however many ids, where Django would make one of each."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [list(ids)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(ids))])
