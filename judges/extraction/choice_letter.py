"""The letter of the choice that a text makes."""

from collections.abc import Sequence
from dataclasses import dataclass

from judges.extraction.base import Filter, Piece
from judges.options import option
from judges.scorers.multiple_choice import READ, MultipleChoice, MultipleChoiceOptions


@dataclass(frozen=True)
class ChoiceLetterOptions:
    read_text: bool = option(True, help="A choice's text counts as well as its letter")


class ChoiceLetter(Filter[ChoiceLetterOptions]):
    key = "choice_letter"
    title = "Choice letter"
    description = "The letter of the chosen answer, by the rules of the multiple choice scorer."
    Options = ChoiceLetterOptions
    missing = "no choice was found"

    def __init__(self, options: ChoiceLetterOptions):
        super().__init__(options)
        self.reader = MultipleChoice(MultipleChoiceOptions(read_text=options.read_text))

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        if not text.strip():
            return None
        letter, rule = self.reader.chosen(text[-READ:], choices)
        return Piece(letter, f"the chosen letter ({rule})") if letter else None
