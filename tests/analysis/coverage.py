"""Do the intervals hold the truth in 95 of 100 cases, and do the tests reject the equal in 5? By simulation.

`python -m tests.analysis.coverage` prints every case at full length, in about ten minutes; the suite runs
the same cases shortly. One case is a function under one setting, drawn anew each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from sys import argv
from typing import Any

import numpy as np

from analysis.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha
from analysis.stats.bootstrap import bca_interval, bootstrap
from analysis.stats.bradley_terry import bradley_terry
from analysis.stats.corrected import ppi_mean, rogan_gladen, rogan_gladen_effect
from analysis.stats.intervals import clopper_pearson, clustered_interval, t_interval, wilson
from analysis.stats.multiplicity import benjamini_hochberg, holm
from analysis.stats.noninferiority import Outcome, noninferiority_binary, noninferiority_mean
from analysis.stats.paired import (
    Pairs,
    mcnemar,
    paired_binary,
    paired_mean,
    sign_test,
    tango_interval,
    wald_interval,
    wilcoxon,
)
from analysis.stats.ranking import rank_intervals
from analysis.stats.results import Interval

Chance = np.random.Generator
FULL, SHORT = 20_000, 3_000


@dataclass(frozen=True)
class Case:
    """`once` draws data and says whether the interval held the truth, or the test rejected what is true.

    `level` is what the function promises: 0.95 held, or at most this share rejected.
    """

    function: Callable[..., Any]
    setting: str
    once: Callable[[Chance], bool]
    level: float = 0.95
    full: int = FULL
    short: int = SHORT

    @property
    def name(self) -> str:
        return f"{self.function.__name__}: {self.setting}"

    @property
    def bounds(self) -> tuple[float, float]:
        """Of an interval's coverage, or of a test's errors: a tenth above what it promises at most."""
        return (0.94, 0.96) if self.level > 0.5 else (0.0, 1.1 * self.level)

    def share(self, repetitions: int, seed: int = 6) -> float:
        chance = np.random.default_rng(seed)
        return float(np.mean([self.once(chance) for _ in range(repetitions)]))

    def error(self, repetitions: int) -> float:
        """Monte Carlo standard error of a share that is as promised."""
        return sqrt(self.level * (1 - self.level) / repetitions)


def holds(found: Interval, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


# One run


def share(interval: Callable[[int, int], Interval], n: int) -> Callable[[Chance], bool]:
    def once(chance: Chance) -> bool:
        p = float(chance.uniform(0.05, 0.95))
        return holds(interval(int(chance.binomial(n, p)), n), p)

    return once


def skewed_mean(chance: Chance) -> bool:
    return holds(t_interval(chance.beta(2, 5, 200)), 2 / 7)


def clustered(groups: int, each: int) -> Callable[[Chance], bool]:
    names = np.repeat(np.arange(groups), each)

    def once(chance: Chance) -> bool:
        values = chance.normal(size=groups)[names] + chance.normal(size=groups * each)
        return holds(clustered_interval(values, names), 0.0)

    return once


def uneven_clusters(chance: Chance) -> bool:
    names = np.repeat(np.arange(200), chance.integers(1, 5, 200))
    values = chance.normal(size=200)[names] + chance.normal(size=len(names))
    return holds(clustered_interval(values, names), 0.0)


def skewed_bootstrap(chance: Chance) -> bool:
    values = chance.gamma(4, size=200)
    return holds(bootstrap(lambda at: values[at].mean(), 200, seed=seed_of(chance), resamples=1000), 4)


def clustered_bootstrap(chance: Chance) -> bool:
    names = np.repeat(np.arange(200), 2)
    values = chance.normal(size=200)[names] + chance.normal(size=400)
    mean = bootstrap(lambda at: values[at].mean(), 400, clusters=names, seed=seed_of(chance), resamples=500)
    return holds(mean, 0.0)


WEIGHTS = np.random.default_rng(21).multinomial(200, np.full(200, 1 / 200), size=2000) / 200


def f1(right: Any, wrong: Any, missed: Any) -> Any:
    return 2 * right / (2 * right + wrong + missed)


def f1_bca(chance: Chance) -> bool:
    """F1 of a class that 30 % of 200 items have: 80 % of them found, 10 % of the others called so."""
    kinds = chance.choice(4, 200, p=[0.24, 0.07, 0.06, 0.63])
    flags = np.stack([kinds == kind for kind in range(3)], axis=1).astype(float)
    sums = flags.sum(axis=0)
    drawn, without = WEIGHTS @ flags * 200, sums - flags
    return holds(bca_interval(float(f1(*sums)), f1(*drawn.T), f1(*without.T), 200), f1(0.24, 0.07, 0.06))


def seed_of(chance: Chance) -> int:
    return int(chance.integers(2**31))


# Two runs


def pairs(interval: Callable[[Pairs], Interval], low: float, high: float) -> Callable[[Chance], bool]:
    """200 pairs, of which between these shares are fixed, and broken."""

    def once(chance: Chance) -> bool:
        fixed, broken = (float(each) for each in chance.uniform(low, high, 2))
        return holds(interval(drawn_pairs(chance, 200, fixed, broken)), fixed - broken)

    return once


def verdicts(found: Pairs) -> Interval:
    return paired_binary(found).interval


def drawn_pairs(chance: Chance, n: int, fixed: float, broken: float) -> Pairs:
    rest = 1 - fixed - broken
    return Pairs(*map(int, chance.multinomial(n, [rest / 2, fixed, broken, rest / 2])))


def paired_values(chance: Chance) -> bool:
    return holds(paired_mean(chance.beta(1, 3, 200), chance.beta(2, 3, 200)).interval, 0.15)


def paired_clusters(chance: Chance) -> bool:
    names, first = np.repeat(np.arange(200), 3), chance.beta(1, 3, 600)
    second = first + 0.2 + chance.normal(size=200)[names] + chance.normal(size=600)
    return holds(paired_mean(first, second, names).interval, 0.2)


def equal_means(chance: Chance) -> bool:
    return rejects(paired_mean(*chance.beta(1, 3, size=(2, 200))).test.p)


def equal_clusters(chance: Chance) -> bool:
    names, first = np.repeat(np.arange(50), 4), chance.normal(size=200)
    second = first + chance.normal(size=50)[names] + chance.normal(size=200)
    return rejects(paired_mean(first, second, names).test.p)


def rejects(p: float | None) -> bool:
    return p is not None and p < 0.05


def equal_verdicts(chance: Chance) -> bool:
    share = float(chance.uniform(0.02, 0.4))
    found = drawn_pairs(chance, 200, share / 2, share / 2)
    return rejects(mcnemar(found.fixed, found.broken).p)


def equal_signs(chance: Chance) -> bool:
    return rejects(sign_test(chance.standard_t(3, size=200)).p)


def equal_ranks(n: int) -> Callable[[Chance], bool]:
    return lambda chance: rejects(wilcoxon(chance.standard_t(3, size=n)).p)


def tied_ranks(chance: Chance) -> bool:
    return rejects(wilcoxon(chance.integers(-4, 5, 200).astype(float)).p)


def just_inferior(chance: Chance) -> bool:
    found = drawn_pairs(chance, 400, 0.08, 0.12)
    return noninferiority_binary(found, 0.04).outcome == Outcome.PASS


def just_inferior_few(chance: Chance) -> bool:
    """So few pairs differ that the score test decides in nearly half of the cases."""
    return noninferiority_binary(drawn_pairs(chance, 400, 0.0, 0.02), 0.02).outcome == Outcome.PASS


def just_inferior_mean(chance: Chance) -> bool:
    first = chance.beta(2, 3, 200)
    second = first - 0.1 + chance.normal(0, 0.3, 200)
    return noninferiority_mean(first, second, 0.1).outcome == Outcome.PASS


# Several at once


def any_of_six(chance: Chance) -> bool:
    return any(p is not None and p < 0.05 for p in holm(chance.random(6).tolist()))


def any_discovery(chance: Chance) -> bool:
    return any(p is not None and p < 0.05 for p in benjamini_hochberg(chance.random(6).tolist()))


def equal_systems(chance: Chance) -> bool:
    """Four systems that are right equally often: any that leaves the tie is an error."""
    ability = chance.normal(size=(400, 1))
    right = chance.normal(size=(400, 4)) + ability > 0
    found = {}
    for i in range(4):
        for j in range(i + 1, 4):
            fixed, broken = int((right[:, j] > right[:, i]).sum()), int((right[:, i] > right[:, j]).sum())
            found[i, j] = paired_binary(Pairs(0, fixed, broken, 400 - fixed - broken))
    return any((rank.best, rank.worst) != (1, 4) for rank in rank_intervals(4, found))


# Agreement and preference

RATERS = np.array([[0.35, 0.06, 0.02], [0.05, 0.22, 0.05], [0.03, 0.04, 0.18]])


def kappa(weights: Any) -> Callable[[Chance], bool]:
    truth = cohen_kappa(RATERS * 1e6, weights).value

    def once(chance: Chance) -> bool:
        table = chance.multinomial(200, RATERS.ravel()).reshape(3, 3)
        return holds(cohen_kappa(table, weights), truth or 0.0)

    return once


def fleiss(chance: Chance) -> bool:
    """Five raters; six items in ten are passed by each with 0.85, else 0.25: κ = Var(p) / (p̄ (1 − p̄))."""
    passed = chance.binomial(5, np.where(chance.random(200) < 0.6, 0.85, 0.25))
    truth = 0.24 * 0.6**2 / (0.61 * 0.39)
    return holds(fleiss_kappa(np.stack([passed, 5 - passed], axis=1)), truth)


def alpha(level: Any, resamples: int = 1000) -> Callable[[Chance], bool]:
    """Three raters who each turn one verdict in ten: two agree on 82 %, by chance on half."""

    def once(chance: Chance) -> bool:
        verdicts = (chance.random(200) < 0.5) ^ (chance.random((3, 200)) < 0.1)
        found = krippendorff_alpha(verdicts, level, resamples=resamples, seed=seed_of(chance))
        return holds(found, 0.64)

    return once


STRENGTHS = np.array([0.6, 0.0, -0.6])


def comparisons(chance: Chance, n: int, tie: float) -> tuple[list[str], list[str], list[float]]:
    """n comparisons of three players with log-strengths 0.6, 0, −0.6 and this ν."""
    sides = np.array([(0, 1), (0, 2), (1, 2)])[chance.integers(0, 3, n)]
    first, second = np.array(["x", "y", "z"])[sides].T.tolist()
    return first, second, outcomes(chance, sides, np.full(n, tie)).tolist()


def outcomes(chance: Chance, sides: Any, tie: Any) -> Any:
    a, b = STRENGTHS[sides].T
    weight = np.stack([np.exp(a), np.exp(b), tie * np.exp((a + b) / 2)], axis=1)
    steps = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    return np.array([1, 0, 0.5])[(chance.random(len(sides))[:, None] > steps).sum(axis=1)]


def strength(n: int, tie: float, resamples: int = 1000) -> Callable[[Chance], bool]:
    """Any of the three players, by chance."""

    def once(chance: Chance) -> bool:
        drawn = comparisons(chance, n, tie)
        found = bradley_terry(*drawn, resamples=resamples, seed=seed_of(chance))
        at = int(chance.integers(3))
        return holds(found.interval["xyz"[at]], float(STRENGTHS[at]))

    return once


def strength_of_clusters(chance: Chance) -> bool:
    """200 items in both orders; seven times in ten the second verdict repeats the first."""
    sides, tie = np.array([(0, 1), (0, 2), (1, 2)])[chance.integers(0, 3, 200)], np.full(200, 0.8)
    once, fresh = outcomes(chance, sides, tie), outcomes(chance, sides, tie)
    again = np.where(chance.random(200) < 0.7, once, fresh)
    first, second = np.array(["x", "y", "z"])[sides].T.tolist()
    found = bradley_terry(
        first + second, second + first, [*once.tolist(), *(1 - again).tolist()],
        clusters=list(range(200)) * 2, resamples=1000, seed=seed_of(chance),
    )  # fmt: skip
    at = int(chance.integers(3))
    return holds(found.interval["xyz"[at]], float(STRENGTHS[at]))


# A judge's figures, corrected


def judged(chance: Chance, n: int) -> tuple[Any, Any]:
    """Six in ten are right; a judge turns 10 % of the right and 30 % of the wrong."""
    truth = chance.random(n) < 0.6
    judge = truth ^ (chance.random(n) < np.where(truth, 0.1, 0.3))
    return truth.astype(float), judge.astype(float)


def powered(tuned: bool) -> Callable[[Chance], bool]:
    def once(chance: Chance) -> bool:
        truth, judge = judged(chance, 1000)
        return holds(ppi_mean(truth[:200], judge[:200], judge[200:], tuned=tuned), 0.6)

    return once


def repeated(chance: Chance) -> tuple[Any, Any, Any, Any]:
    """300 items of five epochs, 200 of which have one response labelled: items, truths, judge, labelled."""
    item = np.repeat(np.arange(300), 5)
    right, wrong = chance.beta(0.6, 0.4, 300), chance.beta(0.3, 1.2, 300)
    truth = chance.random(1500) < right[item]
    judge = truth ^ (chance.random(1500) < wrong[item])
    labelled = np.zeros(1500, dtype=bool)
    labelled[chance.permutation(300)[:200] * 5] = True
    return item, truth.astype(float), judge.astype(float), labelled


def powered_clusters(chance: Chance) -> bool:
    item, truth, judge, mine = repeated(chance)
    names = item[mine], item[~mine]
    return holds(ppi_mean(truth[mine], judge[mine], judge[~mine], clusters=names), 0.6)


def corrected_share(chance: Chance) -> bool:
    hits, rejections = int(chance.binomial(200, 0.9)), int(chance.binomial(200, 0.85))
    passed = int(chance.binomial(500, 0.3 * 0.9 + 0.7 * 0.15))
    found = rogan_gladen(
        passed, 500, hits=hits, truly_positive=200, rejections=rejections, truly_negative=200
    )
    return holds(found, 0.3)


def corrected_clusters(chance: Chance) -> bool:
    item, truth, judge, mine = repeated(chance)
    people = np.where(mine, truth, np.nan)
    yes, no = people == 1, people == 0
    found = rogan_gladen(
        int(judge.sum()), 1500, hits=int(judge[yes].sum()), truly_positive=int(yes.sum()),
        rejections=int((1 - judge[no]).sum()), truly_negative=int(no.sum()),
        effect=rogan_gladen_effect(judge, people, item),
    )  # fmt: skip
    return holds(found, 0.6)


INTERVALS = (
    Case(wilson, "n = 200, shares 0.05 to 0.95", share(wilson, 200)),
    Case(wilson, "n = 1,000", share(wilson, 1000)),
    Case(clopper_pearson, "n = 200, shares 0.05 to 0.95", share(clopper_pearson, 200)),
    Case(clopper_pearson, "n = 1,000", share(clopper_pearson, 1000)),
    Case(t_interval, "n = 200, skewed", skewed_mean),
    Case(clustered_interval, "50 clusters of 4", clustered(50, 4)),
    Case(clustered_interval, "200 clusters of 3", clustered(200, 3)),
    Case(clustered_interval, "200 clusters of 1 to 4", uneven_clusters),
    Case(wald_interval, "200 pairs, 5 to 40 % either way", pairs(wald_interval, 0.05, 0.4)),
    Case(tango_interval, "200 pairs, 2 to 40 % either way", pairs(tango_interval, 0.02, 0.4)),
    Case(paired_binary, "200 pairs, 2 to 40 % either way", pairs(verdicts, 0.02, 0.4)),
    Case(paired_mean, "200 pairs, skewed", paired_values),
    Case(paired_mean, "200 clusters of 3", paired_clusters),
    Case(bootstrap, "mean of 200, skewed", skewed_bootstrap, full=4000, short=100),
    Case(bootstrap, "mean of 200 clusters of 2", clustered_bootstrap, full=1000, short=20),
    Case(bca_interval, "F1 of 200", f1_bca, full=4000, short=1000),
    Case(cohen_kappa, "n = 200", kappa("none")),
    Case(cohen_kappa, "n = 200, linear weights", kappa("linear")),
    Case(cohen_kappa, "n = 200, quadratic weights", kappa("quadratic")),
    Case(fleiss_kappa, "n = 200, five raters", fleiss),
    Case(krippendorff_alpha, "n = 200, nominal", alpha("nominal"), full=4000, short=300),
    Case(krippendorff_alpha, "n = 200, ordinal", alpha("ordinal"), full=2000, short=40),
    Case(krippendorff_alpha, "n = 200, interval", alpha("interval"), full=4000, short=300),
    Case(bradley_terry, "n = 200, ties", strength(200, 0.8), full=4000, short=150),
    Case(bradley_terry, "n = 200, no ties", strength(200, 0.0), full=4000, short=100),
    Case(bradley_terry, "n = 1,000, ties", strength(1000, 0.8), full=4000, short=50),
    Case(bradley_terry, "200 items in both orders", strength_of_clusters, full=4000, short=50),
    Case(ppi_mean, "200 labels of 1,000", powered(False)),
    Case(ppi_mean, "200 labels of 1,000, tuned", powered(True)),
    Case(ppi_mean, "300 items of five epochs, 200 labelled", powered_clusters, full=8000, short=500),
    Case(rogan_gladen, "n = 500, 200 labels of each kind", corrected_share),
    Case(rogan_gladen, "300 items of five epochs, 200 labelled", corrected_clusters, full=8000, short=500),
)
TESTS = (
    Case(mcnemar, "200 pairs, 2 to 40 % differ", equal_verdicts, 0.05),
    Case(sign_test, "n = 200, heavy tails", equal_signs, 0.05),
    Case(wilcoxon, "n = 20, heavy tails, exact", equal_ranks(20), 0.05, short=1000),
    Case(wilcoxon, "n = 200, heavy tails", equal_ranks(200), 0.05),
    Case(wilcoxon, "n = 200, ties and zeros", tied_ranks, 0.05),
    Case(paired_mean, "200 pairs, skewed", equal_means, 0.05),
    Case(paired_mean, "50 clusters of 4", equal_clusters, 0.05),
    Case(holm, "six true hypotheses", any_of_six, 0.05),
    Case(benjamini_hochberg, "six true hypotheses", any_discovery, 0.05),
    Case(rank_intervals, "four equal systems, 400 items", equal_systems, 0.05, short=1000),
    Case(noninferiority_binary, "400 pairs, worse by the margin", just_inferior, 0.025),
    Case(noninferiority_binary, "400 pairs, 2 % differ", just_inferior_few, 0.025),
    Case(noninferiority_mean, "200 pairs, worse by the margin", just_inferior_mean, 0.025),
)


def main(only: str = "") -> None:
    """Prints a table in Markdown, of the cases whose name contains `only`."""
    print("| Function: setting | Repetitions | Seen | Promised |\n| --- | --- | --- | --- |")
    for case in (*INTERVALS, *TESTS):
        if only not in case.name:
            continue
        seen, (low, high) = case.share(case.full), case.bounds
        told = f"{100 * seen:.2f} ± {200 * case.error(case.full):.2f} %"
        promised = f"{100 * low:g}–{100 * high:g} %" if low else f"≤ {100 * high:.2f} %"
        missed = "" if low <= seen <= high else ", missed"
        print(f"| {case.name} | {case.full:,} | {told} | {promised}{missed} |", flush=True)


if __name__ == "__main__":
    main(*argv[1:])
