"""From what a judge says in several passes, or several judge models in a panel, to one score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from judges.scorers import Verdict
from judges.scorers.base import unscored
from judges.verdicts import JudgeVerdict, NoVerdict, combine_passes, panel

CALL_FAILED = "the judge's call failed"
EMBEDDING_FAILED = "the embedding call failed"
Said = JudgeVerdict | NoVerdict
Detail = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Vote:
    """What came of one pass, the judging's trial `seq`."""

    seq: int
    swapped: bool
    said: Said

    def as_dict(self) -> dict[str, Any]:
        fields = {"seq": self.seq, "swapped": self.swapped}
        if isinstance(self.said, NoVerdict):
            return {**fields, "answer": "", "value": None, "feedback": "", "error": str(self.said)}
        said = self.said
        return {**fields, "answer": said.answer, "value": said.value, "feedback": said.feedback, "error": ""}


class Ballot(NamedTuple):
    """A verdict, and what it came from for Score.detail."""

    verdict: Verdict
    detail: Detail


def verdict_of(said: Said) -> Verdict:
    """In the words that judges and code share."""
    if isinstance(said, NoVerdict):
        return unscored(str(said))
    return Verdict(said.value, said.passed, said.answer, said.feedback)


def said_in(verdict: Verdict) -> Said:
    """What a score stands for."""
    if verdict.value is None:
        return NoVerdict(verdict.unscored_reason)
    return JudgeVerdict(verdict.value, verdict.passed, verdict.answer, verdict.explanation)


def combined(frozen: Mapping[str, Any], votes: Sequence[Vote]) -> Ballot:
    """Of all passes over one response."""
    if len(votes) == 1:
        return Ballot(verdict_of(votes[0].said), None)
    said = combine_passes(frozen, [vote.said for vote in votes])
    return Ballot(verdict_of(said), {"flags": _flags(said), "passes": [vote.as_dict() for vote in votes]})


def of_panel(frozen: Mapping[str, Any], members: Mapping[str, Verdict]) -> Ballot:
    """Of a panel whose members, by name, have all had their say."""
    said = panel(frozen, [said_in(verdict) for verdict in members.values()])
    votes = {name: verdict.answer for name, verdict in members.items()}
    return Ballot(verdict_of(said), {"flags": _flags(said), "votes": votes})


def _flags(said: Said) -> list[str]:
    return [] if isinstance(said, NoVerdict) else list(said.flags)
