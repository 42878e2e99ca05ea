"""JSON validity: the response is JSON, of the wanted kind."""

from dataclasses import dataclass

from judges.scorers.base import EMPTY, Scorer, Subject, TextOptions, Verdict, option, verdict
from judges.scorers.json_reading import FENCED, WHERE, read_json

KINDS = {"any": object, "object": dict, "list": list}


@dataclass(frozen=True)
class JsonValidOptions(TextOptions):
    where: str = option(FENCED, help="What must be JSON", choices=WHERE)
    kind: str = option(
        "any",
        help="What the value must be",
        choices={"any": "Any value", "object": "An object", "list": "A list"},
    )


class JsonValid(Scorer[JsonValidOptions]):
    key = "json_valid"
    title = "JSON validity"
    description = "The response is JSON by RFC 8259; needs no reference."
    Options = JsonValidOptions
    needs_reference = False

    def score(self, subject: Subject) -> Verdict:
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        found = read_json(subject.response, where=self.options.where)
        answer = subject.response.strip()
        if found.problem:
            return verdict(False, answer=answer, explanation=found.problem)
        if not isinstance(found.value, KINDS[self.options.kind]):
            return verdict(
                False,
                answer=answer,
                explanation=f"{found.rule} is JSON, but not the {self.options.kind} wanted",
            )
        return verdict(True, answer=answer, explanation=f"{found.rule} is JSON")
