"""How a simulated model judges: by the answer it knows, sometimes mistaken, fond of what it reads first."""

import json
import re

from evalportal.demo.dataset import Question

SHOWN = re.compile(r"<(response(?:_[ab])?)-([0-9a-f]+)>(.*?)</\1-\2>", re.DOTALL)
LABEL = re.compile(r"^- ([^:\n]+)", re.MULTILINE)
RANGE = re.compile(r"from (-?[\d.]+) \(worst\) to (-?[\d.]+) \(best\)")
FINAL = re.compile(r"ANSWER:\s*(\S+)")
MISTAKEN = 0.05  # of verdicts


def asked_to_judge(prompt: str) -> bool:
    return '"feedback"' in prompt and SHOWN.search(prompt) is not None


def verdict(prompt: str, question: Question | None, luck: float) -> str:
    """The answer that the prompt's last lines ask for. `luck` from 0 to 1 decides whether it is mistaken."""
    told, _, contract = prompt.rpartition("Answer with one JSON object")
    found = [right(text, question) for _, _, text in SHOWN.findall(told)]
    good = found[0] != (luck < MISTAKEN)
    feedback = "The final answer agrees with what I know." if good else "The final answer is not what I know."
    if '"winner"' in contract:
        return winner(found, luck)
    if scale := RANGE.search(contract):
        low, high = (float(end) for end in scale.groups())
        score = high if good else low + round((high - low) * luck / 2)
        return json.dumps({"feedback": feedback, "score": int(score) if score == int(score) else score})
    labels = LABEL.findall(contract)
    return json.dumps({"feedback": feedback, "label": labels[0 if good else -1] if labels else ""})


def right(response: str, question: Question | None) -> bool:
    given = FINAL.findall(response)
    return bool(question and given and given[-1].rstrip(".") == question.answer)


def winner(found: list[bool], luck: float) -> str:
    """Of two that are equally good it sometimes prefers the first: asking both ways round shows that."""
    first, second = [*found, False, False][:2]
    if first == second:
        said, why = ("A", "The first one reads better.") if luck < 0.3 else ("tie", "Both come to the same.")
    else:
        said, why = ("A" if first else "B", "Only one of them has the right answer.")
    return json.dumps({"feedback": why, "winner": said})
