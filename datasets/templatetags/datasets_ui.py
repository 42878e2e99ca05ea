"""How long texts are shown in one cell."""

from django import template

from datasets.filters import ItemFilter
from datasets.models import Subset

register = template.Library()


@register.filter
def gist(text: str) -> str:
    """A worked solution says its answer last: of several lines the last one, behind an ellipsis."""
    lines = [line for line in str(text).splitlines() if line.strip()]
    return f"… {lines[-1].removeprefix('####').strip()}" if len(lines) > 1 else str(text)


@register.filter
def filter_words(subset: Subset) -> list[str]:
    """What the subset's filter asks for, a phrase each."""
    return ItemFilter.of(subset.filter).words
