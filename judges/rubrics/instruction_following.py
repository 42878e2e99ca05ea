"""Whether the response keeps to every instruction."""

from judges.rubrics.base import Rubric, label

RUBRIC = Rubric(
    title="Instruction following",
    description="Does the response keep to every instruction of the request?",
    kind="classify",
    system_template=(
        "You check whether responses keep to instructions: content, format, length, language, what to "
        "leave out."
    ),
    user_template="""\
{% if messages %}
Conversation:
{% for message in messages %}
{{ message.role }}:
{{ message.content }}
{% endfor %}
{% else %}
Request:
{{ input }}
{% endif %}

Response:
{{ response }}

List each instruction of the request that can be checked, and whether the response keeps to it. An empty \
response keeps to none.
""",
    fields={
        "labels": [
            label("All followed", True, "Every instruction is kept to"),
            label("Partly followed", False, "At least one is kept to and at least one is not"),
            label("Not followed", False, "None is kept to"),
        ]
    },
)
