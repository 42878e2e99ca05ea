"""Guessing a mapping from the names and first values of a file's fields. Pure."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets.mapping.fields import MAX_MODEL_NAME, MAX_WEIGHT, METADATA, FieldUse, Mapping, is_filled

MAX_LEAVES = 300
# Own words for each use, the likeliest first; a field's last part is looked up in lower case.
NAMES = {
    "messages": ("messages", "conversation", "conversations", "chat", "dialog", "dialogue"),
    "prompt": (
        "prompt", "question", "query", "instruction", "input", "problem", "task_description", "text",
        "sentence", "user", "content",
    ),
    "reference": (
        "reference", "references", "ground_truth", "groundtruth", "gold", "target", "targets", "expected",
        "expected_output", "expected_answer", "reference_answer", "correct_answer", "correct", "answer",
        "answers", "answerkey", "label", "solution", "ideal",
    ),
    "id": (
        "id", "item_id", "uid", "uuid", "question_id", "task_id", "example_id", "sample_id", "qid", "idx",
        "index",
    ),
    "section": (
        "section", "category", "subject", "topic", "domain", "subset", "subtask", "task", "level", "type",
    ),
    "choices": ("choices", "options", "answer_choices", "alternatives"),
    "asset": ("image", "images", "picture", "pictures", "asset", "assets", "figure"),
    "tags": ("tags",),
    "context": ("context", "contexts", "retrieved_contexts", "passages"),
    "rubric": ("rubric", "rubrics", "criteria"),
    "weight": ("weight",),
}  # fmt: skip
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")
KNOWN_NAMES = frozenset(name for names in NAMES.values() for name in names)
NOT_MODELS = frozenset(
    ("id", "tokens", "time", "model", "length", "type", "format", "expected", "reference", "target")
)
ANSWERING = ("response", "output", "completion", "prediction", "generation", "solution", "answer", "text")
GROUPS = ("responses", "outputs", "completions", "predictions", "generations")
RESPONSE_NAME = re.compile(
    r"^(?:(?:response|output|completion|prediction|generation)s?[ _:.\-]+(?P<after>.+)"
    r"|(?P<before>.+?)[ _:.\-]+(?:response|output|completion|prediction|generation))$",
    re.IGNORECASE,
)
LONE_RESPONSES = (
    "response",
    "model_response",
    "model_output",
    "prediction",
    "completion",
    "generation",
    "output",
)
CHOICE_NAME = re.compile(r"^(?:(?:choice|option|answer)[ _\-]?)?(?P<letter>[a-h]|[1-8])$", re.IGNORECASE)


@dataclass
class Leaf:
    """A field as the samples show it."""

    path: str
    values: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2].strip().lower().replace(" ", "_").replace("-", "_")

    @property
    def filled(self) -> list[Any]:
        return [value for value in self.values if is_filled(value)]

    @property
    def is_text(self) -> bool:
        return bool(self.filled) and all(isinstance(value, str) for value in self.filled)

    @property
    def is_chat(self) -> bool:
        return bool(self.filled) and all(
            (isinstance(value, list) and all(isinstance(part, dict) and "role" in part for part in value))
            or (isinstance(value, str) and value.lstrip().startswith("[{") and '"role"' in value)
            for value in self.filled
        )

    @property
    def is_image(self) -> bool:
        first = [value[0] if isinstance(value, list) else value for value in self.filled]
        named = self.name in NAMES["asset"]
        return bool(first) and all(
            isinstance(value, str)
            and (value.startswith("data:image/") or (named and value.lower().endswith(IMAGE_ENDINGS)))
            for value in first
        )

    @property
    def mean_length(self) -> float:
        return sum(len(value) for value in self.filled) / max(1, len(self.filled)) if self.is_text else 0.0


def leaves_of(records: Sequence[dict[str, Any]]) -> list[Leaf]:
    """The fields of some records in order of first appearance; objects are opened, lists are not."""
    found: dict[str, Leaf] = {}
    for record in records:
        for path, value in _flatten(record, ""):
            if path not in found and len(found) >= MAX_LEAVES:
                continue
            found.setdefault(path, Leaf(path)).values.append(value)
    return [leaf for leaf in found.values() if not any(path.startswith(f"{leaf.path}.") for path in found)]


def _flatten(record: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in record.items():
        opened = isinstance(value, dict) and value and key != "" and f"{prefix}{key}" not in METADATA
        flat += _flatten(value, f"{prefix}{key}.") if opened else [(f"{prefix}{key}", value)]
    return flat


def guess_mapping(records: Sequence[dict[str, Any]], *, with_responses: bool = True) -> Mapping:
    """What each field is most likely for. Without responses, recorded ones are left out."""
    leaves = leaves_of(records)
    uses: dict[str, FieldUse] = {}

    def take(leaf: Leaf, use: str, model: str = "") -> None:
        uses.setdefault(leaf.path, FieldUse(leaf.path, use, model))

    for leaf in leaves:
        if leaf.is_image:
            take(leaf, "asset")
    for leaf, model in _grouped_responses(leaves):
        take(leaf, "response", model[:MAX_MODEL_NAME])
    _guess_question(leaves, uses, take)
    _guess_rest(leaves, uses, take)
    rest = [uses.get(leaf.path) or FieldUse(leaf.path, "metadata") for leaf in leaves]
    mapping = Mapping.of(rest)
    return mapping if with_responses else mapping.without("response")


def _free(leaves: list[Leaf], uses: dict[str, FieldUse]) -> list[Leaf]:
    return [leaf for leaf in leaves if leaf.path not in uses and leaf.filled]


def _named(leaves: list[Leaf], use: str) -> list[Leaf]:
    """Leaves whose name fits a use: the likeliest name first, shallow before deep."""
    order = {name: rank for rank, name in enumerate(NAMES[use])}
    fitting = [leaf for leaf in leaves if leaf.name in order]
    return sorted(fitting, key=lambda leaf: (leaf.path.count("."), order[leaf.name]))


def _guess_question(leaves: list[Leaf], uses: dict[str, FieldUse], take: Any) -> None:
    chats = [leaf for leaf in _free(leaves, uses) if leaf.is_chat]
    texts = [leaf for leaf in _named(_free(leaves, uses), "prompt") if leaf.is_text]
    if chats:
        take((_named(chats, "messages") or chats)[0], "messages")
    elif texts:
        take(texts[0], "prompt")


def _guess_rest(leaves: list[Leaf], uses: dict[str, FieldUse], take: Any) -> None:
    options = [
        leaf
        for leaf in _free(leaves, uses)
        if leaf.name == "choices.text" or leaf.path.endswith("choices.text")
    ]
    for leaf in (options or _named(_free(leaves, uses), "choices"))[:1]:
        take(leaf, "choices")
    if not any(one.use == "choices" for one in uses.values()):
        for leaf in _choice_columns(_free(leaves, uses)):
            take(leaf, "choices")
    references = [leaf for leaf in _named(_free(leaves, uses), "reference") if _may_be_answer(leaf)]
    for leaf in references[:1]:
        take(leaf, "reference")
    for leaf in _named(_free(leaves, uses), "id"):
        if _mostly_distinct(leaf) and not _all_of(leaf, list):
            take(leaf, "id")
            break
    for leaf in _named(_free(leaves, uses), "section"):
        if all(isinstance(value, str | int) and len(str(value)) <= 120 for value in leaf.filled):
            take(leaf, "section")
            break
    for use in ("tags", "context", "rubric", "weight"):
        for leaf in _named(_free(leaves, uses), use)[:1]:
            if "." not in leaf.path and (use != "weight" or all(map(_is_weight, leaf.filled))):
                take(leaf, use)
    _guess_lone(leaves, uses, take, has_reference=bool(references))


def _guess_lone(leaves: list[Leaf], uses: dict[str, FieldUse], take: Any, *, has_reference: bool) -> None:
    """A single column of responses, or references called "output"; a prompt by its length."""
    for leaf in _free(leaves, uses):
        if leaf.name in LONE_RESPONSES and leaf.is_text:
            lone_reference = leaf.name in ("output", "completion") and not has_reference
            take(leaf, "reference" if lone_reference else "response", "" if lone_reference else leaf.name)
            break
    if not any(one.use in ("prompt", "messages") for one in uses.values()):
        texts = sorted(
            (leaf for leaf in _free(leaves, uses) if leaf.is_text), key=lambda leaf: -leaf.mean_length
        )
        for leaf in texts[:1]:
            take(leaf, "prompt")


def _is_weight(value: Any) -> bool:
    try:
        return not isinstance(value, bool | list | dict) and 0 < float(value) <= MAX_WEIGHT
    except ValueError:
        return False


def _mostly_distinct(leaf: Leaf) -> bool:
    """Not all: an id that is there twice is a problem to show, not a reason to import none."""
    return 2 * len({str(value) for value in leaf.filled}) > len(leaf.filled)


def _may_be_answer(leaf: Leaf) -> bool:
    """Not an object, and not the labels that stand beside the texts of choices."""
    return not _all_of(leaf, dict) and leaf.path.split(".")[0].lower() not in NAMES["choices"]


def _all_of(leaf: Leaf, kind: type) -> bool:
    return all(isinstance(value, kind) for value in leaf.filled)


def _choice_columns(leaves: list[Leaf]) -> list[Leaf]:
    """Columns such as A, B, C or option_1, option_2: at least two, in order."""
    found = [(match["letter"].lower(), leaf) for leaf in leaves if (match := CHOICE_NAME.match(leaf.name))]
    letters = [letter for letter, _ in found]
    in_order = letters in (list("abcdefgh")[: len(letters)], list("12345678")[: len(letters)])
    return [leaf for _, leaf in found] if len(found) > 1 and in_order else []


def _named_response(leaf: Leaf) -> str:
    """The model in a name such as `response_gpt` or `gpt response`, else nothing."""
    match = RESPONSE_NAME.match(leaf.path)
    if not match or leaf.name in (*NAMES["reference"], *LONE_RESPONSES) or not leaf.is_text:
        return ""
    model = match["after"] or match["before"]
    return "" if model.lower() in NOT_MODELS else model


def _grouped_responses(leaves: list[Leaf]) -> list[tuple[Leaf, str]]:
    """Responses of several models: `NAME.solution`, `responses.NAME`, `response_NAME`, `NAME_response`."""
    alike: dict[str, list[Leaf]] = defaultdict(list)
    found: dict[str, Leaf] = {}
    for leaf in leaves:
        head, _, last = leaf.path.partition(".")
        if last and head.lower() in GROUPS:
            found.setdefault(last, leaf)
        elif last.lower() in ANSWERING and leaf.is_text and head.lower() not in KNOWN_NAMES:
            alike[last].append(leaf)
        elif not last and (model := _named_response(leaf)):
            found.setdefault(model, leaf)
    for group in alike.values():
        if len(group) > 1:
            for leaf in group:
                found.setdefault(leaf.path.partition(".")[0], leaf)
    return [(leaf, model) for model, leaf in found.items()]
