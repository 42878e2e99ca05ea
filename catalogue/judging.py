"""What the judges of known benchmarks are asked, where no code can score a response honestly."""

from typing import Any

from judges.rubrics.base import Rubric, label

HUMANEVAL = Rubric(
    title="HumanEval, read by a judge",
    description="Would this Python function pass its tests? Nothing is executed.",
    kind="classify",
    system_template=(
        "You review Python functions. You cannot run code: trace it by hand on the tests. Only behaviour "
        "counts, not style or comments."
    ),
    user_template="""\
The function to complete:
{{ input }}

A solution that is right:
{{ references[0] }}

Its tests:
{{ metadata.test }}

Response:
{{ response }}

Go through the tests one by one and say what the response returns. Code that does not parse, code that \
is missing, and code that fails any test or any case of the description is wrong.
""",
    fields={
        "labels": [
            label("Right", True, "Every test would pass, and the description is kept to"),
            label("Wrong", False, "At least one test would fail, or there is no usable code"),
        ],
    },
)
IFEVAL = Rubric(
    title="IFEval, read by a judge",
    description="Does the response keep to every instruction that IFEval lists for the prompt?",
    kind="classify",
    system_template=(
        "You check whether responses keep to instructions to the letter: counts of words and paragraphs, "
        "letter case, format, words to use or to avoid. Count, do not estimate."
    ),
    user_template="""\
Request:
{{ input }}

Its instructions, as IFEval names them, with their values:
{{ metadata.instruction_id_list }}
{{ metadata.kwargs }}

Response:
{{ response }}

Check each of these instructions, and say whether the response keeps to it. Whether its content is right \
does not matter. An empty response keeps to none.
""",
    fields={
        "labels": [
            label("All followed", True, "Every listed instruction is kept to"),
            label("Not all followed", False, "At least one is not"),
        ],
    },
)
MT_BENCH = Rubric(
    title="MT-Bench, single answer",
    description="How good is the answer to an open question, from 1 to 10?",
    kind="score",
    system_template=(
        "You judge answers impartially: helpfulness, relevance, accuracy, depth, creativity and detail. "
        "Length is no merit in itself."
    ),
    user_template="""\
Question:
{{ input }}
{% if references %}
A reference answer:
{{ references[0] }}
{% endif %}
Response:
{{ response }}

Compare it with the reference where there is one, and name its mistakes. 10: could not be better; 7: good \
with small faults; 4: partly useful; 1: empty, wrong or off the point.
""",
    fields={"minimum": 1, "maximum": 10, "integer": True, "aggregate": "mean"},
)
RUBRICS: dict[str, Any] = {"humaneval": HUMANEVAL, "ifeval": IFEVAL, "mt-bench": MT_BENCH}
