"""A target that answers sums and judges that follow a script, as one `script` of the stub endpoint.

Models whose name begins with `judge` judge; what is asked for is known by the sum in the prompt.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

SUM = re.compile(r"What is (\d+) \+")
Said = Callable[[int, int, dict[str, Any]], str]  # number, time of asking from 1, body → answer


def prompt_of(body: dict[str, Any]) -> str:
    return "\n".join(message["content"] for message in body["messages"])


def verdict(**fields: Any) -> str:
    return json.dumps({"feedback": "Because.", **fields})


class ScriptedJudge:
    """`stub.set(script=ScriptedJudge(…))`; `asked` counts calls by (model, number)."""

    def __init__(self, said: Said | None = None, answer: Callable[[int, str], str] | None = None):
        self.said = said or (lambda number, time, body: verdict(label="Correct"))
        self.answer = answer or (lambda number, model: f"ANSWER: {2 * number}")
        self.asked: Counter[tuple[str, int]] = Counter()

    def __call__(self, body: dict[str, Any]) -> str:
        found = SUM.search(prompt_of(body))
        number, model = int(found.group(1)) if found else 0, body["model"]
        self.asked[model, number] += 1
        if model.startswith("judge"):
            return self.said(number, self.asked[model, number], body)
        return self.answer(number, model)

    def calls(self, model: str) -> int:
        return sum(n for (name, _), n in self.asked.items() if name == model)
