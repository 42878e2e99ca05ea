"""How well the response hangs together."""

from judges.rubrics.base import Rubric, one_to_five

RUBRIC = Rubric(
    title="Coherence",
    description="Is the response clear, ordered and free of contradictions?",
    kind="score",
    system_template="You judge how well texts hang together. Whether they are right is not your question.",
    user_template="""\
Request, for context only:
{{ input }}

Response:
{{ response }}

5: clear and ordered; every sentence follows from what came before
4: small jumps or repetitions
3: can be followed with effort
2: parts contradict each other or do not connect
1: cannot be followed, breaks off, or is empty
""",
    fields=one_to_five(),
)
