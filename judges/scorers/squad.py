"""Normalisation and token overlap as SQuAD defines them (Rajpurkar et al. 2016, arXiv 1606.05250)."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

READ = 100_000  # characters of a text that are read
ARTICLES = re.compile(r"\b(?:a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normalise(text: str) -> str:
    """Lower case, without ASCII punctuation and the articles a, an, the; single spaces."""
    plain = text[:READ].lower().translate(NO_PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", plain).split())


@dataclass(frozen=True, slots=True)
class Overlap:
    """Shares of 0..1. `f1` is the harmonic mean of both."""

    precision: float
    recall: float
    f1: float


def overlap(given: Sequence[str], wanted: Sequence[str]) -> Overlap:
    """How much two bags share. If either is empty, 1 if both are, else 0."""
    if not given or not wanted:
        same = float(not given and not wanted)
        return Overlap(same, same, same)
    shared = (Counter(given) & Counter(wanted)).total()
    precision, recall = shared / len(given), shared / len(wanted)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if shared else 0.0)
