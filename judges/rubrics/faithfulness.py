"""Whether the response says only what the context supports."""

from judges.rubrics.base import Rubric, label

RUBRIC = Rubric(
    title="Faithfulness to context",
    description=(
        "Does the response say only what the context supports? The context is the column “context”."
    ),
    kind="classify",
    system_template=(
        "You check whether statements are supported by a context. What you know beside the context does "
        "not count."
    ),
    user_template="""\
Context:
{{ metadata.context }}

Question:
{{ input }}

Response:
{{ response }}

List the statements of the response and check each against the context. To say that the context does not \
give the answer is faithful where that is so. An empty response is not faithful.
""",
    fields={
        "labels": [
            label("Faithful", True, "Every statement follows from the context"),
            label(
                "Not supported",
                False,
                "A statement is not in the context, though it does not \
contradict it",
            ),
            label("Contradicts", False, "A statement contradicts the context"),
        ]
    },
)
