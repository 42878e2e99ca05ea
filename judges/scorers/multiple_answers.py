"""Multiple answers: the choices that the response picks are those that are right."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

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
from judges.scorers.item_lists import read_items
from judges.scorers.multiple_choice import (
    BOXED,
    READ,
    MultipleChoice,
    MultipleChoiceOptions,
    letters_of,
    mentioned,
)
from judges.scorers.squad import overlap

# A · A, C · A and C · (A), (C) · [A, C] · **A** & **C** · "A", "C" — and nothing else
MARK = r"[\s*_`(\[{\"'“”)\]}]*"
JOINT = r"(?:\s*(?:,|;|/|&|\+|\band\b|\bor\b)\s*)+|\s+"
LETTERS = re.compile(rf"{MARK}[A-Za-z]{MARK}(?:(?:{JOINT}){MARK}[A-Za-z]{MARK})*[.!:]?", re.IGNORECASE)
TOGETHER = re.compile(r"[\s*_`(\[]*([A-Z]{2,26})[\s*_`)\].]*")
OPENS = re.compile(r"\s*(?:[-*•]\s+)?[*_`]*(?:\(([A-Za-z])\)|([A-Z])[).:])[*_`]*(?:\s|$)")
LETTER = re.compile(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])")
MARKED = re.compile(
    r"(?:####|\b(?:answers?|choices?|options?)\b(?:\s{1,3}(?:is|are))?[*_ \t]{0,4}[:=]?)[*_ \t]{0,6}"
    r"(?=([^\n]{1,300}))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MultipleAnswersOptions(TextOptions):
    measure: str = option(
        "exact",
        help="What the value is",
        choices={
            "exact": "1 if exactly the right choices were picked, else 0",
            "f1": "F1 of the choices",
            "jaccard": "Jaccard: choices in both, of the choices in either",
            "no_wrong": "The share of the right choices, 0 as soon as a wrong one was picked",
        },
    )
    pass_at: float = option(1.0, help="Passes from this value (0 to 1) on")
    first_index: str = option(
        "0", help="If references are numbers: what the first choice has", choices={"0": "0", "1": "1"}
    )


class MultipleAnswers(Scorer[MultipleAnswersOptions]):
    key = "multiple_answers"
    title = "Multiple choice, several right"
    description = (
        "Reads the chosen letters (A, C · AC · “Answers: A and C” · one per line) or the choices' texts; the "
        "references are the right ones, one each or all in one (A, C)."
    )
    Options = MultipleAnswersOptions

    def __init__(self, options: MultipleAnswersOptions):
        super().__init__(options)
        self.single = MultipleChoice(MultipleChoiceOptions(first_index=options.first_index))

    def score(self, subject: Subject) -> Verdict:
        references = [reference for reference in subject.references if reference.strip()]
        if not references:
            return unscored(NO_REFERENCE)
        wanted: set[str] = set()
        for reference in references:
            letters = self.wanted(reference, subject.choices)
            if not letters:
                return unscored(f"the reference {quoted(reference)} is none of the choices")
            wanted |= letters
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        given, rule = self.chosen(subject.response[-READ:], subject.choices)
        if not given:
            return verdict(False, answer="", explanation="no choice was found in the response")
        shown = ", ".join(sorted(given))
        relation = "exactly what is right" if given == wanted else f"right is {', '.join(sorted(wanted))}"
        return graded(
            self.measured(given, wanted),
            pass_at=self.options.pass_at,
            answer=shown,
            explanation=f"{shown} ({rule}): {relation}",
        )

    def wanted(self, reference: str, choices: Sequence[str]) -> set[str]:
        """Of one letter, text or index; of several in one reference. Empty if any is no choice."""
        if letter := self.single.wanted(reference, choices):
            return {letter}
        if letters := _letters(reference, letters_of(choices)):
            return letters
        several = [self.single.wanted(each, choices) for each in read_items(reference).items]
        return set(several) if all(several) else set()

    def chosen(self, response: str, choices: Sequence[str]) -> tuple[set[str], str]:
        """The letters that the response picks and the rule that found them."""
        known, text = letters_of(choices), response.strip()
        if letters := _letters(text, known):
            return letters, "the whole response is its letters"
        marked = [(found, "in \\boxed{…}") for found in reversed(BOXED.findall(text))]
        marked += [(found, "after the answer marker") for found in reversed(MARKED.findall(text))]
        for piece, rule in marked:
            if letters := _letters(piece.strip(), known) or set(mentioned(piece, choices)):
                return letters, rule
        opened = [found for line in text.splitlines() if (found := OPENS.match(line))]
        letters = {(found[1] or found[2]).upper() for found in opened} & set(known)
        if letters:
            return letters, "the letters that open its lines"
        return set(mentioned(text, choices)), "the choices whose text appears"

    def measured(self, given: set[str], wanted: set[str]) -> float:
        if self.options.measure == "exact":
            return float(given == wanted)
        if self.options.measure == "f1":
            return overlap(sorted(given), sorted(wanted)).f1
        if self.options.measure == "jaccard":
            return len(given & wanted) / len(given | wanted)
        return 0.0 if given - wanted else len(given & wanted) / len(wanted)


def _letters(text: str, known: str) -> set[str]:
    """Of a text that is nothing but letters of choices."""
    if together := TOGETHER.fullmatch(text):
        letters = set(together[1])
        return letters if len(letters) == len(together[1]) and letters <= set(known) else set()
    if len(text) > 300 or not LETTERS.fullmatch(text):
        return set()
    letters = {letter.upper() for letter in LETTER.findall(text)}
    return letters if letters <= set(known) else set()
