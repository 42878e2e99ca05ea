"""What follows a marker such as “Answer:”."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judges.extraction.base import Filter, OccurrenceOptions, Piece
from judges.options import option


@dataclass(frozen=True)
class AfterMarkerOptions(OccurrenceOptions):
    marker: str = option("Answer:", help="The text before the answer, such as Answer: or ####")
    ignore_case: bool = option(True, help="ANSWER: counts as Answer:")
    to_line_end: bool = option(False, help="Only the rest of the marker's line")


class AfterMarker(Filter[AfterMarkerOptions]):
    key = "after_marker"
    title = "After a marker"
    description = "What follows a marker such as “Answer:” or “####”."
    Options = AfterMarkerOptions
    missing = "the marker was not found"

    @classmethod
    def check(cls, options: AfterMarkerOptions) -> Mapping[str, str]:
        return {} if options.marker.strip() else {"marker": "is required"}

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        marker, searched = self.options.marker, text
        if self.options.ignore_case:
            marker, searched = _plain(marker), _plain(text)
        at = searched.rfind(marker) if self.options.occurrence == "last" else searched.find(marker)
        if at < 0:
            return None
        rest = text[at + len(marker) :]
        if self.options.to_line_end:
            rest = rest.strip(" \t").partition("\n")[0]
        return Piece(rest.strip(), f"the text after “{self.options.marker.strip()}”")


def _plain(text: str) -> str:
    """Lower case letter by letter, where that keeps the length, so that places stay the same."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
