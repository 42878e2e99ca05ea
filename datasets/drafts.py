"""From a file's record to an item, checked: pure, nothing is stored here."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from datasets.images import MAX_IMAGE_BYTES, BadImage, CheckedImage, check_image, from_data_url
from datasets.importers.jsonl import Number, Refused, parse_json
from datasets.mapping import MAX_WEIGHT, METADATA, MISSING, FieldUse, Mapping, is_filled, value_at
from datasets.models import Item
from datasets.problems import RowProblem

MAX_TEXT = 1_000_000
MAX_ID = 200
MAX_SECTION = 120
MAX_LIST = 100
MAX_MESSAGES = 500
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIFFERS = (
    "differs from the item beside it; either do not import this field, or use it as chat whose last answer "
    "is the reference and do not import the item's prompt, messages and references"
)
ROLES = ("system", "developer", "user", "assistant")


class BadValue(ValueError):
    """A value that cannot be used as it was mapped; the message says why."""


Files = Callable[[str, int], bytes | None]  # a file's bytes by its path, if it is no larger than so many


def no_files(path: str, limit: int) -> bytes | None:
    """Nothing lies beside the rows."""
    return None


@dataclass(slots=True)
class ItemDraft:
    """An item before it is stored; images are still bytes."""

    external_id: str = ""
    section: str = ""
    prompt: str = ""
    messages: list[dict[str, str]] | None = None
    choices: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    responses: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    images: list[CheckedImage] = field(default_factory=list)
    tags: str = ""
    labels: list[str] = field(default_factory=list)  # what the file calls the choices, if not A, B, C…
    copy: list[dict[str, str]] | None = None  # a chat that must say the same as the item
    files: Files = field(default=no_files, repr=False, compare=False)
    _digest: str = field(default="", init=False, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """Of the finished draft: computed once."""
        if not self._digest:
            self._digest = digest_of(self, [image.sha256 for image in self.images])
        return self._digest

    @property
    def weight(self) -> int:
        """Roughly how many bytes it holds, for the size of batches."""
        texts = len(self.prompt) + sum(map(len, self.responses.values())) + sum(map(len, self.references))
        chat = sum(len(message["content"]) for message in self.messages or ())
        return 500 + texts + chat + sum(len(image.data) for image in self.images)


def digest_of(content: "ItemDraft | Item", images: list[str]) -> str:
    """SHA-256 of one item: the same for the same content, whatever file it came from. `images` by SHA-256."""
    held = {
        "id": content.external_id, "section": content.section, "prompt": content.prompt,
        "messages": content.messages, "choices": content.choices, "references": content.references,
        "responses": content.responses, "metadata": content.metadata, "assets": images,
    }  # fmt: skip
    optional = {"tags": sorted(filter(None, content.tags.split("|")))}
    held |= {name: value for name, value in optional.items() if value}
    return hashlib.sha256(_plain_json(held)).hexdigest()


def chat_of(content: "ItemDraft | Item") -> list[dict[str, str]]:
    """What was asked, and the first reference, if there is one, as the assistant's answer."""
    asked = content.messages or [{"role": "user", "content": content.prompt}]
    answer = [{"role": "assistant", "content": text} for text in content.references[:1]]
    return [*map(dict, asked), *answer]


ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _plain_json(value: Any) -> bytes:
    return ENCODER.encode(value).encode()


class ContentHash:
    """SHA-256 over the digests of items, in order."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, digest: str) -> None:
        self._sha.update(bytes.fromhex(digest))

    @property
    def hex(self) -> str:
        return self._sha.hexdigest()


def draft_of(
    line: int, record: dict[str, Any], mapping: Mapping, files: Files = no_files
) -> tuple[ItemDraft, list[RowProblem]]:
    """The item that a record becomes, and what is wrong with it; `files` gives the images named by path."""
    draft, problems = ItemDraft(files=files), []
    readers = READERS if len(mapping.used_as("choices")) < 2 else READERS | {"choices": _one_choice}
    for one in mapping.in_reading_order:
        reader = readers.get(one.use)
        value = value_at(record, one.path) if reader else MISSING
        if reader is None or value is MISSING or value is None:
            continue
        try:
            reader(draft, one, value)
        except (BadValue, BadImage, Refused) as error:
            problems.append(RowProblem(line, one.path, str(error)))
    if draft.labels:
        draft.references = [_letter_of(reference, draft.labels) for reference in draft.references]
    faulty = {problem.field for problem in problems}
    problems += _incomplete(line, record, draft, mapping, faulty)
    if not problems:
        problems += _copied(line, draft, mapping)
    if mapping.pair:
        problems += _paired(line, draft, mapping.pair, faulty)
    return draft, problems


def _letter_of(reference: str, labels: list[str]) -> str:
    """The letter of the choice that the file calls by this label; else the reference as it is."""
    return LETTERS[labels.index(reference)] if reference in labels[: len(LETTERS)] else reference


def _incomplete(
    line: int, record: dict[str, Any], draft: ItemDraft, mapping: Mapping, faulty: set[str]
) -> Iterator[RowProblem]:
    source = mapping.question
    if not draft.prompt.strip() and source and source.path not in faulty:
        noun = "the prompt" if source.use == "prompt" else "the list of messages"
        missing = value_at(record, source.path) is MISSING
        yield RowProblem(line, source.path, "the line has no such field" if missing else f"{noun} is empty")
    columns = mapping.used_as("choices")
    if len(columns) > 1:
        filled = [is_filled(value_at(record, one.path)) for one in columns]
        if filled != sorted(filled, reverse=True):
            yield RowProblem(
                line, columns[filled.index(False)].path, "this choice is empty, but a later one is not"
            )
    if len(draft.choices) == 1 and not faulty.intersection(one.path for one in columns):
        yield RowProblem(line, columns[0].path, "only one choice; give a list, JSON text or A|B|C")


def _copied(line: int, draft: ItemDraft, mapping: Mapping) -> Iterator[RowProblem]:
    """A chat that was edited while the item beside it was not: whoever imports it says which one counts."""
    for one in mapping.used_as("copy"):
        if draft.copy != chat_of(draft):
            yield RowProblem(line, one.path, DIFFERS)


def _paired(
    line: int, draft: ItemDraft, pair: tuple[FieldUse, ...], faulty: set[str]
) -> Iterator[RowProblem]:
    """Names the item's two responses as A and B in its metadata."""
    for letter, one in zip("AB", pair, strict=True):
        if one.model.strip() not in draft.responses and one.path not in faulty:
            yield RowProblem(line, one.path, f"the pair lacks its response {letter}")
    draft.metadata["pair"] = [one.model.strip() for one in pair]


def text_of(value: Any, *, limit: int = MAX_TEXT) -> str:
    """Text as it is, numbers exactly as written. Raises BadValue."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Number):
        text = value.text
    elif isinstance(value, int | float):
        text = str(value)
    else:
        raise BadValue(f"{_kind(value)} where text belongs")
    if len(text) > limit:
        raise BadValue(f"longer than {limit:,} characters")
    return text


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "no text"


def _prompt(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    if isinstance(value, list):
        raise BadValue("a list where text belongs; use it as chat messages")
    draft.prompt = text_of(value)


def _messages(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    messages, images = read_messages(value, draft.files)
    draft.messages, draft.images = messages, draft.images + images
    asked = [message["content"] for message in messages if message["role"] == "user"]
    if not asked:
        raise BadValue("no message has the role user")
    draft.prompt = asked[-1]


def _chat(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    """A conversation whose last answer is what is wanted; a single question is a prompt."""
    _messages(draft, one, value)
    if draft.messages and draft.messages[-1]["role"] == "assistant":
        draft.references.append(draft.messages.pop()["content"])
    if draft.messages and [message["role"] for message in draft.messages] == ["user"]:
        draft.messages = None


def _copy(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    """The conversation that the item was written as; it holds the item's images."""
    draft.copy, images = read_messages(value, draft.files, limit=MAX_MESSAGES + 1)
    draft.images += images


def read_messages(
    value: Any, files: Files = no_files, *, limit: int = MAX_MESSAGES
) -> tuple[list[dict[str, str]], list[CheckedImage]]:
    """Chat messages with text content; images in their parts come apart, in order."""
    value = _from_json_text(value)
    if not isinstance(value, list):
        raise BadValue("chat messages are a list of {role, content}")
    if len(value) > limit:
        raise BadValue(f"more than {limit} messages")
    messages: list[dict[str, str]] = []
    images: list[CheckedImage] = []
    for number, message in enumerate(value, start=1):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise BadValue(f"message {number} needs a role: {', '.join(ROLES)}")
        content, seen = _content(number, message.get("content"), files)
        messages.append({"role": message["role"], "content": content})
        images += seen
    return messages, images


def _content(number: int, content: Any, files: Files) -> tuple[str, list[CheckedImage]]:
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts, images = [], []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(text_of(part["text"]))
        elif kind == "image_url":
            url = part.get("image_url")
            images.append(_image(str(url.get("url") if isinstance(url, dict) else url), files))
        else:
            raise BadValue(
                f"the content of message {number} is neither text nor a list of text and image parts"
            )
    return "\n".join(texts), images


def _from_json_text(value: Any) -> Any:
    """JSON lists may stand in a CSV cell."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except json.JSONDecodeError as error:
        raise BadValue(f"not valid JSON: {error.msg.lower()} at column {error.pos + 1:,}") from error


def _choices(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        draft.labels = [text_of(label) for label in value.get("label") or ()]
        value = value["text"]
    listed = list(value.values()) if isinstance(value, dict) else value
    if isinstance(listed, str):
        listed = _split_choices(listed)
    if not isinstance(listed, list):
        listed = [listed]
    if len(draft.choices) + len(listed) > MAX_LIST:
        raise BadValue(f"more than {MAX_LIST} choices")
    draft.choices += [text_of(choice) for choice in listed]


def _one_choice(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    """One of several columns, each a choice as it stands."""
    if is_filled(value):
        draft.choices.append(text_of(value))


def _split_choices(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            parsed = parse_json(text)
        except json.JSONDecodeError:
            parsed = None
        if isinstance(parsed, list):
            return parsed
    if "|" in text:
        return [part.strip() for part in text.split("|")]
    return [text] if text.strip() else []


def _reference(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    listed = value if isinstance(value, list) else [value] if is_filled(value) else []
    if len(draft.references) + len(listed) > MAX_LIST:
        raise BadValue(f"more than {MAX_LIST} references")
    draft.references += [text_of(reference) for reference in listed]


def _choice_number(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    """Kept as letters. Numbers count from 0; a list of 1 and 0, as long as the choices, flags each."""
    listed = value if isinstance(value, list) else [value]
    if isinstance(value, list) and len(value) == len(draft.choices) and set(map(str, value)) <= {"0", "1"}:
        listed = [place for place, flag in enumerate(value) if str(flag) == "1"]
    for number in listed:
        text = text_of(number).strip()
        if not (
            text.isascii() and text.isdigit() and len(text) < 5 and int(text) < min(len(draft.choices), 26)
        ):
            raise BadValue(f"{text[:20]!r} is no number of one of the {len(draft.choices)} choices, from 0")
        draft.references.append(LETTERS[int(text)])


def _response(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    draft.responses[one.model.strip()] = text_of(value)


def _section(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    draft.section = text_of(value, limit=MAX_SECTION).strip()


def _id(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    draft.external_id = text_of(value, limit=MAX_ID).strip()


def _image(text: str, files: Files) -> CheckedImage:
    """An image by data URL, or by a path in the zip that the rows came from. Raises BadImage."""
    if text.startswith("data:"):
        return from_data_url(text)
    if "://" in text[:20]:
        raise BadImage("a web address; images are not fetched, put them in the zip")
    try:
        data = files(text.removeprefix("./"), MAX_IMAGE_BYTES)
    except ValueError as error:
        raise BadImage(f"{text[:80]!r} is {error}") from error
    if data is None:
        raise BadImage(f"no image {text[:80]!r}; give a data URL, or a zip that holds it under this path")
    return check_image(data)


def _asset(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    urls = _from_json_text(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    for url in urls if isinstance(urls, list) else [urls]:
        if is_filled(url):
            draft.images.append(_image(text_of(url, limit=1 << 25), draft.files))
    if len(draft.images) > MAX_LIST:
        raise BadValue(f"more than {MAX_LIST} images")


def _tags(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    listed = value if isinstance(value, list) else text_of(value).replace(",", "|").split("|")
    tags = dict.fromkeys(
        text.strip().lower() for part in listed for text in text_of(part, limit=60).split("|")
    )
    tags.pop("", None)
    draft.tags = f"|{'|'.join(tags)}|" if tags else ""


def _context(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    """Retrieved passages, as a list; templates find them as metadata.context."""
    listed = value if isinstance(value, list) else [value]
    passages = draft.metadata.setdefault("context", [])
    passages += [text_of(part.get("text", "") if isinstance(part, dict) else part) for part in listed]
    if len(passages) > MAX_LIST:
        raise BadValue(f"more than {MAX_LIST} passages")


def _rubric(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    if is_filled(value):
        draft.metadata["rubric"] = value if isinstance(value, list | dict) else rubric_of(text_of(value))


def rubric_of(text: str) -> Any:
    """A list or an object where the text is one in JSON, else the text."""
    if text.lstrip().startswith(("[", "{")):
        try:
            found = parse_json(text)
        except (json.JSONDecodeError, Refused):
            return text
        return found if isinstance(found, list | dict) else text
    return text


def _weight(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    if is_filled(value):
        draft.metadata["weight"] = weight_of(value)


def weight_of(value: Any) -> float:
    """How much an item counts; a number stays as it is written. Raises BadValue."""
    try:
        weight = float(text_of(value))
    except ValueError as error:
        raise BadValue(f"the weight {str(value)[:20]!r} is no number") from error
    if not 0 < weight <= MAX_WEIGHT:
        raise BadValue(f"a weight lies above 0 and at most at {MAX_WEIGHT:,}")
    if isinstance(value, int | float):
        return value
    return int(weight) if weight.is_integer() else weight


def _metadata(draft: ItemDraft, one: FieldUse, value: Any) -> None:
    """Nested under the field's path; an object called `metadata` is the metadata itself."""
    if one.path in METADATA:
        value = _metadata_text(value)
        if isinstance(value, dict):
            draft.metadata.update(value)
            return
    place = draft.metadata
    *parents, last = one.path.split(".")
    for name in parents:
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            draft.metadata[one.path] = value
            return
        place = inner
    place[last] = value


def _metadata_text(value: Any) -> Any:
    """An object may stand as JSON text where a format has no objects."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return parse_json(value)
        except (json.JSONDecodeError, Refused):
            return value
    return value


READERS: dict[str, Callable[[ItemDraft, FieldUse, Any], None]] = {
    "prompt": _prompt, "messages": _messages, "choices": _choices, "reference": _reference,
    "response": _response, "response_a": _response, "response_b": _response, "section": _section, "id": _id,
    "asset": _asset, "metadata": _metadata, "copy": _copy,
    "chat": _chat, "choice_number": _choice_number, "tags": _tags, "context": _context, "rubric": _rubric,
    "weight": _weight,
}  # fmt: skip
