"""Making two texts comparable: case, white space, punctuation, articles."""

import re
import unicodedata

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
SPACE = re.compile(r"\s+")


def normalise(
    text: str, *, case: bool = True, space: bool = True, punctuation: bool = False, articles: bool = False
) -> str:
    """Each flag says what to forget. Unicode is put in its compatible form (NFKC) first."""
    text = unicodedata.normalize("NFKC", text)
    if case:
        text = text.casefold()
    if punctuation:
        text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("P"))
    if articles:
        text = ARTICLES.sub(" ", text)
    return SPACE.sub(" ", text).strip() if space else text
