"""Levenshtein similarity: how few letters must change to make the response a reference."""

from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from judges.scorers.base import (
    EMPTY,
    NO_REFERENCE,
    Scorer,
    Subject,
    TextOptions,
    Verdict,
    graded,
    option,
    quoted,
    unscored,
    verdict,
)
from judges.scorers.normalise import normalise

READ = 20_000  # characters of a text that are read


@dataclass(frozen=True)
class LevenshteinOptions(TextOptions):
    ignore_case: bool = option(True, help="Upper and lower case are the same")
    ignore_whitespace: bool = option(True, help="Runs of white space count as one, ends as none")
    pass_at: float = option(0.9, help="Passes from this value (0 to 1) on")


class LevenshteinSimilarity(Scorer[LevenshteinOptions]):
    key = "levenshtein"
    title = "Levenshtein similarity"
    description = (
        "1 − edits / letters of the longer text; an edit inserts, deletes or replaces one letter. The "
        "nearest reference counts."
    )
    Options = LevenshteinOptions

    def score(self, subject: Subject) -> Verdict:
        if not subject.references:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        given = self.plain(subject.response)
        compared = [(self.plain(reference), reference) for reference in subject.references]
        value, wanted, nearest = max(
            (Levenshtein.normalized_similarity(given, plain), plain, each) for plain, each in compared
        )
        edits = Levenshtein.distance(given, wanted)
        longer = max(len(given), len(wanted))
        return graded(
            float(value),
            pass_at=self.options.pass_at,
            answer=subject.response.strip(),
            explanation=f"{edits:,} edits over {longer:,} letters from {quoted(nearest)}",
        )

    def plain(self, text: str) -> str:
        options = self.options
        return normalise(text[:READ], case=options.ignore_case, space=options.ignore_whitespace)
