"""Whether the response gives the reference's answer."""

from judges.rubrics.base import Rubric, label

RUBRIC = Rubric(
    title="Correctness",
    description="Does the response give the answer of the reference?",
    kind="classify",
    system_template=(
        "You grade responses against a reference answer. Only agreement with the reference counts, not "
        "style, length or effort."
    ),
    user_template="""\
Question:
{{ input }}
{% if choices %}
Choices:
{% for choice in choices %}
- {{ choice }}
{% endfor %}
{% endif %}
Reference answer{% if references | length > 1 %}s, any of which is right{% endif %}:
{% for each in references %}
{{ each }}
{% endfor %}
Response:
{{ response }}

Find the final answer in the response and compare it with the reference. Ignore differences of wording, \
units and formatting that leave the meaning the same. An empty response, or one without a definite \
answer, is incorrect.
""",
    fields={
        "labels": [
            label("Correct", True, "The final answer means the same as a reference answer"),
            label("Incorrect", False, "It means something else, is missing, or is not definite"),
        ]
    },
)
