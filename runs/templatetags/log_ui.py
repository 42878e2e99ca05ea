"""Lines of a run's log."""

from datetime import datetime
from functools import lru_cache

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
@lru_cache(maxsize=4096)
def log_line(pk: int, at: datetime, level: str, text: str) -> SafeString:
    """Kept, since the end of each log is drawn again with every change of its run."""
    line = {"pk": pk, "at": at, "level": level, "text": text}
    return render_to_string("runs/fragments/_log_line.html", {"line": line})
