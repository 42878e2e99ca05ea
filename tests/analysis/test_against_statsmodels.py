"""Everything that statsmodels also has, on drawn data, to 1e-9: an implementation that shares no line."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from analysis.stats.agreement import cohen_kappa
from analysis.stats.bradley_terry import bradley_terry
from analysis.stats.intervals import clopper_pearson, clustered_interval, wilson
from analysis.stats.multiplicity import benjamini_hochberg, holm
from analysis.stats.noninferiority import noninferiority_binary
from analysis.stats.paired import mcnemar, paired_mean, pairs_of, sign_test, wald_interval

api = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
descriptive = pytest.importorskip("statsmodels.stats.descriptivestats")
inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
multitest = pytest.importorskip("statsmodels.stats.multitest")
proportion = pytest.importorskip("statsmodels.stats.proportion")
weightstats = pytest.importorskip("statsmodels.stats.weightstats")


def drawn(count: int = 20) -> Iterator[Any]:
    for seed in range(count):
        yield np.random.default_rng(seed)


def near(found: Any) -> Any:
    return pytest.approx(found, abs=1e-9)


def test_shares() -> None:
    for rng in drawn():
        n = int(rng.integers(1, 3000))
        k = int(rng.integers(0, n + 1))
        for ours, method in ((wilson(k, n), "wilson"), (clopper_pearson(k, n), "beta")):
            low, high = proportion.proportion_confint(k, n, method=method)
            assert (ours.low, ours.high) == near((np.nan_to_num(low), 1.0 if k == n else high))


def test_mcnemar_and_signs() -> None:
    for rng in drawn():
        both, fixed, broken, neither = (int(count) for count in rng.integers(0, 90, 4))
        theirs = contingency.mcnemar([[both, broken], [fixed, neither]], exact=True).pvalue
        if fixed + broken:
            assert mcnemar(fixed, broken).p == near(theirs)
        values = rng.normal(0.1, 1, 40).round(1)
        assert sign_test(values).p == near(descriptive.sign_test(values)[1])


def test_adjusted_p() -> None:
    for rng in drawn():
        p = rng.uniform(0, 0.2, int(rng.integers(1, 28)))
        assert holm(list(p)) == near(list(multitest.multipletests(p, method="holm")[1]))
        assert benjamini_hochberg(list(p)) == near(list(multitest.multipletests(p, method="fdr_bh")[1]))


def test_paired_means() -> None:
    for rng in drawn():
        first, second = rng.normal(0, 1, (2, 50))
        found, theirs = paired_mean(first, second), weightstats.DescrStatsW(second - first)
        assert (found.interval.low, found.interval.high) == near(theirs.tconfint_mean())
        assert found.test.p == near(theirs.ttest_mean(0)[1])


def test_paired_shares() -> None:
    """The z test and interval of −1, 0 and 1, with n where a sample's variance has n − 1."""
    for rng in drawn():
        first, second = (rng.random((2, 300)) < 0.5).astype(float)
        found, changes = noninferiority_binary(pairs_of(first, second), 0.05), second - first
        theirs = weightstats.ztest(changes, value=-0.05, alternative="larger", ddof=0)
        assert found.p == near(theirs[1])
        interval = wald_interval(pairs_of(first, second))
        assert (interval.low, interval.high) == near(weightstats.zconfint(changes, ddof=0))


def test_bradley_terry() -> None:
    """Without ties it is a logistic regression without a constant; the first player's strength is 0 there."""
    for rng in drawn(8):
        sides = np.array([rng.choice(4, 2, replace=False) for _ in range(300)])
        won = (rng.random(300) < 1 / (1 + np.exp((sides[:, 0] - sides[:, 1]) / 2))).astype(float)
        design = (sides[:, [0]] == np.arange(1, 4)).astype(float) - (sides[:, [1]] == np.arange(1, 4))
        theirs = np.append(0.0, api.Logit(won, design).fit(disp=0, tol=1e-14).params)
        first, second = np.array(list("abcd"))[sides].T.tolist()
        ours = bradley_terry(first, second, won.tolist(), resamples=2).interval
        assert [ours[name].value for name in "abcd"] == near(list(theirs - theirs.mean()))


def test_clustered_means() -> None:
    for rng in drawn(8):
        clusters = rng.integers(0, 15, 120)
        values = rng.normal(0, 1, 120) + clusters / 10
        kinds = {"groups": clusters, "use_correction": True}
        fitted = api.OLS(values, np.ones(120)).fit(cov_type="cluster", cov_kwds=kinds, use_t=True)
        ours = clustered_interval(values, clusters)
        assert ours.value == near(fitted.params[0])
        assert (ours.low, ours.high) == near(tuple(fitted.conf_int()[0]))


def test_kappa() -> None:
    for rng in drawn():
        table = rng.integers(1, 40, (3, 3))
        for weights, theirs in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
            found = inter_rater.cohens_kappa(table, wt=theirs)
            ours = cohen_kappa(table, weights)  # type: ignore[arg-type]
            off = 1.959963984540054 * found.std_kappa / (1 - found.kappa**2)
            low, high = np.tanh(np.arctanh(found.kappa) - off), np.tanh(np.arctanh(found.kappa) + off)
            assert (ours.value, ours.low, ours.high) == near((found.kappa, low, high))
