"""Formats of other evaluation tools, recognised by what the first records hold. Pure.

Each recogniser offers a mapping that the user can change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets.mapping.fields import MAX_MODEL_NAME, FieldUse, Mapping, value_at
from datasets.mapping.guessing import guess_mapping, leaves_of

Records = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A known format and the mapping that fits it."""

    title: str
    mapping: Mapping


def recognise(records: Records, *, with_responses: bool = True) -> Recognised | None:
    """The first known format that the records have."""
    if not records:
        return None
    for title, fits, uses in FORMATS:
        if fits(records):
            mapping = _filled(records, uses(records, with_responses))
            return Recognised(title, mapping if with_responses else mapping.without("response"))
    return None


def mapping_of(records: Records, *, with_responses: bool = True) -> Mapping:
    """That of a known format, else a guess from names and values."""
    known = recognise(records, with_responses=with_responses)
    return known.mapping if known else guess_mapping(records, with_responses=with_responses)


def _filled(records: Records, uses: list[FieldUse]) -> Mapping:
    """The uses, and every other field as metadata unless a part or the whole of it is used."""
    paths = [leaf.path for leaf in leaves_of(records)]
    used = [one.path for one in uses]
    rest = [path for path in paths if not any(_overlap(path, other) for other in used)]
    by_path = {one.path: one for one in uses}
    listed = [
        by_path.get(path, FieldUse(path, "metadata")) for path in paths if path in by_path or path in rest
    ]
    inner = [one for one in uses if one.path not in paths]
    return Mapping.of([*listed, *inner])


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _all(records: Records, *names: str) -> bool:
    return all(name in record for record in records for name in names)


def _some(records: Records, name: str) -> bool:
    return any(record.get(name) is not None for record in records)


def _asked(records: Records, name: str) -> FieldUse:
    """A field that holds text, or messages."""
    chat = any(isinstance(record.get(name), list) for record in records)
    return FieldUse(name, "messages" if chat else "prompt")


def _if_there(records: Records, **uses: str) -> list[FieldUse]:
    return [FieldUse(name, use) for name, use in uses.items() if _some(records, name)]


# What this portal writes: lossless


OURS = {
    "id": "id", "section": "section", "messages": "messages", "prompt": "prompt", "choices": "choices",
    "references": "reference", "tags": "tags", "metadata": "metadata", "images": "asset",
}  # fmt: skip


def _is_ours(records: Records) -> bool:
    known = {*OURS, "responses"}
    told = any("references" in record or "prompt" in record for record in records)
    return told and all(
        set(record) <= known and ("prompt" in record or "messages" in record) for record in records
    )


def _ours(records: Records, with_responses: bool) -> list[FieldUse]:
    names = dict.fromkeys(name for record in records for name in record if name != "responses")
    models = dict.fromkeys(name for record in records for name in record.get("responses") or {})
    uses = [FieldUse(name, OURS[name]) for name in names]
    return [*uses, *(FieldUse(f"responses.{name}", "response", name) for name in models)]


# Our chats to fine-tune on: {"messages": […], "item": …}, the item as above but for its images


def _is_our_chats(records: Records) -> bool:
    beside = [record.get("item") for record in records]
    items = [item for item in beside if isinstance(item, dict)]
    return _all(records, "messages") and len(items) == len(records) and _is_ours(items)


def _our_chats(records: Records, with_responses: bool) -> list[FieldUse]:
    inner = _ours([record["item"] for record in records], with_responses)
    return [FieldUse("messages", "copy"), *(replace(one, path=f"item.{one.path}") for one in inner)]


# Pairs: {"prompt", "response_a", "response_b"} and the like, of models named or not

SIDES = (
    ("response_a", "response_b"), ("response_1", "response_2"), ("answer_a", "answer_b"),
    ("output_a", "output_b"), ("completion_a", "completion_b"), ("chosen", "rejected"),
)  # fmt: skip


def _sides(records: Records) -> tuple[str, str] | None:
    for names in SIDES:
        if all(isinstance(record.get(name), str) for record in records for name in names):
            return names
    return None


def _is_pairs(records: Records) -> bool:
    return _sides(records) is not None and guess_mapping(records).question is not None


def _pairs(records: Records, with_responses: bool) -> list[FieldUse]:
    names = _sides(records) or SIDES[0]
    models = [_only_value(records, f"model_{name[-1]}") or name for name in names]
    uses = ("response_a", "response_b")
    sides = {name: FieldUse(name, use, model) for name, use, model in zip(names, uses, models, strict=True)}
    return [sides.get(one.path, one) for one in guess_mapping(records).without("response").fields]


def _only_value(records: Records, name: str) -> str:
    """The value that all records have there, such as the model's name; else nothing."""
    values = {str(record.get(name) or "") for record in records}
    return values.pop()[:MAX_MODEL_NAME] if len(values) == 1 else ""


# OpenAI evals: {"input": text or messages, "ideal": text or list}


def _is_openai_evals(records: Records) -> bool:
    return _all(records, "input", "ideal")


def _openai_evals(records: Records, with_responses: bool) -> list[FieldUse]:
    return [_asked(records, "input"), FieldUse("ideal", "reference"), *_if_there(records, id="id")]


# OpenAI chat: {"messages": […]}; the last answer of each is what is wanted


def _is_chat(records: Records) -> bool:
    return _all(records, "messages") and all(_ends_in_answer(record["messages"]) for record in records)


def _ends_in_answer(messages: Any) -> bool:
    last = messages[-1] if isinstance(messages, list) and len(messages) > 1 else None
    return isinstance(last, dict) and last.get("role") == "assistant"


def _chat(records: Records, with_responses: bool) -> list[FieldUse]:
    if any(_some(records, name) for name in ("references", "reference", "answer", "ideal", "target")):
        return list(guess_mapping(records).fields)
    return [
        FieldUse("messages", "chat"),
        *_if_there(records, id="id", section="section", metadata="metadata"),
    ]


# Inspect: {"input": text or messages, "target": text or list, "choices", "id", "metadata"}


def _is_inspect(records: Records) -> bool:
    return _all(records, "input", "target") and "instances" not in records[0] and "resps" not in records[0]


def _inspect(records: Records, with_responses: bool) -> list[FieldUse]:
    rest = _if_there(records, choices="choices", id="id", metadata="metadata", section="section")
    return [_asked(records, "input"), FieldUse("target", "reference"), *rest]


# EvalScope: {"query", "response"} or {"question", "A", "B", …, "answer"}


def _is_evalscope_qa(records: Records) -> bool:
    return _all(records, "query", "response")


def _evalscope_qa(records: Records, with_responses: bool) -> list[FieldUse]:
    """Its `response` is the reference, unless the person says that the file holds responses."""
    answer = (
        FieldUse("response", "response", "response") if with_responses else FieldUse("response", "reference")
    )
    return [FieldUse("query", "prompt"), answer, *_if_there(records, id="id", system="metadata")]


def _letters(records: Records) -> list[str]:
    found = [letter for letter in "ABCDEFGHIJ" if any(letter in record for record in records)]
    return found if found == list("ABCDEFGHIJ"[: len(found)]) else []


def _is_evalscope_mcq(records: Records) -> bool:
    return _all(records, "question", "answer") and len(_letters(records)) > 1


def _evalscope_mcq(records: Records, with_responses: bool) -> list[FieldUse]:
    choices = [FieldUse(letter, "choices") for letter in _letters(records)]
    rest = _if_there(records, id="id", subject="section", category="section")
    return [FieldUse("question", "prompt"), *choices, FieldUse("answer", "reference"), *rest[:2]]


# lm-evaluation-harness: samples_*.jsonl with doc, arguments, resps and target


def _is_harness(records: Records) -> bool:
    return _all(records, "doc", "target", "resps", "arguments")


def _harness(records: Records, with_responses: bool) -> list[FieldUse]:
    first = records[0]
    paths = ("arguments.gen_args_0.arg_0", "arguments.0.0", "doc.question")
    prompt = next((path for path in paths if isinstance(value_at(first, path), str)), "doc")
    choices = _harness_choices(records)
    if choices:  # the harness compares likelihoods: what was asked is the question, not one continuation
        prompt = next((path for path in HARNESS_ASKED if isinstance(value_at(first, path), str)), prompt)
    uses = [FieldUse(prompt, "prompt"), FieldUse("target", "choice_number" if choices else "reference")]
    if choices:
        uses.append(FieldUse(choices, "choices"))
    if "doc_id" in first:
        uses.append(FieldUse("doc_id", "id"))
    if isinstance(value_at(first, "filtered_resps.0"), str) or isinstance(value_at(first, "resps.0.0"), str):
        uses.append(FieldUse("resps.0.0", "response", "samples"))
    return [
        *uses,
        *(FieldUse(path, "skip") for path in ("doc_hash", "prompt_hash", "target_hash") if path in first),
    ]


HARNESS_ASKED = ("doc.question", "doc.query", "doc.ctx")


def _harness_choices(records: Records) -> str:
    """Where the choices are, if every target is the number of one; else nothing."""
    for path in ("doc.choices.text", "doc.choices", "doc.endings"):
        found = [(value_at(record, path), str(record["target"])) for record in records]
        if all(
            isinstance(choices, list) and target.isascii() and target.isdigit() and target not in choices
            and len(target) < 3 and int(target) < len(choices)
            for choices, target in found
        ):  # fmt: skip
            return path
    return ""


# A multiple-choice set as hubs keep it: {"question", "choices": […], "answer": number of the right one}


def _is_numbered(records: Records) -> bool:
    return _all(records, "question", "choices", "answer") and all(
        isinstance(record["choices"], list)
        and isinstance(record["answer"], int)
        and not isinstance(record["answer"], bool)
        and 0 <= record["answer"] < len(record["choices"])
        and record["answer"] not in _whole_numbers(record["choices"])
        for record in records
    )


def _whole_numbers(choices: list[Any]) -> list[int]:
    """Choices that are numbers themselves: then an answer may be meant as it stands."""
    return [int(text) for choice in choices if (text := str(choice).strip()).isdigit() and len(text) < 9]


def _numbered(records: Records, with_responses: bool) -> list[FieldUse]:
    rest = _if_there(records, id="id", subject="section", category="section")
    asked = [FieldUse("question", "prompt"), FieldUse("choices", "choices")]
    return [*asked, FieldUse("answer", "choice_number"), *rest[:2]]


Fits = Callable[[Records], bool]
Uses = Callable[[Records, bool], list[FieldUse]]
FORMATS: tuple[tuple[str, Fits, Uses], ...] = (
    ("Evalportal items", _is_ours, _ours),
    ("Evalportal chats with items", _is_our_chats, _our_chats),
    ("pairs of responses", _is_pairs, _pairs),
    ("lm-evaluation-harness samples", _is_harness, _harness),
    ("OpenAI evals", _is_openai_evals, _openai_evals),
    ("OpenAI chat", _is_chat, _chat),
    ("Inspect samples", _is_inspect, _inspect),
    ("EvalScope or MMLU choices", _is_evalscope_mcq, _evalscope_mcq),
    ("EvalScope questions and answers", _is_evalscope_qa, _evalscope_qa),
    ("choices with the number of the right one", _is_numbered, _numbered),
)
