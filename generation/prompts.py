"""Templates by which a model drafts questions; people choose one and may edit it.

A template sees a passage as `input`, `section` (its document) and `metadata.count` (how many questions).
"""

from dataclasses import dataclass

FORM = """
Use nothing that the passage does not say. Each question must be understood without the passage, so name \
what it is about instead of writing "the passage" or "the text".

Answer with JSON alone, a list of exactly {{ metadata.count }}:
"""

PASSAGE = """

Document: {{ section }}
Passage:
{{ input }}
"""


@dataclass(frozen=True)
class Prompt:
    """A template to start from."""

    title: str
    description: str
    template: str


PROMPTS = {
    "facts": Prompt(
        "Short answers",
        "One fact each, answered in a few words",
        "Write {{ metadata.count }} questions that test whether someone knows the facts in the passage "
        "below. Each has one right answer of a few words, which stands in the passage." + FORM
        + '[{"question": "…", "reference": "…"}]' + PASSAGE,
    ),
    "reasoning": Prompt(
        "Reasoning",
        "Several facts have to be put together; answers of one or two sentences",
        "Write {{ metadata.count }} questions that can only be answered by putting together several "
        "statements of the passage below. Give the right answer in one or two sentences." + FORM
        + '[{"question": "…", "reference": "…"}]' + PASSAGE,
    ),
    "choices": Prompt(
        "Choices",
        "Four choices, one of them right",
        "Write {{ metadata.count }} multiple-choice questions on the passage below, with four choices "
        "each. One is right; the others are plausible but wrong. Vary the place of the right one." + FORM
        + '[{"question": "…", "choices": ["…", "…", "…", "…"], "reference": "the right choice, in full"}]'
        + PASSAGE,
    ),
}  # fmt: skip
