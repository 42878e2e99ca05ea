"""How much the response helps whoever asked."""

from judges.rubrics.base import Rubric, one_to_five

RUBRIC = Rubric(
    title="Helpfulness",
    description="How much does the response help the person who asked?",
    kind="score",
    system_template=(
        "You judge how helpful responses are to the person who asked. Length is no merit in itself."
    ),
    user_template="""\
Request:
{{ input }}

Response:
{{ response }}

5: does all of what was asked, correctly and usably
4: does it with small gaps
3: does part of it, or leaves work that was asked for
2: touches it, but is of little use
1: of no use: empty, wrong, off the point, or declined without reason
""",
    fields=one_to_five(),
)
