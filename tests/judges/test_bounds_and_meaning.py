"""Scorers that need more than the response: bounds of latency and cost, and similarity by embeddings."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from scipy.spatial import distance

from judges.options import BadOptions, read_options
from judges.scorers import SCORERS, Subject, Verdict
from judges.scorers.base import EMPTY, NO_REFERENCE
from judges.scorers.semantic import NO_COSINE, Asked, Semantic, cosine, settled


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


def letters(texts: Sequence[str]) -> list[list[float]]:
    """How often each letter occurs: a small embedding that can be followed by hand."""
    return [[float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]


def likened(subject: Subject, embed: Callable[[Sequence[str]], list[list[float]]], **options: Any) -> Verdict:
    """Asked, kept and read back, as a run does it."""
    scorer = semantic(**options)
    asked = scorer.asked(subject)
    assert isinstance(asked, Asked)
    return scorer.verdict(scorer.read(asked, embed(asked.texts)))


def test_the_nearest_reference_counts() -> None:
    verdict = likened(Subject("listen", ["silent", "zebra"]), letters)
    assert verdict.value == pytest.approx(1) and verdict.passed
    assert (verdict.answer, verdict.explanation) == ("listen", "cosine 1.000 with “silent”")
    far = likened(Subject("aaa", ["zzz"]), letters)
    assert (far.value, far.passed) == (0.0, False)


def test_a_chain_finds_the_answer_first() -> None:
    subject = Subject("I think so.\nAnswer: listen", ["silent"])
    verdict = likened(subject, letters, extract='[{"filter": "after_marker", "marker": "Answer:"}]')
    assert verdict.answer == "listen" and verdict.value == pytest.approx(1)
    assert verdict.explanation.startswith("listen, from the text after “Answer:”; cosine 1.000")
    none = semantic(extract="last_number").score(subject)
    assert (none.value, none.passed) == (0.0, False) and "number" in none.explanation


def test_without_reference_or_response_nothing_is_asked() -> None:
    for subject, said in ((Subject("x"), NO_REFERENCE), (Subject(" ", ["x"]), EMPTY)):
        verdict = semantic().asked(subject)
        assert isinstance(verdict, Verdict) and said in (verdict.unscored_reason, verdict.explanation)
        assert semantic().verdict(settled(verdict)) == verdict


@pytest.mark.parametrize("vectors", [[[1.0], [1.0, 2.0]], [[0.0], [1.0]], [[1e200], [1e200]]])
def test_embeddings_without_direction_are_unscored(vectors: list[list[float]]) -> None:
    verdict = likened(Subject("x", ["y"]), lambda texts: vectors)
    assert verdict.value is None and verdict.unscored_reason == NO_COSINE


def test_a_model_is_required() -> None:
    with pytest.raises(BadOptions) as caught:
        read_options(Semantic, {})
    assert caught.value.problems == {"model": "is required"}


def test_cosine_equals_scipys() -> None:
    """200 drawn pairs of vectors."""
    draw = np.random.default_rng(7)
    for one, two in draw.normal(size=(200, 2, 64)):
        assert cosine(list(one), list(two)) == pytest.approx(1 - distance.cosine(one, two), abs=1e-12)


def test_cosine() -> None:
    assert cosine([1, 0], [0, 1]) == 0
    assert cosine([1, 1], [2, 2]) == pytest.approx(1)
    assert cosine([1, 0], [-1, 0]) == -1
