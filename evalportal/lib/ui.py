"""Template tags of the visual language: icons, status, whiskers, and how numbers are written.

Available in every template without `load`. Numbers follow the README of the look: `56.3%`,
`[53.6, 58.9]`, `1,319`, `7.9 s`, `14:32`, and U+2212 for minus.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

STATUS_ICONS = {
    "pending": "pending",
    "running": "running",
    "completed": "ok",
    "correct": "ok",
    "failed": "failed",
    "error": "failed",
    "errored": "failed",
    "incorrect": "incorrect",
    "canceled": "canceled",
    "none": "canceled",
    "warning": "warning",
    "paused": "warning",
    "retrying": "retry",
    "waiting": "retry",
    "ok": "ok",
    "failing": "failed",
    "unknown": "pending",
    "leased": "running",
    "done": "ok",
    "unscored": "info",
    "scored": "ok",
}
# Words of the engine → the states the stylesheet knows.
STATUS_STYLES = {
    "paused": "warning",
    "errored": "error",
    "leased": "running",
    "waiting": "retrying",
    "ok": "completed",
    "failing": "failed",
    "unknown": "none",
    "done": "completed",
    "unscored": "none",
    "scored": "completed",
}


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite; with a label it is an image of its own, else decoration."""
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="#i-{}"/></svg>', label, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


@register.filter
def status_icon(value: str) -> str:
    """The icon of a status word."""
    return STATUS_ICONS.get(value, "info")


@register.filter
def status_style(value: str) -> str:
    """The `data-status` of a status word."""
    return STATUS_STYLES.get(value, value)


@register.simple_tag
def status(value: str, word: str = "", id: str = "", bare: bool = False) -> SafeString:
    """Shape + word + colour. `bare` shows the shape alone, with the word as its label (dense rows)."""
    word = word or value.replace("_", " ").capitalize()
    picture = icon(STATUS_ICONS.get(value, "info"), word if bare else "")
    return format_html(
        '<span class="status"{} data-status="{}"{}>{}{}</span>',
        format_html(' id="{}"', id) if id else "",
        STATUS_STYLES.get(value, value),
        format_html(' title="{}"', word) if bare else "",
        picture,
        "" if bare else word,
    )


def _share(value: float, low: float, high: float) -> str:
    span = (high - low) or 1.0
    return f"{min(100.0, max(0.0, 100 * (value - low) / span)):.1f}%"


@register.simple_tag
def whisker(
    low: float,
    point: float,
    high: float,
    minimum: float = 0.0,
    maximum: float = 1.0,
    *,
    label: str = "",
    weak: bool = False,
    fill: bool = False,
    series: str = "",
    mark: str = "a",
    ref: float | None = None,
) -> SafeString:
    """A point with its interval on an axis from `minimum` to `maximum`, all in one unit; dashes at `ref`."""
    at, start, end = (_share(value, minimum, maximum) for value in (point, low, high))
    base = (
        format_html('<rect class="fill" width="{}" height="100%" rx="2"/>', at)
        if fill
        else mark_safe('<line class="axis" x2="100%" y1="50%" y2="50%"/>')
    )
    if ref is not None:
        place = _share(ref, minimum, maximum)
        base += format_html('<line class="ref" x1="{}" x2="{}" y1="-40%" y2="140%"/>', place, place)
    return format_html(
        '<svg class="whisker"{}{} role="img" aria-label="{}">{}<line x1="{}" x2="{}" y1="50%" y2="50%"/>'
        '<line x1="{}" x2="{}" y1="25%" y2="75%"/><line x1="{}" x2="{}" y1="25%" y2="75%"/>'
        '<svg x="{}" y="50%"><use class="mark" href="#m-{}"/></svg></svg>',
        mark_safe(" data-weak") if weak else "",
        format_html(' data-series="{}"', series) if series else "",
        label or f"{at}, 95% CI {start} to {end}",
        base,
        start,
        end,
        start,
        start,
        end,
        end,
        at,
        mark,
    )


@register.filter
def percent(value: float | None, digits: int = 1) -> str:
    """0.5626 → 56.3%"""
    return "–" if value is None else minus(f"{100 * value:.{digits}f}%")


@register.filter
def percent_number(value: float | None) -> str:
    """0.5626 → 56.3, for a unit that stands apart"""
    return "–" if value is None else minus(f"{100 * value:.1f}")


@register.simple_tag
def interval(low: float | None, high: float | None, scale: float = 100.0, digits: int = 1) -> str:
    """[53.6, 58.9]"""
    if low is None or high is None:
        return ""
    return minus(f"[{scale * low:.{digits}f}, {scale * high:.{digits}f}]")


@register.filter
def number(value: float | Decimal | None) -> str:
    """1319 → 1,319"""
    if value is None:
        return "–"
    return minus(f"{value:,}" if isinstance(value, int) else f"{value:,.3g}")


def minus(text: str) -> str:
    return text.replace("-", "\u2212")


@register.filter
def duration_ms(value: float | None) -> str:
    """A latency: 212 ms, 7.9 s, 2:11, 1:02:03"""
    if value is None:
        return "–"
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s" if value < 60_000 else clock(value / 1000)


@register.filter
def clock(seconds: float | None) -> str:
    """872 → 14:32, 3723 → 1:02:03"""
    if seconds is None:
        return "–"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@register.filter
def money(value: Decimal | None) -> str:
    """Dollars with as many digits as a small price needs."""
    if value is None:
        return "–"
    return (
        f"${value:,.2f}"
        if value >= 1 or value == 0
        else f"${value:.2g}"
        if value < Decimal("0.01")
        else f"${value:.3f}"
    )


@register.filter
def file_size(value: float | None) -> str:
    """1536 → 1.5 kB"""
    size = float(value or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return ""


@register.filter
def day(value: datetime | None) -> str:
    """Today 14:32, 12 May 14:02, 12 May 2025"""
    if value is None:
        return "–"
    local, now = timezone.localtime(value), timezone.localtime()
    if local.date() == now.date():
        return f"Today {local:%H:%M}"
    return f"{local.day} {local:%b %H:%M}" if local.year == now.year else f"{local.day} {local:%b %Y}"


@register.filter
def iso(value: datetime | None) -> str:
    """For `datetime` and `data-elapsed-since` attributes."""
    return value.isoformat().replace("+00:00", "Z") if value else ""


@register.filter
def plural(count: int, words: str) -> str:
    """`{{ n|plural:"item,items" }}` → 1,319 items"""
    one, many = words.split(",")
    return f"{number(count)} {one if count == 1 else many}"


@register.filter
def lookup(mapping: Mapping[Any, Any] | None, key: Any) -> Any:
    """A mapping's entry under a key that is a variable."""
    return (mapping or {}).get(key)


@register.simple_tag(takes_context=True)
def with_query(context: template.Context, **changes: Any) -> str:
    """The present query string with some parameters changed; None or '' removes one. The URL is the state."""
    request = context.get("request")
    query: QueryDict = request.GET.copy() if request else QueryDict(mutable=True)
    for key, value in changes.items():
        if value in (None, ""):
            query.pop(key, None)
        else:
            query[key] = str(value)
    return "?" + query.urlencode() if query else "?"


@register.simple_tag
def query(**params: Any) -> str:
    """A query string of the given parameters without empty ones."""
    return "?" + urlencode({key: value for key, value in params.items() if value not in (None, "")})


CELLS = {state: f'<i data-s="{state}"></i>' for state in ".rx01234"}


@register.simple_tag
def cells(states: str) -> SafeString:
    """The cells of a progress grid from a string with one state a cell (`.rx01234`)."""
    return mark_safe("".join(CELLS.get(state, "") for state in states))  # noqa: S308 (constants)
