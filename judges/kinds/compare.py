"""The judge says which of two responses is better, or that neither is."""

from typing import Any

from judges.kinds.base import Frozen, JudgeVerdict, Kind, NoVerdict

A, B, TIE = "A", "B", "tie"
VALUES = {A: 1.0, TIE: 0.5, B: 0.0}
PASSED = {A: True, TIE: None, B: False}
OTHER = {A: B, B: A, TIE: TIE}


class Compare(Kind):
    title = "Compare"
    summary = "Which of two responses is better: A, B or a tie"
    names = frozenset({"response_a", "response_b"})
    field = "winner"

    def problems(self, fields: Frozen) -> dict[str, str]:
        return {}

    def contract(self, frozen: Frozen) -> str:
        return '"A" if response A is better, "B" if response B is better, "tie" if neither is'

    def schema(self, frozen: Frozen) -> dict[str, Any]:
        return {"type": "string", "enum": [A, B, TIE]}

    def read(self, frozen: Frozen, said: Any, *, swapped: bool) -> JudgeVerdict | NoVerdict:
        """A is the judged response, whichever place it was shown at."""
        shown = said.strip().casefold() if isinstance(said, str) else ""
        winner = next((name for name in VALUES if name.casefold() == shown), "")
        if not winner:
            return NoVerdict("invalid_label", f"{said!r:.80} is not A, B or tie")
        return of(OTHER[winner] if swapped else winner)


def of(winner: str, feedback: str = "", flags: tuple[str, ...] = ()) -> JudgeVerdict:
    return JudgeVerdict(VALUES[winner], PASSED[winner], winner, feedback, flags)
