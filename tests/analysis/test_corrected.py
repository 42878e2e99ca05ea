"""Corrections of a judge's figures: the authors' package, algebra, coverage."""

import numpy as np
import pytest

from analysis.stats.corrected import ppi_half_width, ppi_mean, rogan_gladen, rogan_gladen_effect
from analysis.stats.results import Interval

LABELS = np.arange(40) % 7 / 7
JUDGED = (np.arange(40) % 5) / 5 * 0.5 + LABELS * 0.6
OTHERS = (np.arange(200) * 3 % 11) / 11


def test_values_are_the_authors() -> None:
    """ppi_mean_pointestimate of ppi-python 0.2.3, with lam=1 and tuned."""
    assert ppi_mean(LABELS, JUDGED, OTHERS, tuned=False).value == pytest.approx(0.41564935, abs=1e-8)
    assert ppi_mean(LABELS, JUDGED, OTHERS).value == pytest.approx(0.41338484, abs=1e-8)


@pytest.mark.parametrize(
    "tuned, low, high", [(False, 0.34893411, 0.48236459), (True, 0.34835974, 0.47840994)]
)
def test_intervals_are_the_authors(tuned: bool, low: float, high: float) -> None:
    """ppi_mean_ci divides by n where we divide by n − 1: at 40 labels ours is up to 1.3 % wider."""
    found = ppi_mean(LABELS, JUDGED, OTHERS, tuned=tuned)
    assert found.half_width is not None
    assert 1 <= found.half_width / ((high - low) / 2) <= np.sqrt(40 / 39)
    assert (found.n, found.reason) == (240, "")


def test_a_perfect_judge_counts_as_people_do() -> None:
    chance = np.random.default_rng(1)
    truth = chance.normal(size=500)
    found = ppi_mean(truth[:100], truth[:100], truth[100:])
    everything = 1.96 * truth.std() / np.sqrt(500)
    assert found.half_width == pytest.approx(everything, rel=0.05)


def test_a_useless_judge_costs_nothing() -> None:
    chance = np.random.default_rng(2)
    labels = chance.normal(size=100)
    noise = chance.normal(size=1100) * 20
    found = ppi_mean(labels, noise[:100], noise[100:])
    assert found.half_width is not None and found.half_width <= 1.05 * 1.96 * labels.std(ddof=1) / 10


@pytest.mark.parametrize("tuned", [False, True])
def test_ppi_covers_where_the_judge_is_biased(tuned: bool) -> None:
    chance, held, naive = np.random.default_rng(3), [], []
    for _ in range(3000):
        truth = chance.random(1000) < 0.6
        judge = np.where(chance.random(1000) < np.where(truth, 0.1, 0.3), ~truth, truth).astype(float)
        found = ppi_mean(truth[:200].astype(float), judge[:200], judge[200:], tuned=tuned)
        held.append(found.low is not None and found.high is not None and found.low <= 0.6 <= found.high)
        naive.append(abs(judge.mean() - 0.6) < 1.96 * judge.std() / np.sqrt(1000))
    assert 0.94 <= np.mean(held) <= 0.96 and np.mean(naive) < 0.5


def test_ppi_without_much() -> None:
    assert ppi_mean([], [], [1.0, 2.0]).reason == "no labels"
    single = ppi_mean([1.0], [0.5], [0.5, 0.7], tuned=False)
    assert single.value == pytest.approx(1.1) and (single.low, single.reason) == (
        None,
        "a single label has no spread",
    )
    assert ppi_mean([1.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0]).reason == "only 3 labels"
    assert ppi_mean([1.0, 1.0], [1.0, 1.0], [1.0]).reason == "no spread"
    assert ppi_mean([1.0, 0.0], [1.0, 0.0], []).value == 0.5
    assert ppi_mean([1.0, 0.0], [1.0, 0.0], [], tuned=False).reason == "no items beyond the labelled"
    with pytest.raises(ValueError, match="labels has 1, judged has 2"):
        ppi_mean([1.0], [1.0, 2.0], [])


def test_rogan_gladen_undoes_known_errors() -> None:
    """A true share of 0.3 seen at 0.9 and 0.8 shows as 0.3 · 0.9 + 0.7 · 0.2 = 0.41."""
    found = rogan_gladen(410, 1000, hits=90, truly_positive=100, rejections=80, truly_negative=100)
    assert found.value == pytest.approx(0.3, abs=1e-12)
    assert found.low is not None and found.high is not None and found.low < 0.3 < found.high


def test_rogan_gladen_of_a_nearly_sure_judge_is_the_share() -> None:
    found = rogan_gladen(300, 1000, hits=10**7, truly_positive=10**7, rejections=10**7, truly_negative=10**7)
    assert (found.low, found.high) == pytest.approx((0.3 - 0.0284, 0.3 + 0.0284), abs=1e-3)


@pytest.mark.parametrize(
    "share, sensitivity, specificity", [(0.3, 0.9, 0.85), (0.6, 0.95, 0.8), (0.5, 0.8, 0.9)]
)
def test_rogan_gladen_covers(share: float, sensitivity: float, specificity: float) -> None:
    chance, held = np.random.default_rng(4), []
    passed = share * sensitivity + (1 - share) * (1 - specificity)
    draws = zip(
        chance.binomial(500, passed, 4000), chance.binomial(200, sensitivity, 4000),
        chance.binomial(200, specificity, 4000), strict=True,
    )  # fmt: skip
    for positive, hits, rejections in draws:
        found = rogan_gladen(
            int(positive),
            500,
            hits=int(hits),
            truly_positive=200,
            rejections=int(rejections),
            truly_negative=200,
        )
        held.append(found.low is not None and found.high is not None and found.low <= share <= found.high)
    assert 0.94 <= np.mean(held) <= 0.965


def test_rogan_gladen_refuses_to_guess() -> None:
    known = {"hits": 5, "truly_positive": 10, "rejections": 5, "truly_negative": 10}
    assert rogan_gladen(0, 0, **known).reason == "no data"
    assert "as readily" in rogan_gladen(5, 10, **known).reason
    assert (
        rogan_gladen(5, 10, **(known | {"truly_positive": 0, "hits": 0})).reason
        == "needs labelled items of both kinds"
    )
    few = rogan_gladen(5, 10, **(known | {"hits": 9, "rejections": 9}))
    assert few.reason == "few labelled items of one kind"
    vague = rogan_gladen(5, 10, hits=1, truly_positive=1, rejections=1, truly_negative=100)
    assert (vague.low, vague.reason) == (None, "too few labelled items to tell how the judge errs")
    cut = rogan_gladen(0, 100, **(known | {"hits": 9, "rejections": 9}))
    assert cut.value == 0.0 and cut.low == 0.0
    with pytest.raises(ValueError, match="11 of 10"):
        rogan_gladen(11, 10, **known)


# Clusters


def test_clusters_of_one_change_nothing() -> None:
    names = (np.arange(40), np.arange(40, 240))
    alone, together = ppi_mean(LABELS, JUDGED, OTHERS), ppi_mean(LABELS, JUDGED, OTHERS, clusters=names)
    assert (alone.low, alone.high, alone.reason) == (together.low, together.high, together.reason)
    assert ppi_half_width(LABELS, JUDGED, OTHERS, 9, clusters=names) == ppi_half_width(
        LABELS, JUDGED, OTHERS, 9
    )
    truth = np.array([1.0, 0.0] * 20 + [np.nan] * 60)
    assert rogan_gladen_effect([1.0, 0.0, 1.0, 1.0] * 25, truth, np.arange(100)) == 1


def test_what_is_repeated_counts_once() -> None:
    """Ten copies of everything: the width is that of one copy, up to t and its factor for few."""
    chance = np.random.default_rng(7)
    y, f, g = (chance.random(size).round() for size in (60, 60, 300))
    copies = [np.tile(each, 10) for each in (y, f, g)]
    names = (np.tile(np.arange(60), 10), np.tile(np.arange(60, 360), 10))
    once, tenfold = ppi_mean(y, f, g), ppi_mean(*copies, clusters=names)
    assert tenfold.value == pytest.approx(once.value, abs=1e-3)
    assert tenfold.half_width == pytest.approx(once.half_width, rel=0.03)
    half = ppi_half_width(*copies, clusters=names)
    assert half == pytest.approx(tenfold.half_width)
    assert ppi_mean(y[:5], f[:5], g, clusters=(np.zeros(5), names[1][:300])).reason.endswith("no spread")
    assert ppi_mean(y, f, g, clusters=(np.arange(60) // 4, names[1][:300])).reason == "only 15 labelled items"


@pytest.mark.parametrize("items, epochs, labelled", [(100, 5, 120), (60, 5, 60), (40, 10, 100)])
def test_intervals_cover_where_epochs_repeat_items(items: int, epochs: int, labelled: int) -> None:
    """Hard and easy items, and a judge who errs on some items more than on others; some responses have
    labels. As if they were independent, the interval would hold the truth in 76 to 87 of 100 cases."""
    chance, naive, held, rogan = np.random.default_rng(8), [], [], []
    item = np.repeat(np.arange(items), epochs)
    for _ in range(600):
        right, wrong = chance.beta(0.6, 0.4, items), chance.beta(0.3, 1.2, items)
        truth = chance.random(len(item)) < right[item]
        judge = np.where(chance.random(len(item)) < wrong[item], ~truth, truth).astype(float)
        order = chance.permutation(len(item))
        mine, rest = order[:labelled], order[labelled:]
        known = truth[mine].astype(float), judge[mine], judge[rest]
        naive.append(_holds(ppi_mean(*known)))
        held.append(_holds(ppi_mean(*known, clusters=(item[mine], item[rest]))))
        people = np.full(len(item), np.nan)
        people[mine] = truth[mine]
        yes, no = people == 1, people == 0
        found = rogan_gladen(
            int(judge.sum()), len(item), hits=int(judge[yes].sum()), truly_positive=int(yes.sum()),
            rejections=int((1 - judge[no]).sum()), truly_negative=int(no.sum()),
            effect=rogan_gladen_effect(judge, people, item),
        )  # fmt: skip
        rogan.append(_holds(found))
    assert np.mean(naive) < 0.9
    assert 0.92 <= np.mean(held) <= 0.975  # Monte Carlo error of 600 simulations
    assert 0.94 <= np.mean(rogan) <= 0.99


def _holds(found: Interval) -> bool:
    return found.low is not None and found.high is not None and found.low <= 0.6 <= found.high
