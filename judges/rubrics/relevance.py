"""How much of the response is about what was asked."""

from judges.rubrics.base import Rubric, one_to_five

RUBRIC = Rubric(
    title="Relevance",
    description="Is the response about what was asked?",
    kind="score",
    system_template=(
        "You judge whether responses are about what was asked. Whether they are right is not your question."
    ),
    user_template="""\
Request:
{{ input }}

Response:
{{ response }}

5: all of it addresses the request
4: most of it does; what does not is harmless
3: about half of it does
2: little of it does
1: none of it does, or it is empty
""",
    fields=one_to_five(),
)
