"""Token F1, BLEU, chrF, ROUGE and Levenshtein: known values, edges, and what the explanation says."""

from typing import Any

import pytest

from judges.scorers import BadOptions, Subject, Verdict, build_scorer
from judges.scorers.squad import squad_normalise
from judges.scorers.translation import KEPT, Tokenizer13a, TokenizerRegexp


def scored(key: str, response: str, *references: str, **options: Any) -> Verdict:
    return build_scorer(key, options).score(Subject(response, references))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Cat!", "cat"),
        ("an  apple a day", "apple day"),
        ("U.S.A.", "usa"),
        ("theatre", "theatre"),
        ("“Paris”", "“paris”"),
        ("the", ""),
    ],
)
def test_squad_normalisation(text: str, plain: str) -> None:
    assert squad_normalise(text) == plain


@pytest.mark.parametrize(
    ("response", "references", "options", "value"),
    [
        ("the cat sat", ["a cat sat"], {}, 1.0),
        ("the cat sat down", ["cat"], {}, 0.5),
        ("cat cat", ["cat"], {}, 2 / 3),
        ("dog", ["cat"], {}, 0.0),
        ("dog", ["cat", "the dog"], {}, 1.0),
        ("cat sat down", ["cat"], {"measure": "precision"}, 1 / 3),
        ("cat sat down", ["cat"], {"measure": "recall"}, 1.0),
        ("The cat.", ["cat"], {"measure": "exact"}, 1.0),
        ("The cats.", ["cat"], {"measure": "exact"}, 0.0),
        ("the", ["a"], {}, 1.0),
        ("the", ["cat"], {}, 0.0),
    ],
)
def test_token_f1(response: str, references: list[str], options: dict[str, Any], value: float) -> None:
    verdict = scored("token_f1", response, *references, **options)
    assert verdict.value == pytest.approx(value) and verdict.passed is (value >= 0.5)


def test_token_f1_names_the_nearest_reference_and_takes_a_threshold() -> None:
    verdict = scored("token_f1", "the cat sat", "dog", "cat sat down", pass_at=0.9)
    assert verdict.passed is False and "F1 0.800 with “cat sat down”" in verdict.explanation


def test_bleu_of_the_same_sentence_is_100_and_of_another_is_low() -> None:
    sentence = "It is raining cats and dogs today ."
    assert scored("bleu", sentence, sentence).value == pytest.approx(100.0)
    low = scored("bleu", "Nothing alike", sentence)
    assert low.value is not None and low.value < 5 and low.passed is False
    assert "brevity penalty" in low.explanation and "n-gram precisions" in low.explanation


def test_bleu_reads_options() -> None:
    assert scored("bleu", "The Cat", "the cat").value != pytest.approx(100)
    assert scored("bleu", "The Cat", "the cat", lowercase=True).value == pytest.approx(100)
    assert scored("bleu", "你好世界", "你好世界", tokenize="zh").value == pytest.approx(100)
    with pytest.raises(BadOptions, match="flores200"):
        build_scorer("bleu", {"tokenize": "flores200"})


def test_bleu_does_not_remember_every_response() -> None:
    scorer = build_scorer("bleu")
    for number in range(2 * KEPT):
        scorer.score(Subject(f"response {number}", ["one reference"]))
    for kind in (Tokenizer13a, TokenizerRegexp):
        assert kind.__call__.cache_info().currsize <= KEPT + 2  # type: ignore[attr-defined]


def test_chrf_and_its_word_orders() -> None:
    assert scored("chrf", "the cat", "the cat").value == pytest.approx(100)
    assert "chrF2++" in scored("chrf", "the cat", "a cat", word_order="2").explanation
    assert (
        scored("chrf", "the cat", "a cat").value != scored("chrf", "the cat", "a cat", word_order="2").value
    )


@pytest.mark.parametrize(
    ("variant", "response", "reference", "value"),
    [
        ("rouge1", "the cat sat", "the cat", 0.8),
        ("rouge2", "the cat sat", "the cat", 2 / 3),
        ("rougeL", "the fat cat", "the cat", 0.8),
        ("rougeL", "cat the", "the cat", 0.5),
        ("rouge1", "cat the", "the cat", 1.0),
        ("rouge2", "cat", "cat", 0.0),
        ("rouge1", "!!!", "cat", 0.0),
        ("rouge1", "The CAT", "the-cat", 1.0),
        ("rouge1", "été", "été", 1.0),
        ("rouge1", "кот", "кот", 0.0),
    ],
)
def test_rouge(variant: str, response: str, reference: str, value: float) -> None:
    assert scored("rouge", response, reference, variant=variant).value == pytest.approx(value)


def test_rouge_reads_other_scripts_on_wish() -> None:
    assert scored("rouge", "чёрный кот", "кот", words="unicode", variant="rouge1").value == pytest.approx(
        2 / 3
    )
    assert scored("rouge", "the cat sat", "the cat", measure="recall").value == 1.0


@pytest.mark.parametrize(
    ("response", "references", "options", "value"),
    [
        ("kitten", ["sitting"], {}, 1 - 3 / 7),
        ("Kitten ", ["kitten"], {}, 1.0),
        ("Kitten", ["kitten"], {"ignore_case": False}, 1 - 1 / 6),
        ("abc", ["xyz", "abd"], {}, 2 / 3),
        ("abc", ["xyz"], {}, 0.0),
    ],
)
def test_levenshtein(response: str, references: list[str], options: dict[str, Any], value: float) -> None:
    verdict = scored("levenshtein", response, *references, **options)
    assert verdict.value == pytest.approx(value) and "edits over" in verdict.explanation
