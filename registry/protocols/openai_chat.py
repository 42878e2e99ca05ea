"""OpenAI-compatible chat completions: OpenAI, vLLM, Ollama, LiteLLM, OpenRouter and the like."""

import json
from math import isfinite
from typing import Any, ClassVar

import orjson

from registry.calls import ChatRequest, EmbedRequest, storable, token_count
from registry.protocols.base import (
    Answer,
    BadAnswer,
    ErrorBody,
    StreamReader,
    Vectors,
    WireFormat,
    parsed,
)

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
RESERVED = frozenset({"model", "messages", "input", "stream", "stream_options", "extra_body"})


class OpenAIChat(WireFormat):
    title: ClassVar[str] = "OpenAI-compatible chat completions"
    chat_path: ClassVar[str] = "/chat/completions"
    models_path: ClassVar[str] = "/models"
    embeddings_path: ClassVar[str] = "/embeddings"

    def headers(self, api_key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {api_key}"} if api_key else {}

    def body(self, request: ChatRequest) -> bytes:
        messages = [
            message
            if isinstance(message.get("content"), str)
            else {**message, "content": _parts(message.get("content"))}
            for message in request.messages
        ]
        body = {"model": request.model, "messages": messages} | _joined(request.params)
        if request.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return _sendable(body)

    def answer(self, payload: Any) -> Answer:
        if not isinstance(payload, dict):
            raise BadAnswer("malformed", "The endpoint answered with JSON that is no chat completion.")
        choices = payload.get("choices")
        if not isinstance(choices, list):
            raise _error_inside(payload)
        if not choices:
            raise BadAnswer("empty", "The endpoint answered without any choice.")
        choice = choices[0]
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise BadAnswer("malformed", "The endpoint answered with a choice that holds no message.")
        answer = Answer(
            text=storable(_text(message.get("content")) or _text(message.get("refusal"))),
            finish_reason=_word(choice.get("finish_reason")),
        )
        _count(answer, payload.get("usage"))
        return answer

    def stream_reader(self) -> StreamReader:
        return ChunkReader()

    def embeddings_body(self, request: EmbedRequest) -> bytes:
        return _sendable({"model": request.model, "input": list(request.texts)} | _joined(request.params))

    def embeddings(self, payload: Any, count: int) -> Vectors:
        rows = payload.get("data") if isinstance(payload, dict) else None
        if not isinstance(rows, list):
            raise _error_inside(payload if isinstance(payload, dict) else {}, "list of embeddings")
        by_index = {
            _index(row, at): row.get("embedding") for at, row in enumerate(rows) if isinstance(row, dict)
        }
        if len(rows) != count or by_index.keys() != set(range(count)):
            raise BadAnswer("malformed", f"{len(rows):,} embeddings came back for {count:,} texts.")
        vectors = [_vector(by_index[at]) for at in range(count)]
        if len({len(vector) for vector in vectors}) > 1:
            raise BadAnswer("malformed", "The embeddings are of different lengths.")
        usage = payload.get("usage")
        return Vectors(vectors, token_count(usage.get("prompt_tokens")) if isinstance(usage, dict) else None)

    def error(self, payload: Any) -> ErrorBody:
        """Shapes in the wild: {"error": {"message", "code"}}, {"error": "…"}, {"message"}, {"detail"}."""
        source = payload if isinstance(payload, dict) else {}
        error = source.get("error", source)
        if isinstance(error, str):
            return ErrorBody(error, "")
        if not isinstance(error, dict):
            return ErrorBody("", "")
        message = error.get("message") or error.get("detail") or ""
        if not isinstance(message, str):
            message = json.dumps(message)
        return ErrorBody(message, str(error.get("code") or error.get("type") or ""))

    def models(self, payload: Any) -> list[str]:
        rows = payload.get("data") if isinstance(payload, dict) else payload
        if not isinstance(rows, list):
            raise BadAnswer("malformed", "The endpoint's list of models is not in the OpenAI format.")
        names = [row.get("id") for row in rows if isinstance(row, dict)]
        return sorted({storable(name) for name in names if isinstance(name, str) and name})


class ChunkReader(StreamReader):
    """Joins the deltas of the first choice; usage comes in a chunk of its own, or with the last one."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.collected = Answer(text="")
        self.saw_choice = False

    def feed(self, data: str) -> str:
        if data.strip() == "[DONE]":
            self.done = True
            return ""
        try:
            chunk = parsed(data)
        except (ValueError, RecursionError):
            raise BadAnswer("malformed", "The stream holds an event that is not JSON.")
        if not isinstance(chunk, dict):
            raise BadAnswer("malformed", "The stream holds an event that is no completion chunk.")
        if chunk.get("error"):
            raise _error_inside(chunk)
        _count(self.collected, chunk.get("usage"))
        choices = chunk.get("choices")
        return self._take(choices[0]) if isinstance(choices, list) and choices else ""

    def _take(self, choice: Any) -> str:
        if not isinstance(choice, dict) or choice.get("index"):
            return ""
        self.saw_choice = True
        self.collected.finish_reason = _word(choice.get("finish_reason")) or self.collected.finish_reason
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return ""
        if refusal := _text(delta.get("refusal")):
            self.refusals.append(refusal)
        text = _text(delta.get("content"))
        if text:
            self.texts.append(text)
        return storable(text or refusal)

    def answer(self) -> Answer:
        if not (self.done or self.collected.finish_reason):
            raise BadAnswer("connection", "The stream broke off before the answer was complete.")
        if not self.saw_choice:
            raise BadAnswer("empty", "The stream ended without any choice.")
        self.collected.text = storable("".join(self.texts) or "".join(self.refusals))
        return self.collected


def _joined(params: dict[str, Any]) -> dict[str, Any]:
    """What of the parameters goes into a body."""
    return {
        key: value
        for source in (params, params.get("extra_body") or {})
        for key, value in source.items()
        if value is not None and key not in RESERVED
    }


def _sendable(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # lone surrogates, which no endpoint accepts, or a number beyond 64 bits
        return encode(body).encode("utf-8", "replace")


def _index(row: dict[str, Any], at: int) -> Any:
    """Of a vector among the others; some servers leave it out and keep the order."""
    index = row.get("index", at)
    return index if type(index) is int else None


def _vector(numbers: Any) -> list[float]:
    if not isinstance(numbers, list) or not numbers:
        raise BadAnswer("malformed", "An embedding is no list of numbers.")
    try:
        vector = [float(each) for each in numbers if type(each) in (int, float)]
    except OverflowError:
        vector = []
    if len(vector) < len(numbers) or not all(map(isfinite, vector)):
        raise BadAnswer("malformed", "An embedding holds something that is no number.")
    return vector


def _parts(content: Any) -> Any:
    """Our content parts in this format; anything else goes out as it is."""
    if not isinstance(content, list):
        return content
    return [
        _image(part) if isinstance(part, dict) and part.get("type") == "image" else part for part in content
    ]


def _image(part: dict[str, Any]) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{part['media_type']};base64,{part['data']}"}}


def _text(content: Any) -> str:
    """A content's text: a string, or the text parts of a list, joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _word(value: Any) -> str:
    return storable(value)[:40] if isinstance(value, str) else ""


def _count(answer: Answer, usage: Any) -> None:
    if isinstance(usage, dict):
        answer.input_tokens = token_count(usage.get("prompt_tokens"))
        answer.output_tokens = token_count(usage.get("completion_tokens"))


def _error_inside(payload: dict[str, Any], wanted: str = "chat completion") -> BadAnswer:
    """A 200 that carries an error object, as gateways send when the upstream fails, or something else."""
    if "error" not in payload:
        return BadAnswer("malformed", f"The endpoint answered with JSON that is no {wanted}.")
    error = OpenAIChat().error(payload)
    limited = error.code in ("429", "rate_limit_error", "rate_limit_exceeded")
    kind = "rate_limited" if limited else "server_error"
    return BadAnswer(
        kind, f"The endpoint reported an error inside its answer: {storable(error.message)[:300]}"
    )
