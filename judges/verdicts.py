"""What a judge model said, and what several of its answers come to. Pure.

Reading is tolerant of what stands around the verdict (reasoning, prose, code fences) and strict on
the verdict itself. What cannot be read is a NoVerdict with its reason, never a value.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from statistics import fmean
from typing import Any

from judges.kinds import KINDS
from judges.kinds.base import REASONS, Frozen, JudgeVerdict, Kind, NoVerdict
from judges.kinds.compare import TIE
from judges.kinds.compare import of as won_by
from judges.scorers.base import quoted, storable
from judges.scorers.refusal import Refusal, RefusalOptions

__all__ = [
    "REASONS",
    "JudgeVerdict",
    "NoVerdict",
    "combine_orders",
    "combine_passes",
    "panel",
    "read_verdict",
]

Said = JudgeVerdict | NoVerdict

MOST_READ = 200_000  # characters from the end; more is not read
MOST_OBJECTS = 200
CUT_OFF = frozenset({"length", "max_tokens", "model_length"})
REASONING = re.compile(r"\A.*</(?:think|thinking|thought|reasoning|reflection)>", re.DOTALL | re.IGNORECASE)
UNFINISHED = re.compile(r"\s*<(?:think|thinking|thought|reasoning|reflection)>", re.IGNORECASE)
ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')
OPENED = re.compile(r'\{\s*"')
_REFUSAL = Refusal(RefusalOptions())


class _TwiceNamed(ValueError):
    """An object that gives a field twice says nothing definite."""


def read_verdict(frozen: Frozen, text: str, swapped: bool = False, finish_reason: str = "") -> Said:
    """The verdict in an answer, seen from A's side when it compares. The last object with the verdict's field
    counts; one that is begun after it and breaks off makes the answer truncated. Never raises."""
    kind: Kind = KINDS[frozen["kind"]]()
    cut = finish_reason in CUT_OFF
    answer = REASONING.sub("", text[-MOST_READ:])
    if UNFINISHED.match(answer):
        return NoVerdict("truncated", "the reasoning does not end")
    try:
        found, open_end = _objects(answer, kind.field)
        if not found:
            found, open_end = _objects(_with_escapes(answer), kind.field)
    except _TwiceNamed as error:
        return NoVerdict("unparseable", f"it gives {error} twice")
    if open_end or (cut and not found):
        return NoVerdict("truncated", quoted(answer[-80:]))
    if not found:
        return _nothing_found(answer)
    fields = found[-1]
    said = kind.read(frozen, fields[kind.field], swapped=swapped)
    if isinstance(said, NoVerdict):
        return NoVerdict(said.reason, storable(said.detail))
    return JudgeVerdict(said.value, said.passed, said.answer, storable(_feedback(fields)), said.flags)


def _nothing_found(answer: str) -> NoVerdict:
    words, _ = _REFUSAL.refused(answer) if answer.strip() else ("", "")
    if words:
        return NoVerdict("refused", quoted(words))
    return NoVerdict("unparseable", quoted(answer) if answer.strip() else "the answer is empty")


def _with_escapes(text: str) -> str:
    """Single backslashes, as in LaTeX inside the feedback, doubled to what JSON wants."""
    return ESCAPE.sub(lambda found: "\\\\" if found.group() == "\\" else found.group(), text)


def _objects(text: str, field: str) -> tuple[list[dict[str, Any]], bool]:
    """The JSON objects of the text that have the field, in order, and whether one is begun and not ended."""
    found, at, open_end = [], 0, False
    for _ in range(MOST_OBJECTS):
        opened = OPENED.search(text, at)
        if opened is None:
            break
        try:
            value, at = _DECODER.raw_decode(text, opened.start())
        except json.JSONDecodeError as error:
            open_end, at = _breaks_off(text, error), opened.start() + 1
            if open_end:
                break
            continue
        except (ValueError, RecursionError) as error:
            if isinstance(error, _TwiceNamed):
                raise
            at = opened.start() + 1
            continue
        if isinstance(value, dict) and field in value:
            found.append(value)
    else:
        found = []  # too many to know the last
    return found, open_end


def _breaks_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether what is missing is the end: a string without an end, or nothing left but white space."""
    return error.msg.startswith("Unterminated string") or not text[error.pos :].strip()


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = {name.strip().lower(): value for name, value in pairs}
    if len(fields) < len(pairs):
        names = Counter(name.strip().lower() for name, _ in pairs)
        raise _TwiceNamed(f"“{names.most_common(1)[0][0][:40]}”")
    return fields


_DECODER = json.JSONDecoder(object_pairs_hook=_fields, strict=False)


def _feedback(fields: dict[str, Any]) -> str:
    said = fields.get("feedback", "")
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


# Several answers


def combine_orders(first: Said, second: Said) -> Said:
    """Of a comparison in both orders, both seen from A's side: a winner needs agreement, else it is a tie.
    When one pass failed the other decides alone, and is flagged."""
    if isinstance(first, NoVerdict):
        return first if isinstance(second, NoVerdict) else _flagged(second, "single_pass")
    if isinstance(second, NoVerdict):
        return _flagged(first, "single_pass")
    feedback = "\n\n".join(text for text in (first.feedback, second.feedback) if text)
    flags = (*first.flags, *second.flags)
    if first.answer == second.answer:
        return won_by(first.answer, feedback, tuple(dict.fromkeys(flags)))
    return won_by(TIE, feedback, tuple(dict.fromkeys((*flags, "flipped"))))


def combine_passes(frozen: Frozen, said: Sequence[Said]) -> Said:
    """What all passes about one response come to, in the order in which they were asked: with both orders
    every second one is swapped. Repeats vote (scores: their mean); those that failed have no vote."""
    if frozen["both_orders"]:
        missing = NoVerdict("unparseable", "one order was not asked")
        pairs = zip_longest(said[::2], said[1::2], fillvalue=missing)
        said = [combine_orders(first, second) for first, second in pairs]
    aggregate = "mean" if frozen["kind"] == "score" else "majority"
    return _voted(frozen, said, aggregate, min_votes=1)


def panel(frozen: Frozen, votes: Sequence[Said]) -> Said:
    """What the members of a panel come to, by the judge's `aggregate` and `min_votes`."""
    return _voted(frozen, votes, frozen["aggregate"], frozen["min_votes"])


def _voted(frozen: Frozen, votes: Sequence[Said], aggregate: str, min_votes: int) -> Said:
    valid = [vote for vote in votes if isinstance(vote, JudgeVerdict)]
    if len(votes) == 1:
        return votes[0]
    if not valid:
        return next((vote for vote in votes if isinstance(vote, NoVerdict)), NoVerdict("unparseable"))
    if len(valid) < min_votes:
        return NoVerdict("too_few_votes", f"{len(valid)} of {len(votes)}, {min_votes} needed")
    settled = _mean(frozen, valid) if aggregate == "mean" else _majority(frozen, valid)
    if isinstance(settled, NoVerdict):
        return settled
    flags = [flag for vote in valid for flag in vote.flags]
    flags += ["split"] if len({vote.answer for vote in valid}) > 1 else []
    flags += ["votes_missing"] if len(valid) < len(votes) else []
    return _flagged(settled, *flags)


def _mean(frozen: Frozen, votes: Sequence[JudgeVerdict]) -> JudgeVerdict:
    kind: Kind = KINDS[frozen["kind"]]()
    value = fmean(vote.value for vote in votes)
    said = ", ".join(vote.answer for vote in votes)
    return JudgeVerdict(value, kind.passed(frozen, value), f"{value:.4g}", _told(votes, f"Mean of {said}"))


def _majority(frozen: Frozen, votes: Sequence[JudgeVerdict]) -> Said:
    """Of labels first pass or fail decides, then the most frequent label of that side."""
    if frozen["kind"] == "compare":
        return won_by(_most_frequent(votes) or TIE, _told(votes))
    passes = [vote for vote in votes if vote.passed]
    fails = [vote for vote in votes if not vote.passed]
    if len(passes) == len(fails):
        return NoVerdict("no_majority", f"{len(passes)} to {len(fails)}")
    side = max(passes, fails, key=len)
    answer = _most_frequent(side) or side[0].answer
    return JudgeVerdict(side[0].value, side[0].passed, answer, _told(votes))


def _most_frequent(votes: Sequence[JudgeVerdict]) -> str:
    """Empty when two are equally frequent."""
    ranked = Counter(vote.answer for vote in votes).most_common(2)
    return "" if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def _told(votes: Sequence[JudgeVerdict], heading: str = "") -> str:
    """Each vote with its reasons."""
    lines = [f"{vote.answer}: {vote.feedback}" if vote.feedback else vote.answer for vote in votes]
    return storable("\n\n".join([*([heading] if heading else []), *lines]))


def _flagged(said: JudgeVerdict, *flags: str) -> JudgeVerdict:
    kept = tuple(dict.fromkeys((*said.flags, *flags)))
    return JudgeVerdict(said.value, said.passed, said.answer, said.feedback, kept)
