"""The question in other words: paraphrases that a model drafted and a person approved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from runs.variations.base import Content, Strategy, counted, option, replace


@dataclass(frozen=True)
class ParaphrasesOptions:
    count: int = option(1, help="At most so many of each item, those that were approved first")


class Paraphrases(Strategy[ParaphrasesOptions]):
    key = "paraphrases"
    title = "Approved paraphrases"
    description = (
        "The question in other words, drafted by a model and approved by a person on the dataset's page: "
        "does its wording matter?"
    )
    Options = ParaphrasesOptions
    reads_paraphrases = True
    none_applies = (
        "No item here has an approved paraphrase. "
        "Have a model draft some on the dataset's page, and approve them."
    )

    @classmethod
    def check(cls, options: ParaphrasesOptions) -> Mapping[str, str]:
        return counted(options)

    @property
    def titles(self) -> Sequence[str]:
        return [f"Paraphrase {number}" for number in range(1, self.options.count + 1)]

    def applies(self, number: int) -> Q:
        return Q(paraphrases__number=number, paraphrases__state="approved")

    def applied(self, content: Content, number: int) -> Content:
        """In a chat, in place of its last user message."""
        text = content.paraphrases.get(number)
        if text is None:
            return content
        if not content.messages:
            return replace(content, prompt=text)
        messages = [dict(message) for message in content.messages]
        last = max((i for i, each in enumerate(messages) if each.get("role") == "user"), default=None)
        if last is not None:
            messages[last]["content"] = text
        return replace(content, prompt=text, messages=messages)
