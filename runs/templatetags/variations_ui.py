"""How figures of variations are written."""

from collections.abc import Sequence

from django import template

from evalportal.lib import ui

register = template.Library()


@register.filter
def measured(value: float | None, shares: bool) -> str:
    """A share as 56.3%, another value as 3.25."""
    if value is None:
        return "–"
    return ui.percent(value) if shares else ui.minus(f"{value:.3g}")


@register.filter
def off_by(value: float | None, shares: bool) -> str:
    """A difference: −4.0 pts, or +0.25."""
    if value is None:
        return "–"
    return ui.minus(f"{100 * value:+.1f} pts") if shares else ui.minus(f"{value:+.3g}")


@register.filter
def title_at(titles: Sequence[str], place: int) -> str:
    return titles[place] if place < len(titles) else ""
