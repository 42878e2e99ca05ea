"""A batch of rows as one JSON parameter that SQL can read as a table, alike on SQLite and PostgreSQL."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection


def rowset(columns: Mapping[str, str]) -> str:
    """A FROM item named `v` with the given columns (name → SQL type); takes one parameter, `encode(rows)`."""
    if connection.vendor == "postgresql":
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(CAST(%s AS json)) AS v({typed})"
    picked = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {picked} FROM json_each(%s)) AS v"  # noqa: S608 (names are constants of the callers)


def encode(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False, default=str)
