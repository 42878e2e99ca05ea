"""Near-duplicates among drafts: the same words, perhaps in another order; pure."""

import re
from collections.abc import Sequence

from rapidfuzz import fuzz, process

SIMILAR = 88  # per cent of rapidfuzz's token_sort_ratio
COMPARED_CHARACTERS = 400
MOST_COMPARED = 3_000  # earlier questions


def folded(question: str) -> str:
    """What is compared of a question: its first words, without case and punctuation."""
    return " ".join(re.findall(r"\w+", question.lower()))[:COMPARED_CHARACTERS]


def nearest(question: str, earlier: Sequence[str]) -> tuple[int, int] | None:
    """(index among `earlier`, likeness in per cent) of the most similar one; both sides are folded."""
    first = max(0, len(earlier) - MOST_COMPARED)
    found = process.extractOne(
        question, earlier[first:], scorer=fuzz.token_sort_ratio, score_cutoff=SIMILAR, processor=None
    )
    return (first + int(found[2]), int(found[1])) if found else None
