"""The judge says which of two responses is better, or that neither is."""

from judges.kinds.base import Frozen, Kind


class Compare(Kind):
    title = "Compare"
    summary = "Which of two responses is better: A, B or a tie"
    names = frozenset({"response_a", "response_b"})

    def problems(self, fields: Frozen) -> dict[str, str]:
        return {}
