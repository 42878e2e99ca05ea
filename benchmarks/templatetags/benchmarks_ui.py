"""How leaderboards are written: the rank interval as a picture, further figures, the words below."""

from collections.abc import Mapping

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from benchmarks.selectors_leaderboard import Cell, Leaderboard, Row, View
from evalportal.lib import ui

register = template.Library()


@register.simple_tag
def rank_picture(row: Row, position: int, count: int) -> SafeString:
    """A dot a place, a line over those that the tests leave open, and the row's own; words stand beside."""

    def at(place: int) -> str:
        return f"{100 * (place - 0.5) / count:.1f}%"

    dots = format_html_join(
        "", '<circle cx="{}" cy="50%" r="1.5"/>', ((at(place),) for place in range(1, count + 1))
    )
    line = (
        format_html('<line x1="{}" x2="{}" y1="50%" y2="50%"/>', at(row.rank.best), at(row.rank.worst))
        if row.rank.best != row.rank.worst
        else ""
    )
    return format_html(
        '<svg class="rank" aria-hidden="true">{}{}<circle class="best" cx="{}" cy="50%" r="3"/></svg>',
        dots, line, at(position),
    )  # fmt: skip


@register.simple_tag
def cell(cells: Mapping[str, Cell], key: str) -> SafeString | str:
    """A further figure with its interval, in its unit."""
    found = cells.get(key)
    if found is None or found.value is None:
        return "–"
    if found.unit == "s":
        return ui.duration_ms(found.value * 1000)
    if found.unit == "usd":
        return f"${found.value:,.2f}" if found.value >= 0.01 else f"${found.value:.2g}"
    return format_html(
        '{}<small class="sub">{}</small>', ui.percent(found.value), ui.interval(found.low, found.high)
    )


@register.simple_tag
def rank_footer(board: Leaderboard, view: View) -> str:
    """How the places come about."""
    count = len(board.rows)
    if count == 1:
        return "One system alone has no rank to lose: evaluate another."
    test = "McNemar test" if len(board.parts) == 1 else "test over all parts"
    words = (
        f"A system's rank runs from 1 + the systems that beat it to {count} − the systems it beats. One "
        f"beats another when the paired {test}, Holm-adjusted over {ui.plural(board.pairs, 'pair,pairs')}, "
        "gives p < 0.05. Systems that share a rank are tied."
    )
    if view.show == "best" and any(row.of > 1 for row in board.rows):
        words += " The best of several runs looks better than it is: prefer the latest for decisions."
    if board.left_out:
        words += f" {board.left_out:,} more are not shown."
    return words
