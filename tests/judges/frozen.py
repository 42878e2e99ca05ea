"""Frozen judges for tests: `frozen(kind, …)` is one of each kind, with what the test changes."""

from typing import Any

LABELS = [
    {"label": "Correct", "meaning": "Same number", "passes": True},
    {"label": "Reasoning only", "meaning": "", "passes": False},
    {"label": "Incorrect", "meaning": "", "passes": False},
]


def frozen(kind: str, **changes: Any) -> dict[str, Any]:
    responses = "{{ response_a }} or {{ response_b }}" if kind == "compare" else "{{ response }}"
    return {
        "version_id": 1, "judge_id": 1, "judge": "math-judge", "number": 1, "fingerprint": "f", "kind": kind,
        "system_template": "You grade.", "user_template": f"{{{{ input }}}}\n{responses}",
        "labels": LABELS if kind == "classify" else [],
        **dict.fromkeys(("minimum", "maximum", "threshold")), "integer": False,
        **({"minimum": 1.0, "maximum": 5.0, "threshold": 4.0, "integer": True} if kind == "score" else {}),
        "both_orders": kind == "compare", "repeats": 1,
        "parameters": {"temperature": 0, "max_tokens": 4096},
        "aggregate": "mean" if kind == "score" else "majority", "min_votes": 1, "models": [],
        **changes,
    }  # fmt: skip
