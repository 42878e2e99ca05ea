"""ROUGE-1, ROUGE-2 and ROUGE-L of one response (Lin 2004), as the rouge_score package defines them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz.distance import LCSseq

from judges.scorers.base import Degree, TextOptions, option, quoted
from judges.scorers.squad import Overlap, overlap

READ = 100_000  # characters of a text that are read
ASCII_WORD = re.compile(r"[a-z0-9]+")
ANY_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class RougeOptions(TextOptions):
    variant: str = option(
        "rougeL",
        help="What both texts must share",
        choices={
            "rouge1": "ROUGE-1: words",
            "rouge2": "ROUGE-2: pairs of words",
            "rougeL": "ROUGE-L: the longest common subsequence",
        },
    )
    measure: str = option(
        "f1",
        help="What the value is; the best of an item's references counts",
        choices={"f1": "F-measure", "precision": "Precision", "recall": "Recall"},
    )
    words: str = option(
        "ascii",
        help="What a word is",
        choices={"ascii": "a to z and digits, as rouge_score", "unicode": "Letters of every script"},
    )
    pass_at: float = option(0.5, help="Passes from this value (0 to 1) on")


class Rouge(Degree[RougeOptions]):
    key = "rouge"
    title = "ROUGE"
    description = (
        "Words, pairs of words, or the longest sequence that response and reference share; without stemming."
    )
    Options = RougeOptions

    def nearest(self, response: str, references: Sequence[str]) -> tuple[float, str]:
        given = self.tokens(response)
        found, nearest = max(
            ((self.overlap(given, self.tokens(each)), each) for each in references),
            key=lambda pair: self.value(pair[0]),
        )
        name = self.options.variant.replace("rouge", "ROUGE-")
        shares = f"precision {found.precision:.3f}, recall {found.recall:.3f}, F {found.f1:.3f}"
        return self.value(found), f"{name}: {shares} with {quoted(nearest)}"

    def value(self, found: Overlap) -> float:
        return float(getattr(found, self.options.measure))

    def tokens(self, text: str) -> list[str]:
        pattern = ASCII_WORD if self.options.words == "ascii" else ANY_WORD
        return pattern.findall(text[:READ].lower())

    def overlap(self, given: list[str], wanted: list[str]) -> Overlap:
        if not given or not wanted:
            return Overlap(0.0, 0.0, 0.0)
        if self.options.variant == "rouge1":
            return overlap(given, wanted)
        if self.options.variant == "rouge2":
            pairs = _pairs(given), _pairs(wanted)
            return overlap(*pairs) if all(pairs) else Overlap(0.0, 0.0, 0.0)
        return _longest(given, wanted)


def _pairs(tokens: Sequence[str]) -> list[str]:
    return [f"{one} {two}" for one, two in pairwise(tokens)]


def _longest(given: list[str], wanted: list[str]) -> Overlap:
    shared = LCSseq.similarity(given, wanted)
    precision, recall = shared / len(given), shared / len(wanted)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if shared else 0.0)
