"""How the registry's pages write ages and prices."""

from datetime import datetime
from decimal import Decimal

from django import template
from django.utils import timezone

from registry.models import Capability, Source

register = template.Library()
STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (10**12, 86_400, "d"))


@register.filter
def ago(value: datetime | None) -> str:
    """now, 40 s ago, 4 min ago, 3 h ago, 12 d ago"""
    if value is None:
        return "never"
    seconds = int((timezone.now() - value).total_seconds())
    if seconds < 5:
        return "now"
    size, unit = next((size, unit) for below, size, unit in STEPS if seconds < below)
    return f"{seconds // size} {unit} ago"


@register.filter
def price(value: Decimal | None) -> str:
    """Dollars per million tokens, without needless zeros: $0.15, $2.50"""
    if value is None:
        return "–"
    plain = f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"
    whole, _, part = plain.partition(".")
    return f"${whole}.{part.ljust(2, '0')}" if part else f"${whole}"


@register.filter
def capability(value: str) -> str:
    return dict(Capability.choices).get(value, value)


@register.filter
def source(value: str) -> str:
    return dict(Source.choices).get(value, value)
