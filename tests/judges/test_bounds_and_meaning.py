"""Scorers that wait for the engine: bounds of latency and cost, and similarity by embeddings."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from judges.options import BadOptions, read_options
from judges.scorers import SCORERS, Subject, Verdict
from judges.scorers.semantic import Semantic, cosine


def scored(key: str, subject: Subject, **options: Any) -> Verdict:
    kind = SCORERS[key]
    verdict: Verdict = kind(read_options(kind, options)).score(subject)
    return verdict


@pytest.mark.parametrize(
    ("key", "options", "subject", "passed", "said"),
    [
        (
            "latency",
            {"most_ms": 100},
            Subject("", latency_ms=100.0),
            True,
            "100 ms, within the bound of 100 ms",
        ),
        ("latency", {"most_ms": 100}, Subject("x", latency_ms=100.1), False, "over"),
        ("latency", {}, Subject("x"), None, "not known"),
        ("cost", {"most_usd": 0.01}, Subject("x", cost=Decimal("0.010000")), True, "$0.01, within"),
        ("cost", {"most_usd": 0.01}, Subject("x", cost=Decimal("0.010001")), False, "$0.010001, over"),
        ("cost", {"most_usd": 0}, Subject("x", cost=Decimal(0)), True, "within"),
        ("cost", {}, Subject("x"), None, "not known"),
    ],
)
def test_bounds(key: str, options: dict[str, Any], subject: Subject, passed: bool | None, said: str) -> None:
    verdict = scored(key, subject, **options)
    assert verdict.passed is passed and said in (verdict.explanation or verdict.unscored_reason)


@pytest.mark.parametrize(("key", "options"), [("latency", {"most_ms": 0}), ("cost", {"most_usd": -1})])
def test_impossible_bounds_are_refused(key: str, options: dict[str, Any]) -> None:
    with pytest.raises(BadOptions):
        scored(key, Subject("x"), **options)


def semantic(**options: Any) -> Semantic:
    return Semantic(read_options(Semantic, {"model": "embedder", **options}))


async def letters(texts: Sequence[str]) -> list[list[float]]:
    """How often each letter occurs: a small embedding that can be followed by hand."""
    return [[float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]


async def test_the_nearest_reference_counts() -> None:
    verdict = await semantic().score(Subject("listen", ["silent", "zebra"]), letters)
    assert verdict.value == pytest.approx(1) and verdict.passed
    assert "cosine 1.000 with “silent”, by embedder" in verdict.explanation
    far = await semantic().score(Subject("aaa", ["zzz"]), letters)
    assert (far.value, far.passed) == (0.0, False)


async def test_without_reference_or_response_nothing_is_asked() -> None:
    async def never(texts: Sequence[str]) -> list[list[float]]:
        raise AssertionError(texts)

    assert (await semantic().score(Subject("x"), never)).unscored_reason == "the item has no reference"
    assert (await semantic().score(Subject(" ", ["x"]), never)).value == 0.0


@pytest.mark.parametrize(
    "vectors", [[], [[1.0]], [[1.0], [1.0, 2.0]], [[0.0], [1.0]], [[float("nan")], [1.0]]]
)
async def test_unusable_embeddings_are_unscored(vectors: list[list[float]]) -> None:
    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return vectors

    verdict = await semantic().score(Subject("x", ["y"]), embed)
    assert verdict.value is None and verdict.unscored_reason


async def test_what_the_call_raises_is_the_engines_to_handle() -> None:
    async def embed(texts: Sequence[str]) -> list[list[float]]:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await semantic().score(Subject("x", ["y"]), embed)


def test_a_model_is_required() -> None:
    with pytest.raises(BadOptions) as caught:
        read_options(Semantic, {})
    assert caught.value.problems == {"model": "is required"}


def test_cosine() -> None:
    assert cosine([1, 0], [0, 1]) == 0
    assert cosine([1, 1], [2, 2]) == pytest.approx(1)
    assert cosine([1, 0], [-1, 0]) == -1
