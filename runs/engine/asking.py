"""What is asked of a model for an item: the chat, how many tokens it may take, and the key of its answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from judges.templating import TemplateProblem, prompt_messages

CHARS_PER_TOKEN = 3  # on the safe side for what is held back from a ceiling
TOKENS_PER_MESSAGE = 8
TOKENS_PER_IMAGE = 1_600
TOKEN_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Question:
    """The messages that are sent, or the problem for which none can be."""

    messages: list[dict[str, Any]]
    problem: str = ""


def question(
    template: str,
    context: Mapping[str, Any],
    chat: list[dict[str, Any]] | None,
    images: Sequence[tuple[str, str]] = (),
) -> Question:
    """A chat item under the default template goes as it is; images, as (media type, base64), join the
    last message of the user."""
    try:
        messages = prompt_messages(template, context, chat)
    except TemplateProblem as error:
        return Question([], f"The prompt template failed: {error}")
    return Question(with_images(messages, images))


def with_images(messages: list[dict[str, Any]], images: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The images, as (media type, base64), in the last message of the user."""
    if images:
        messages = [dict(message) for message in messages]
        last = max(
            (i for i, message in enumerate(messages) if message["role"] == "user"), default=len(messages) - 1
        )
        parts = [{"type": "image", "media_type": media_type, "data": data} for media_type, data in images]
        text = messages[last]["content"]
        messages[last]["content"] = (
            [{"type": "text", "text": text}, *parts] if isinstance(text, str) else [*text, *parts]
        )
    return messages


def input_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """An upper estimate of what the messages cost, in tokens."""
    return sum(_tokens(message.get("content")) + TOKENS_PER_MESSAGE for message in messages)


def _tokens(content: Any) -> int:
    if isinstance(content, str):
        return len(content) // CHARS_PER_TOKEN + 1
    if not isinstance(content, list):
        return 0
    return sum(
        TOKENS_PER_IMAGE if part.get("type") == "image" else _tokens(part.get("text")) for part in content
    )


def output_limit(params: Mapping[str, Any]) -> int | None:
    """The most tokens that an answer may have; None when the parameters do not say."""
    limits = [params[name] for name in TOKEN_LIMITS if isinstance(params.get(name), int)]
    return max(limits) if limits else None


def cache_key(scope: Sequence[Any], messages: Sequence[Mapping[str, Any]], epoch: int) -> str:
    """128 bits in hex over the scope (workspace, endpoint, model, parameters), the messages and the epoch."""
    asked = json.dumps([scope, messages, epoch], sort_keys=True, ensure_ascii=True, default=str)
    return blake2b(asked.encode(), digest_size=16).hexdigest()
