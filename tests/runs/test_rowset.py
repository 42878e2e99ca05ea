"""Batches on their way to the database, as one JSON parameter."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from runs.engine.rowset import encode, rowset

pytestmark = pytest.mark.django_db


def read(rows: list[dict[str, Any]], kind: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT x FROM {rowset({'x': kind})}", [encode(rows)])
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize(
    ("given", "read_back"),
    [
        ("plain", "plain"),
        ('"quoted" \\ and \n lines', '"quoted" \\ and \n lines'),
        ("grüße 漢字 😀", "grüße 漢字 😀"),
        ("nul \0 gone", "nul  gone"),
        ("half \ud83d of a pair", "half ? of a pair"),
        ("both \0 and \ud83d", "both  and ?"),
        ("the letters \\u0000 stay", "the letters \\u0000 stay"),
        (Decimal("0.10000000"), "0.10000000"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05+00:00"),
        (None, None),
    ],
)
def test_text_comes_back_as_a_database_can_store_it(given: Any, read_back: str | None) -> None:
    assert read([{"x": given}, {"x": "next"}], "text") == [read_back, "next"]


def test_numbers_come_back_as_they_are() -> None:
    assert read([{"x": 2**53 + 1}, {"x": -1}], "bigint") == [2**53 + 1, -1]
    assert read([{"x": 0.1}, {"x": float("nan")}], "double precision") == [0.1, None]
