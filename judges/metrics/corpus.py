"""Corpus BLEU and chrF by sacrebleu: from summed n-gram counts, not the mean of sentence scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from judges.metrics import Estimate
from judges.metrics.bootstrap import PERCENTILE, Sums, bootstrap_interval
from judges.metrics.trials import ClusterOptions, ScoredTrial, TrialMetric, clusters_of, described
from judges.options import option
from judges.scorers.translation import READ, TOKENIZERS, forget_texts


@dataclass(frozen=True)
class CorpusBleuOptions(ClusterOptions):
    tokenize: str = option("13a", help="How words are told apart", choices=TOKENIZERS)
    lowercase: bool = option(False, help="Upper and lower case are the same")


@dataclass(frozen=True)
class CorpusChrfOptions(ClusterOptions):
    word_order: str = option(
        "0", help="Word n-grams beside the six of characters", choices={"0": "None: chrF", "2": "Two: chrF++"}
    )
    lowercase: bool = option(False, help="Upper and lower case are the same")


class CorpusMetric(TrialMetric[Any]):
    """An empty response counts as one that shares nothing."""

    unit = "value"
    best: ClassVar[float] = 100.0
    metric: BLEU | CHRF

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = [trial for trial in trials if trial.references and not trial.errored]
        left_out = len(trials) - len(counted)
        words = f"{len(counted):,} responses with a reference, empty ones too"
        words += f"; {left_out:,} errored or without reference not counted" if left_out else ""
        if not counted:
            return Estimate(None, None, None, 0, denominator=words)
        rows = np.array([self.statistics(trial) for trial in counted], dtype=float)
        low, high = bootstrap_interval(rows, clusters_of(counted, self.options.cluster), self.figure)
        found = Estimate(self.figure(rows.sum(axis=0)), low, high, len(counted))
        return described(found, words, f"{PERCENTILE} of trials")

    def statistics(self, trial: ScoredTrial) -> list[int]:
        """The counts that a corpus adds up, of one response against its references."""
        references = [[reference[:READ]] for reference in trial.references]
        found = self.metric._extract_corpus_statistics([trial.response[:READ]], references)
        forget_texts()
        counts: list[int] = found[0]
        return counts

    def figure(self, sums: Sums) -> float:
        score = self.metric._compute_score_from_stats([int(count) for count in sums])
        return min(self.best, float(score.score))


class CorpusBleu(CorpusMetric):
    key = "corpus_bleu"
    title = "Corpus BLEU"
    description = "sacrebleu's corpus BLEU, 0 to 100, over all responses together."
    Options = CorpusBleuOptions

    def __init__(self, options: CorpusBleuOptions):
        super().__init__(options)
        self.metric = BLEU(tokenize=options.tokenize, lowercase=options.lowercase)


class CorpusChrf(CorpusMetric):
    key = "corpus_chrf"
    title = "Corpus chrF"
    description = "sacrebleu's corpus chrF, 0 to 100, over all responses together."
    Options = CorpusChrfOptions

    def __init__(self, options: CorpusChrfOptions):
        super().__init__(options)
        self.metric = CHRF(word_order=int(options.word_order), lowercase=options.lowercase)
