"""A simulated endpoint with models of different skill and speed; it knows the demo dataset's answers.

Whether a model is right is a function of its name and the question, so every run of it agrees.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from evalportal.demo import wire
from evalportal.demo.dataset import Question, questions
from evalportal.demo.judging import asked_to_judge, verdict

BUSY_RATE, BROKEN_RATE = 0.01, 0.01  # of first calls; a repeat is answered, and judging never fails


@dataclass(frozen=True, slots=True)
class Persona:
    """One simulated model. `skill` is its share of right answers; prices are per million tokens."""

    name: str
    alias: str
    skill: float
    weak_at: str
    first_word_s: float
    words_per_s: float
    input_price: str
    output_price: str
    sees: bool = False


PERSONAS = (
    Persona("demo-small", "Demo Small", 0.62, "Logic", 0.08, 90, "0.05", "0.20"),
    Persona("demo-medium", "Demo Medium", 0.76, "Calendar and clock", 0.50, 16, "0.40", "1.60"),
    Persona("demo-large", "Demo Large", 0.91, "Pictures", 1.00, 10, "2.50", "10.00"),
    Persona("demo-vision", "Demo Vision", 0.84, "Units and measures", 0.70, 12, "1.00", "4.00", sees=True),
)
EMBEDDER = "demo-embed"
BY_NAME = {persona.name: persona for persona in PERSONAS}


class DemoEndpoint:
    """The handler: chat completions, streamed word by word or whole, embeddings, and the list of models."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: wire.Request, connection: wire.Connection) -> None:
        if request.path.endswith("/models"):
            connection.answer(200, wire.model_list([*BY_NAME, EMBEDDER]))
        elif request.path.endswith("/chat/completions"):
            self.chat(request, connection)
        elif request.path.endswith("/embeddings"):
            self.embed(request, connection)
        else:
            connection.refuse(404, "no such path")

    def chat(self, request: wire.Request, connection: wire.Connection) -> None:
        try:
            body = json.loads(request.body)
            persona, prompt = BY_NAME.get(body["model"]), wire.text_of(body["messages"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return connection.refuse(400, "the body must be a JSON object with model and messages")
        if persona is None:
            return connection.refuse(404, f"no model named {body['model']!r}")
        digest = digest_of(persona.name, prompt)
        self.seen[digest] += 1
        first = self.seen[digest] == 1 and not asked_to_judge(prompt)
        luck = share(digest[8:12]) if first else 1.0
        if luck < BUSY_RATE:
            return connection.refuse(429, "the simulated endpoint is busy", {"retry-after": "1"})
        if luck < BUSY_RATE + BROKEN_RATE:
            return connection.refuse(500, "the simulated endpoint stumbled")
        task = asyncio.get_running_loop().create_task(self.speak(connection, persona, prompt, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection.on_gone = task.cancel  # type: ignore[assignment]

    def embed(self, request: wire.Request, connection: wire.Connection) -> None:
        try:
            body = json.loads(request.body)
            model, texts = body["model"], wire.texts_of(body)
        except (ValueError, KeyError, TypeError):
            return connection.refuse(400, "the body must be a JSON object with model and input")
        if model != EMBEDDER:
            return connection.refuse(404, f"no embedding model named {model!r}")
        connection.answer(200, wire.embedding_list(model, texts))

    async def speak(
        self, connection: wire.Connection, persona: Persona, prompt: str, body: dict[str, Any]
    ) -> None:
        text = reply(persona, prompt, has_picture=has_picture(body["messages"]))
        counts = wire.usage(prompt, text)
        words = text.split(" ")
        await asyncio.sleep(persona.first_word_s)
        if not body.get("stream"):
            await asyncio.sleep(len(words) / persona.words_per_s)
            return connection.answer(200, wire.completion(persona.name, text, counts))
        connection.open_stream()
        for at, word in enumerate(words):
            connection.event(wire.chunk(persona.name, word if at == 0 else f" {word}"))
            await asyncio.sleep(1 / persona.words_per_s)
        connection.event(wire.chunk(persona.name, None, "stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            connection.event(wire.usage_chunk(persona.name, counts))
        connection.end_stream()


def reply(persona: Persona, prompt: str, *, has_picture: bool) -> str:
    """A short worked answer, right or wrong by the persona's skill; or a verdict on someone's answer."""
    question = find(prompt)
    if asked_to_judge(prompt):
        return verdict(prompt, question, share(digest_of(persona.name, prompt)[:4]))
    if question is None:
        return "Hello! I am a simulated model and know the questions of the demo dataset only."
    if question.needs_eyes and not has_picture:
        return "I would need to see the picture to answer this.\nANSWER: unknown"
    skill = persona.skill - (0.25 if question.section == persona.weak_at else 0)
    digest = digest_of(persona.name, question.text)
    if share(digest[:4]) < skill:
        return f"{question.working}\nANSWER: {question.answer}"
    slip = wrong(question, digest)
    shown = question.choices["ABCDEF".index(slip)] if question.choices else slip
    first = question.working.split(". ")[0].rstrip(".")
    return f"{first}. That makes it {shown}.\nANSWER: {slip}"


def find(prompt: str) -> Question | None:
    """The question in the prompt: the longest, as some share their beginning."""
    found = (question for question in questions() if question.text in prompt)
    return max(found, key=lambda question: len(question.text), default=None)


def wrong(question: Question, digest: bytes) -> str:
    """Another choice, or a number near the right one."""
    if question.choices:
        letters = "ABCDEF"[: len(question.choices)].replace(question.answer, "")
        return letters[digest[5] % len(letters)]
    number = float(question.answer)
    slips = [number + 1, number - 1, number + 10, number * 2, number / 2, number * 10]
    return f"{slips[digest[5] % len(slips)]:g}"


def has_picture(messages: list[dict[str, Any]]) -> bool:
    return any(
        isinstance(message.get("content"), list)
        and any(isinstance(part, dict) and part.get("type") == "image_url" for part in message["content"])
        for message in messages
    )


def digest_of(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def share(digest: bytes) -> float:
    return int.from_bytes(digest, "big") / (1 << 8 * len(digest))
