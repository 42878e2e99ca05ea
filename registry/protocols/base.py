"""What a wire format must be able to do. Pure: bytes and JSON in and out, no I/O."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from registry.calls import ChatRequest, EmbedRequest


@dataclass(slots=True)
class Answer:
    """What an endpoint said, before the client adds times."""

    text: str
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an endpoint made of texts: a vector for each, in their order."""

    rows: Sequence[Sequence[float]]
    input_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error's body says: its message and its code, either may be empty."""

    message: str
    code: str


class BadAnswer(Exception):
    """A body that is no answer. `kind` is one of the kinds of CallFailed."""

    body: bytes = b""  # what came instead, where it is known

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind
        self.message = message


def parsed(text: bytes | str) -> Any:
    """The JSON. Raises ValueError, or RecursionError when it is nested too deep."""
    try:
        return orjson.loads(text)
    except ValueError:  # NaN, a byte order mark, UTF-16, half a surrogate pair: endpoints send them
        return json.loads(text)


class StreamReader(ABC):
    """Collects the events of one streamed answer."""

    done: bool = False  # the endpoint said that it has finished

    @abstractmethod
    def feed(self, data: str) -> str:
        """One event's data; returns the text it adds. Raises BadAnswer."""

    @abstractmethod
    def answer(self) -> Answer:
        """What was collected. Raises BadAnswer when the stream ended before the answer did."""


class WireFormat(ABC):
    title: ClassVar[str]
    chat_path: ClassVar[str]
    models_path: ClassVar[str]
    embeddings_path: ClassVar[str]

    @abstractmethod
    def headers(self, api_key: str) -> dict[str, str]:
        """The request headers that carry the key; without a key none."""

    @abstractmethod
    def body(self, request: ChatRequest) -> bytes: ...

    @abstractmethod
    def answer(self, payload: Any) -> Answer:
        """The answer in a decoded body. Raises BadAnswer."""

    @abstractmethod
    def stream_reader(self) -> StreamReader: ...

    @abstractmethod
    def embeddings_body(self, request: EmbedRequest) -> bytes: ...

    @abstractmethod
    def embeddings(self, payload: Any, count: int) -> Vectors:
        """The vectors in a decoded body for so many texts. Raises BadAnswer."""

    @abstractmethod
    def error(self, payload: Any) -> ErrorBody: ...

    @abstractmethod
    def models(self, payload: Any) -> list[str]:
        """The names in a decoded model list. Raises BadAnswer."""
