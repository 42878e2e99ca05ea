"""Multiple choice: the chosen letter or the choice's text is the reference's."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from judges.scorers.base import (
    EMPTY,
    NO_REFERENCE,
    Scorer,
    Subject,
    TextOptions,
    Verdict,
    option,
    quoted,
    unscored,
    verdict,
)
from judges.scorers.normalise import normalise

READ = 20_000  # characters from the end of a response that are read

# B · (B) · **B** · B. · [B] — and nothing else
ALONE = re.compile(r"[\s*_`(\[{\"'“]*([A-Za-z])[\s*_`)\]}\"'”.:,;!]*")
# B) Paris · (B) Paris · B. Paris · B: Paris
LEADING = re.compile(r"[*_`]*(?:\(([A-Za-z])\)|([A-Z])[).:])[*_`]*(?:\s|$)")
BOXED = re.compile(r"\\boxed\s*\{(?:\\(?:text|mathrm|textbf)\{)?([^{}\n]{1,300})\}")
MARKED = re.compile(
    r"(?:####|\b(?:answer|choice|option)\b(?:\s{1,3}(?:is|would be|should be))?[*_ \t]{0,4}[:=]?)"
    r"[*_ \t]{0,6}(?=([^\n]{1,300}))",
    re.IGNORECASE,
)
# "A dog" opens with an article and "I think" with a pronoun, "A because …" with a letter.
ARTICLE = r"(?![AIai]\s+(?!because|since|as\b|for\b|due\b|is\b|which|with\b)[a-z])"
OPENING = re.compile(
    rf"(?:(?i:option|choice|answer|letter)\s+)?[*_`(\[\"'“]{{0,6}}{ARTICLE}([A-Z]|(?<=[(\[])[a-z](?=[)\]]))(?![\w'’])"
)
PARENTHESISED = re.compile(r"\(([A-Z])\)")


@dataclass(frozen=True)
class MultipleChoiceOptions(TextOptions):
    first_index: str = option(
        "0", help="If references are numbers: what the first choice has", choices={"0": "0", "1": "1"}
    )
    read_text: bool = option(True, help="A choice's text counts as well as its letter")


class MultipleChoice(Scorer[MultipleChoiceOptions]):
    key = "multiple_choice"
    title = "Multiple choice"
    description = "Reads the chosen letter (B, (B), Answer: B, “The answer is B.”) or the choice's text."
    Options = MultipleChoiceOptions

    def score(self, subject: Subject) -> Verdict:
        if not any(reference.strip() for reference in subject.references):
            return unscored(NO_REFERENCE)
        wanted = [
            letter for reference in subject.references if (letter := self.wanted(reference, subject.choices))
        ]
        if not wanted:
            return unscored(f"the reference {quoted(subject.references[0])} is none of the choices")
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        letter, rule = self.chosen(subject.response[-READ:], subject.choices)
        if not letter:
            return verdict(False, answer="", explanation="no choice was found in the response")
        passed = letter in wanted
        relation = "is the reference" if passed else f"is not the reference, {' or '.join(wanted)}"
        return verdict(passed, answer=letter, explanation=f"{letter} ({rule}) {relation}")

    def wanted(self, reference: str, choices: Sequence[str]) -> str:
        """The reference's letter: given as a choice's text, a letter, or an index."""
        letters = letters_of(choices)
        by_text = _by_text(reference, choices)
        if by_text:
            return by_text
        alone = ALONE.fullmatch(reference)
        if alone and alone.group(1).upper() in letters:
            return alone.group(1).upper()
        bare = reference.strip()
        if choices and bare.isascii() and bare.isdigit() and len(bare) < 4:
            place = int(bare) - int(self.options.first_index)
            return letters[place] if 0 <= place < len(letters) else ""
        return ""

    def chosen(self, response: str, choices: Sequence[str]) -> tuple[str, str]:
        """The letter that the response chooses and the rule that found it; empty if there is none."""
        letters = letters_of(choices)
        text = response.strip()
        if (alone := ALONE.fullmatch(text)) and alone.group(1).upper() in letters:
            return alone.group(1).upper(), "the whole response is its letter"
        if self.options.read_text and (letter := _by_text(text, choices)):
            return letter, "the whole response is its text"
        marked = [(found, "in \\boxed{…}") for found in reversed(BOXED.findall(text))]
        marked += [(found, "after the answer marker") for found in reversed(MARKED.findall(text))]
        for piece, rule in marked:
            if letter := self.opening(piece, choices, letters):
                return letter, rule
        return self.unmarked(text, choices, letters)

    def unmarked(self, text: str, choices: Sequence[str], letters: str) -> tuple[str, str]:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        for line, where in ((lines[0], "first"), (lines[-1], "last")):
            found = LEADING.match(line) or ALONE.fullmatch(line)
            letter = next((group for group in found.groups() if group), "").upper() if found else ""
            if letter and letter in letters:
                return letter, f"the letter that opens the {where} line"
        named = set(PARENTHESISED.findall(text)) & set(letters)
        if len(named) == 1:
            return named.pop(), "the only letter in parentheses"
        by_text = mentioned(text, choices) if self.options.read_text else []
        return (by_text[0], "the only choice whose text appears") if len(by_text) == 1 else ("", "")

    def opening(self, piece: str, choices: Sequence[str], letters: str) -> str:
        """The choice that a marked answer opens with, by letter or by text."""
        piece = re.sub(r"^\s*(?:is|:)\s*", "", piece)
        if (alone := ALONE.fullmatch(piece)) and alone.group(1).upper() in letters:
            return alone.group(1).upper()
        if self.options.read_text:
            plain = _plain(piece)
            fitting = [
                (len(wanted), letter)
                for letter, choice in zip(letters, choices, strict=False)
                if (wanted := _plain(choice)) and re.match(rf"{re.escape(wanted)}(?!\w)", plain)
            ]
            if fitting:
                return max(fitting)[1]
        found = OPENING.match(piece)
        letter = found.group(1).upper() if found else ""
        return letter if letter and letter in letters else ""


def letters_of(choices: Sequence[str]) -> str:
    return ascii_uppercase[: len(choices)] if choices else ascii_uppercase


def _plain(text: str) -> str:
    return normalise(text.strip(" \t\r\n*_`\"'“”."))


def _by_text(text: str, choices: Sequence[str]) -> str:
    plain = _plain(text)
    same = [place for place, choice in enumerate(choices[:26]) if plain and _plain(choice) == plain]
    return ascii_uppercase[same[0]] if len(same) == 1 else ""


def mentioned(text: str, choices: Sequence[str]) -> list[str]:
    """Letters of the choices whose text appears; one inside a longer one that appears does not count."""
    plain = normalise(text)
    found: Mapping[str, str] = {
        letter: wanted
        for letter, choice in zip(ascii_uppercase, choices, strict=False)
        if (wanted := _plain(choice)) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", plain)
    }
    return [
        letter
        for letter, wanted in found.items()
        if not any(other != wanted and wanted in other for other in found.values())
    ]
