"""Levenshtein similarity: how few letters must change to make the response a reference."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from judges.scorers.base import Degree, TextOptions, option, quoted
from judges.scorers.normalise import normalise

READ = 20_000  # characters of a text that are read


@dataclass(frozen=True)
class LevenshteinOptions(TextOptions):
    ignore_case: bool = option(True, help="Upper and lower case are the same")
    ignore_whitespace: bool = option(True, help="Runs of white space count as one, ends as none")
    pass_at: float = option(0.9, help="Passes from this value (0 to 1) on")


class LevenshteinSimilarity(Degree[LevenshteinOptions]):
    key = "levenshtein"
    title = "Levenshtein similarity"
    description = (
        "1 − edits / letters of the longer text; an edit inserts, deletes or replaces one letter. The "
        "nearest reference counts."
    )
    Options = LevenshteinOptions

    def nearest(self, response: str, references: Sequence[str]) -> tuple[float, str]:
        given = self.plain(response)
        compared = [(self.plain(reference), reference) for reference in references]
        value, wanted, nearest = max(
            (Levenshtein.normalized_similarity(given, plain), plain, each) for plain, each in compared
        )
        edits = Levenshtein.distance(given, wanted)
        longer = max(len(given), len(wanted))
        return float(value), f"{edits:,} edits over {longer:,} letters from {quoted(nearest)}"

    def plain(self, text: str) -> str:
        options = self.options
        return normalise(text[:READ], case=options.ignore_case, space=options.ignore_whitespace)
