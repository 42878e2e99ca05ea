"""How numbers, states and pictures are written, by the README of the look."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

from evalportal.lib import ui


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (ui.percent(0.56254), "56.3%"),
        (ui.percent(None), "–"),
        (ui.percent(-0.174), "−17.4%"),
        (ui.percent_number(0.5), "50.0"),
        (ui.interval(0.5358, 0.5891), "[53.6, 58.9]"),
        (ui.interval(None, 0.5), ""),
        (ui.number(1319), "1,319"),
        (ui.number(None), "–"),
        (ui.duration_ms(212), "212 ms"),
        (ui.duration_ms(7_900), "7.9 s"),
        (ui.duration_ms(131_000), "2:11"),
        (ui.duration_ms(None), "–"),
        (ui.clock(872), "14:32"),
        (ui.clock(3_723), "1:02:03"),
        (ui.money(Decimal("12.3")), "$12.30"),
        (ui.money(Decimal("0.1712")), "$0.171"),
        (ui.money(Decimal(0)), "$0.00"),
        (ui.money(None), "–"),
        (ui.file_size(1_536), "1.5 kB"),
        (ui.file_size(0), "0 B"),
        (ui.plural(1, "item,items"), "1 item"),
        (ui.plural(1319, "item,items"), "1,319 items"),
        (ui.iso(datetime(2026, 5, 12, 14, 2, 11, tzinfo=UTC)), "2026-05-12T14:02:11Z"),
    ],
)
def test_numbers_are_written_as_the_look_says(written: str, expected: str) -> None:
    assert written == expected


def test_a_day_is_as_short_as_it_may_be() -> None:
    now = timezone.now()
    assert ui.day(now) == f"Today {timezone.localtime(now):%H:%M}"
    assert ui.day(now - timedelta(days=800)).endswith(str((now - timedelta(days=800)).year))
    assert ui.day(None) == "–"


def test_a_status_has_a_shape_and_a_word() -> None:
    failed = ui.status("failed")
    assert failed.startswith('<span class="status" data-status="failed">') and failed.endswith(
        "Failed</span>"
    )
    assert '<use href="#i-failed"/>' in failed
    bare = ui.status("completed", bare=True)
    assert 'aria-label="Completed"' in bare and 'title="Completed"' in bare
    assert 'data-status="warning"' in ui.status("paused")


def test_a_whisker_stays_on_its_axis_and_says_its_numbers() -> None:
    drawn = ui.whisker(-0.2, 0.563, 1.4)
    assert 'x1="0.0%" x2="100.0%"' in drawn and 'x="56.3%"' in drawn and 'role="img"' in drawn
    assert "style=" not in drawn
    assert 'class="fill"' in ui.whisker(0.5, 0.6, 0.7, fill=True)


def test_cells_are_of_known_states_only() -> None:
    assert ui.cells("r4<") == '<i data-s="r"></i><i data-s="4"></i>'


@pytest.mark.parametrize(
    ("changes", "expected"),
    [("item=7", "?q=a&amp;item=7"), ("q=None", "?"), ("q=''", "?"), ("q='b c'", "?q=b+c")],
)
def test_the_url_is_the_state(changes: str, expected: str) -> None:
    context: dict[str, Any] = {"request": RequestFactory().get("/?q=a")}
    assert Template("{% with_query " + changes + " %}").render(Context(context)) == expected


def test_what_people_wrote_is_escaped() -> None:
    assert "<b>" not in ui.status("failed", "<b>") and "<b>" not in ui.icon("x", "<b>")
