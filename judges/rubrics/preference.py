"""Which of two responses is better."""

from judges.rubrics.base import Rubric

RUBRIC = Rubric(
    title="Pairwise preference",
    description="Which of two responses serves the request better? Asked in both orders.",
    kind="compare",
    system_template=(
        "You compare two responses to one request. Their order, their length and their tone of confidence "
        "are no merits."
    ),
    user_template="""\
Request:
{{ input }}
{% if reference %}

Reference answer:
{{ reference }}
{% endif %}

Response A:
{{ response_a }}

Response B:
{{ response_b }}

Weigh first whether each is right, then whether it does all of what was asked, then whether it is clear. \
Say that it is a tie when neither is better.
""",
)
