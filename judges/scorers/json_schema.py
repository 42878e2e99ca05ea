"""JSON Schema: the response is JSON that a schema allows. Validated in a child process, under limits."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import SchemaError
from jsonschema.validators import Draft202012Validator, validator_for

from judges.options import as_json
from judges.scorers.base import EMPTY, Scorer, Subject, TextOptions, Verdict, option, unscored, verdict
from judges.scorers.child import Child
from judges.scorers.json_reading import FENCED, WHERE, read_json

CPU_LIMIT_S = 0.5
MAX_SCHEMA = 20_000
# This registry holds the drafts of the standard alone; the default one would fetch addresses.
PROGRAM = """
import json, resource, signal, sys
from jsonschema import FormatChecker
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing.exceptions import Unresolvable
from jsonschema_specifications import REGISTRY
signal.signal(signal.SIGINT, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
cache = {}
for line in sys.stdin.buffer:
    schema, formats, value, limit = json.loads(line)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        if schema not in cache:
            cache.clear()
            read = json.loads(schema)
            kind = validator_for(read, default=Draft202012Validator)
            cache[schema] = kind(read, registry=REGISTRY), kind(
                read, registry=REGISTRY, format_checker=FormatChecker()
            )
        error = best_match(cache[schema][formats].iter_errors(value))
        answer = None if error is None else [error.json_path, error.message[:500]]
        said = ["ok", answer]
    except Unresolvable as error:
        said = ["unresolved", str(error)[:200]]
    except RecursionError:
        said = ["deep", ""]
    except Exception as error:
        said = ["failed", (type(error).__name__ + ": " + str(error))[:200]]
    signal.setitimer(signal.ITIMER_PROF, 0)
    sys.stdout.write(json.dumps(said) + "\\n")
    sys.stdout.flush()
"""

_child = Child(PROGRAM, packages=True)


@dataclass(frozen=True)
class JsonSchemaOptions(TextOptions):
    schema: str = option(
        help='A JSON Schema, such as {"type": "object", "required": ["answer"]}; references stay inside it',
        read=as_json,
        long=True,
    )
    where: str = option(FENCED, help="Where the response's JSON is", choices=WHERE)
    formats: bool = option(False, help="“format” is checked too (date, email, uuid …)")


class JsonSchema(Scorer[JsonSchemaOptions]):
    key = "json_schema"
    title = "JSON Schema"
    description = "The response is JSON that the schema allows (draft 2020-12 unless it names another)."
    Options = JsonSchemaOptions
    needs_reference = False
    blocks = True

    @classmethod
    def check(cls, options: JsonSchemaOptions) -> Mapping[str, str]:
        problem = schema_problem(options.schema)
        return {"schema": problem} if problem else {}

    def score(self, subject: Subject) -> Verdict:
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        given = read_json(subject.response, where=self.options.where)
        answer = subject.response.strip()
        if given.problem:
            return verdict(False, answer=answer, explanation=given.problem)
        said, detail = self.validated(given.value)
        if said != "ok":
            return unscored(detail)
        if detail is None:
            return verdict(True, answer=answer, explanation=f"{given.rule} is as the schema wants it")
        path, message = detail
        return verdict(False, answer=answer, explanation=f"at {path}: {message}")

    def validated(self, value: Any) -> tuple[str, Any]:
        request = json.dumps([self.options.schema, self.options.formats, value, CPU_LIMIT_S])
        line = _child.ask(request.encode())
        if not line:
            return "slow", f"the schema took longer than {CPU_LIMIT_S} s on this response"
        said, detail = json.loads(line)
        words = {
            "unresolved": f"a reference of the schema leads nowhere: {detail}",
            "deep": "the schema or the response is nested too deeply",
            "failed": f"the schema could not be applied: {detail}",
        }
        return said, words.get(said, detail)


def schema_problem(text: str) -> str:
    """Why the schema can't be used, or nothing."""
    if not text.strip():
        return "is required"
    if len(text) > MAX_SCHEMA:
        return f"is longer than {MAX_SCHEMA:,} characters"
    try:
        schema = json.loads(text)
    except RecursionError:
        return "is nested too deeply"
    except ValueError as error:
        return f"is not JSON: {error}"
    if not isinstance(schema, dict | bool):
        return "must be an object"
    try:
        foreign = next(_foreign(schema), None)
        if foreign:
            return f"refers to {foreign!r}; a reference must stay inside the schema, such as #/$defs/name"
        if isinstance(schema, dict) and not isinstance(schema.get("$schema", ""), str):
            return "has a $schema that is not text"
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"is not a JSON Schema: at {error.json_path}: {error.message[:200]}"
    except RecursionError:
        return "is nested too deeply"
    return ""


def _foreign(schema: Any) -> Iterator[str]:
    """References that lead out of the schema. Raises RecursionError."""
    if isinstance(schema, dict):
        for name in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = schema.get(name)
            if isinstance(target, str) and not target.startswith("#"):
                yield target
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for each in inside:
        yield from _foreign(each)
