"""Terms that an option lists."""

import json
from typing import Any

MOST = 500


def read_terms(written: Any) -> str:
    """For `read`: a JSON list as one line of terms between bars."""
    if isinstance(written, str):
        return written
    if isinstance(written, list | tuple) and all(isinstance(each, str) for each in written):
        if any("|" in each for each in written):
            raise ValueError("has a term with a bar (|), which tells terms apart")
        return " | ".join(written)
    raise ValueError("must be text or a list of texts")


def split_terms(text: str) -> list[str]:
    """The terms between bars, or of a JSON list."""
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError):
            listed = None
        if isinstance(listed, list):
            return [str(each).strip() for each in listed[:MOST] if str(each).strip()]
    return [term.strip() for term in text.split("|")[:MOST] if term.strip()]
