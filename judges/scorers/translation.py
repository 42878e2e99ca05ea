"""BLEU and chrF of one response by sacrebleu, whose definitions and scale (0 to 100) are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sacrebleu.metrics.bleu import BLEU, BLEUScore
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from judges.scorers.base import Degree, TextOptions, option

READ = 20_000  # characters of a text that are read
KEPT = 256  # texts that sacrebleu's tokenizers may remember: their own limit is 65,536 of any length
TOKENIZERS = {
    "13a": "13a, sacrebleu's default",
    "intl": "intl: Unicode punctuation",
    "zh": "zh: Chinese",
    "char": "char: every character",
    "none": "none: split at white space",
}


@dataclass(frozen=True)
class BleuOptions(TextOptions):
    tokenize: str = option("13a", help="How words are told apart", choices=TOKENIZERS)
    lowercase: bool = option(False, help="Upper and lower case are the same")
    pass_at: float = option(30.0, help="Passes from this value (0 to 100) on")


class Bleu(Degree[BleuOptions]):
    key = "bleu"
    title = "BLEU"
    description = (
        "Sentence BLEU of sacrebleu, 0 to 100: exponential smoothing and effective order, as in its CLI with "
        "--sentence-level. The figure to publish is corpus BLEU, not the mean of these."
    )
    Options = BleuOptions
    best = 100.0

    def __init__(self, options: BleuOptions):
        super().__init__(options)
        self.metric = bleu_metric(options.tokenize, options.lowercase)

    def nearest(self, response: str, references: Sequence[str]) -> tuple[float, str]:
        found = self.metric.sentence_score(response[:READ], [reference[:READ] for reference in references])
        forget_texts()
        return min(self.best, float(found.score)), _explain(found)


def _explain(found: BLEUScore) -> str:
    precisions = "/".join(f"{share:.0f}" for share in found.precisions)
    return (
        f"BLEU {found.score:.1f} (n-gram precisions {precisions}; brevity penalty {found.bp:.3f}; "
        f"{found.sys_len} words, reference {found.ref_len})"
    )


@dataclass(frozen=True)
class ChrfOptions(TextOptions):
    word_order: str = option(
        "0", help="Word n-grams beside the six of characters", choices={"0": "None: chrF", "2": "Two: chrF++"}
    )
    lowercase: bool = option(False, help="Upper and lower case are the same")
    pass_at: float = option(50.0, help="Passes from this value (0 to 100) on")


class Chrf(Degree[ChrfOptions]):
    key = "chrf"
    title = "chrF"
    description = "Character n-gram F-score of sacrebleu, 0 to 100 (chrF2; with two word orders, chrF2++)."
    Options = ChrfOptions
    best = 100.0

    def __init__(self, options: ChrfOptions):
        super().__init__(options)
        self.metric = chrf_metric(int(options.word_order), options.lowercase)

    def nearest(self, response: str, references: Sequence[str]) -> tuple[float, str]:
        found = self.metric.sentence_score(response[:READ], [reference[:READ] for reference in references])
        return min(self.best, float(found.score)), f"{found.name} {found.score:.1f}"


@lru_cache(maxsize=64)
def bleu_metric(tokenize: str, lowercase: bool) -> BLEU:
    """For single sentences; knows no state but its tokenizer."""
    return BLEU(tokenize=tokenize, lowercase=lowercase, effective_order=True)


@lru_cache(maxsize=64)
def chrf_metric(word_order: int, lowercase: bool) -> CHRF:
    return CHRF(word_order=word_order, lowercase=lowercase)


def forget_texts() -> None:
    """Empties what the tokenizers remember before it grows large."""
    kinds: tuple[Any, ...] = (
        Tokenizer13a, TokenizerRegexp, TokenizerV14International, TokenizerChar, TokenizerZh,
    )  # fmt: skip
    for kind in kinds:
        if kind.__call__.cache_info().currsize > KEPT:
            kind.__call__.cache_clear()
