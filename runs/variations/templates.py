"""Other prompt templates around the same item."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judges.templating import check_template
from runs.variations.base import MOST, Content, Strategy, option

BETWEEN = re.compile(r"^={3,}[ \t]*$", re.MULTILINE)


def joined(value: Any) -> str:
    """A list of templates as the text that holds them, each after a line of ===."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n===\n".join(value)
    if isinstance(value, str):
        return value.replace("\r\n", "\n")
    raise ValueError("must be text, or a list of texts")


def templates_in(text: str) -> list[str]:
    """The templates of a text, without the lines of === between them."""
    pieces = [piece.removeprefix("\n").removesuffix("\n") for piece in BETWEEN.split(text)]
    return [piece for piece in pieces if piece.strip()]


@dataclass(frozen=True)
class TemplatesOptions:
    templates: str = option(
        "",
        help="One or more, with a line of === between two: Jinja, as the prompt template",
        read=joined,
        long=True,
    )


class Templates(Strategy[TemplatesOptions]):
    key = "templates"
    title = "Other prompt templates"
    description = "The same item in other words around it: does the wording of the prompt matter?"
    Options = TemplatesOptions

    def __init__(self, options: TemplatesOptions):
        super().__init__(options)
        self.templates = templates_in(options.templates)

    @classmethod
    def check(cls, options: TemplatesOptions) -> Mapping[str, str]:
        found = templates_in(options.templates)
        if not found:
            return {"templates": "write at least one template"}
        if len(found) > MOST:
            return {"templates": f"at most {MOST} templates"}
        texts = [
            f"template {number}: {problem}"
            for number, template in enumerate(found, 1)
            for problem in check_template(template)
        ]
        return {"templates": "; ".join(texts)} if texts else {}

    @property
    def titles(self) -> Sequence[str]:
        return [f"Template {number}" for number in range(1, len(self.templates) + 1)]

    def problems(self, template: str, sample: Sequence[Content]) -> list[str]:
        known = [template.strip()]
        for number, each in enumerate(self.templates, 1):
            if each.strip() in known:
                return [f"Template {number} is the same as another one; write one that differs."]
            known.append(each.strip())
        return []

    def template(self, template: str, number: int) -> str:
        return self.templates[number - 1]

    def applied(self, content: Content, number: int) -> Content:
        return content
