"""Well-known benchmarks: where their data lie, how fields are used, how a model is asked and scored.

Data, not code: an entry more is a line more in ENTRIES. Works for files downloaded beforehand, too.
"""

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from typing import Any

from catalogue.hub import Place
from catalogue.judging import RUBRICS
from datasets.mapping import FieldUse, Mapping
from judges.rubrics.base import Rubric
from judges.scorers import SCORERS

LETTERS = "ABCDEFGHIJ"
CHOICE_PROMPT = (
    "{{ input }}\n\n"
    "{% for choice in choices %}{{ 'ABCDEFGHIJ'[loop.index0] }}. {{ choice }}\n{% endfor %}\n"
    'Answer with the letter of the right choice, on the last line, as in "Answer: A".'
)
NUMBER_PROMPT = '{{ input }}\n\nThink step by step. End with a line such as "Answer: 42".'


@dataclass(frozen=True)
class Entry:
    """A benchmark that is known by name, scored by code, or else by a judge that asks a model of yours."""

    key: str
    title: str
    summary: str
    place: Place
    uses: Map[str, str]  # field → use
    template: str = "{{ input }}"
    scorers: tuple[Map[str, Any], ...] = ()
    measure: str = "share"
    tells: str = ""  # what the figure measures
    tells_not: str = ""
    source: str = ""  # the paper
    licence: str = ""
    params: Map[str, Any] = field(default_factory=lambda: {"temperature": 0})

    @property
    def rubric(self) -> Rubric | None:
        """What a judge is asked, where no scorer decides."""
        rubric: Rubric | None = RUBRICS.get(self.key)
        return None if self.scorers else rubric

    @property
    def scored_by(self) -> str:
        if self.rubric:
            return "A judge that asks a model of yours"
        return ", ".join(str(SCORERS[str(scorer["key"])].title) for scorer in self.scorers)

    @property
    def metric(self) -> str:
        return "Mean score" if self.measure == "mean" else "Accuracy, the share that passed"

    @property
    def mapping(self) -> Mapping:
        return Mapping.of(FieldUse(path, use) for path, use in self.uses.items())


CHOICE = ({"key": "multiple_choice"},)
ENTRIES = {
    entry.key: entry
    for entry in (
        Entry(
            key="gsm8k",
            title="GSM8K",
            summary="1,319 word problems of grade-school mathematics; the answer is a number",
            place=Place("openai/gsm8k", "main", "test"),
            uses={"question": "prompt", "answer": "reference"},
            template=NUMBER_PROMPT,
            scorers=({"key": "numeric"},),
            tells="whether the final number is right",
            tells_not="whether the reasoning is",
            source="Cobbe et al. 2021, arXiv 2110.14168",
            licence="MIT",
        ),
        Entry(
            key="mmlu",
            title="MMLU",
            summary="14,042 questions of four choices in 57 subjects, which are its sections",
            place=Place("cais/mmlu", "all", "test"),
            uses={
                "question": "prompt", "choices": "choices", "answer": "choice_number", "subject": "section",
            },
            template=CHOICE_PROMPT,
            scorers=CHOICE,
            tells="whether the letter is right, over all subjects together",
            tells_not="the mean over subjects; see its sections",
            source="Hendrycks et al. 2021, arXiv 2009.03300",
            licence="MIT",
        ),
        Entry(
            key="arc-challenge",
            title="ARC Challenge",
            summary="1,172 questions of school science that retrieval alone does not answer",
            place=Place("allenai/ai2_arc", "ARC-Challenge", "test"),
            uses={
                "id": "id", "question": "prompt", "choices": "choices", "answerKey": "reference",
            },
            template=CHOICE_PROMPT,
            scorers=CHOICE,
            tells="whether the letter is right",
            source="Clark et al. 2018, arXiv 1803.05457",
            licence="CC-BY-SA-4.0",
        ),
        Entry(
            key="hellaswag",
            title="HellaSwag",
            summary="10,042 beginnings of everyday scenes, each with four ways to go on",
            place=Place("Rowan/hellaswag", "default", "validation"),
            uses={
                "ctx": "prompt", "endings": "choices", "label": "choice_number", "activity_label": "metadata",
                "source_id": "metadata", "split_type": "section",
            },
            template="How does this go on?\n\n" + CHOICE_PROMPT,
            scorers=CHOICE,
            tells="whether the letter is right",
            tells_not="likelihoods of the endings, as the paper does",
            source="Zellers et al. 2019, arXiv 1905.07830",
            licence="MIT",
        ),
        Entry(
            key="truthfulqa",
            title="TruthfulQA",
            summary="817 questions that invite false beliefs, with one right choice",
            place=Place("truthfulqa/truthful_qa", "multiple_choice", "validation"),
            uses={
                "question": "prompt", "mc1_targets.choices": "choices", "mc1_targets.labels": "choice_number",
            },
            template=CHOICE_PROMPT,
            scorers=CHOICE,
            tells="whether the one right choice (MC1) is chosen; in the data it is always the first",
            tells_not="free answers",
            source="Lin et al. 2022, arXiv 2109.07958",
            licence="Apache-2.0",
        ),
        Entry(
            key="humaneval",
            title="HumanEval",
            summary="164 Python functions to complete",
            place=Place("openai/openai_humaneval", "openai_humaneval", "test"),
            uses={
                "task_id": "id", "prompt": "prompt", "canonical_solution": "reference", "test": "metadata",
                "entry_point": "metadata",
            },
            template="Complete this Python function. Answer with the whole function only.\n\n{{ input }}",
            tells="what a judge thinks of the code beside the solution and the tests",
            tells_not="pass@1: no code is run. Check the judge on labels of yours",
            source="Chen et al. 2021, arXiv 2107.03374",
            licence="MIT",
        ),
        Entry(
            key="ifeval",
            title="IFEval",
            summary="541 prompts with instructions that can be checked, such as a number of words",
            place=Place("google/IFEval", "default", "train"),
            uses={"key": "id", "prompt": "prompt", "instruction_id_list": "metadata", "kwargs": "metadata"},
            tells="whether a judge finds every listed instruction kept",
            tells_not="the strict accuracy by code of the paper; judges miscount",
            source="Zhou et al. 2023, arXiv 2311.07911",
            licence="Apache-2.0",
        ),
        Entry(
            key="mt-bench",
            title="MT-Bench, first turn",
            summary="80 open questions in eight categories",
            place=Place("HuggingFaceH4/mt_bench_prompts", "default", "train"),
            uses={
                "prompt_id": "id", "category": "section", "prompt.0": "prompt", "prompt.1": "metadata",
                "reference": "reference",
            },
            measure="mean",
            tells="a judge's score from 1 to 10",
            tells_not="the second turn, nor the scores of another judge model",
            source="Zheng et al. 2023, arXiv 2306.05685",
            licence="Apache-2.0",
        ),
    )
}  # fmt: skip
