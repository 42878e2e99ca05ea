"""Metrics over trials: published formulas, values of other packages, and what each denominator says."""

import json
import math
import random
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from judges.metrics import METRICS, Estimate, build_metric, proportion
from judges.metrics.bootstrap import bootstrap_interval
from judges.metrics.clustered import ClusterSums, clustered_mean, clustered_share, share_from_sums
from judges.metrics.epochs import PassAtK, PassHatK
from judges.metrics.trials import ScoredTrial, by_section
from judges.options import BadOptions, option_fields
from judges.scorers import Subject, build_scorer
from tests.conftest import SHARED


def trial(item: int, passed: bool | None = True, **fields: Any) -> ScoredTrial:
    value = fields.pop("value", None if passed is None else float(passed))
    return ScoredTrial(item, passed=passed, value=value, **fields)


TRIALS = st.lists(
    st.builds(
        ScoredTrial,
        item=st.integers(0, 8),
        epoch=st.integers(1, 3),
        section=st.sampled_from(["", "a", "b"]),
        value=st.none() | st.floats(0, 1),
        passed=st.none() | st.booleans(),
        answer=st.sampled_from(["", "x", "y", "Z "]),
        response=st.sampled_from(["", "the cat sat", "x"]),
        references=st.sampled_from([(), ("x",), ("x", "y"), ("the cat",)]),
        metadata=st.sampled_from([{}, {"doc": 1}, {"doc": "2"}]),
        errored=st.booleans(),
    ),
    max_size=12,
)


@pytest.mark.parametrize("key", list(METRICS))
class TestEveryMetric:
    @settings(max_examples=25, deadline=None)
    @given(trials=TRIALS, cluster=st.sampled_from(["", "doc", "missing"]))
    def test_is_consistent(self, key: str, trials: list[ScoredTrial], cluster: str) -> None:
        metric = build_metric(key, {"cluster": cluster})
        for found in (by_section(metric, trials).overall, *by_section(metric, trials).sections.values()):
            assert isinstance(found, Estimate) and found.denominator and str(found.n) in found.denominator
            assert (found.low is None) == (found.high is None) == (not found.interval)
            if found.value is None:
                assert found.low is None
            else:
                assert math.isfinite(found.value) and found.n > 0
            if found.low is not None and found.high is not None:
                assert found.low <= found.high
                if metric.unit == "share":
                    assert found.low >= 0 and found.high <= 1
            json.dumps(found.as_dict(), allow_nan=False)

    def test_describes_itself_and_has_nothing_without_trials(self, key: str) -> None:
        kind = METRICS[key]
        assert kind.key == key and kind.title and kind.description.endswith(".")
        assert all(field.help for field in option_fields(kind))
        empty = build_metric(key).compute([])
        assert (empty.value, empty.n) == (None, 0) and empty.denominator.startswith("0 ")

    def test_same_trials_same_figure(self, key: str) -> None:
        trials = [
            trial(n, n % 3 > 0, answer="xy"[n % 2], response="the cat", references=("x",)) for n in range(20)
        ]
        assert build_metric(key).compute(trials) == build_metric(key).compute(trials)


class TestClusters:
    VALUES = [1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0]
    GROUPS = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 5]

    def test_is_statsmodels(self) -> None:
        """OLS on a constant, cov_type="cluster", use_correction, use_t, by statsmodels 0.15.0."""
        found = clustered_mean(self.VALUES, self.GROUPS)
        assert found.value == pytest.approx(0.58333333)
        assert (found.low, found.high) == pytest.approx((0.38778255, 0.77888412), abs=1e-8)
        assert found.interval == "t interval, clustered standard error"

    @given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
    def test_clusters_of_one_are_the_plain_t_interval(self, values: list[float]) -> None:
        found = clustered_mean(values, range(len(values)))
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        assert found.high is not None and found.value is not None
        assert found.high - found.value == pytest.approx(half, abs=1e-6)

    @given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=15), st.integers(2, 5))
    def test_copies_add_nothing(self, values: list[float], copies: int) -> None:
        """Epochs that always agree tell no more than one: the interval stays, though n grows."""
        once = clustered_mean(values, range(len(values)))
        often = clustered_mean(values * copies, list(range(len(values))) * copies)
        assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=1e-6)
        assert often.n == copies * once.n

    def test_share_without_clusters_is_wilson(self) -> None:
        found = clustered_share([1, 0, 1], [1, 2, 3])
        assert (found.low, found.high) == (proportion(2, 3).low, proportion(2, 3).high)
        assert (found.correct, found.interval) == (2, "Wilson")

    @given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60))
    def test_a_share_follows_from_its_sums(self, rows: list[tuple[int, bool]]) -> None:
        groups: dict[int, list[bool]] = {}
        for item, hit in rows:
            groups.setdefault(item, []).append(hit)
        parts = [(len(hits), sum(hits)) for hits in groups.values()]
        sums = ClusterSums(
            len(rows), sum(h for _, h in parts), len(parts), sum(n * n for n, _ in parts),
            sum(n * h for n, h in parts), sum(h * h for _, h in parts),
        )  # fmt: skip
        wanted = clustered_share([float(hit) for _, hit in rows], [item for item, _ in rows])
        given_ = share_from_sums(sums)
        assert (given_.n, given_.correct, given_.interval) == (wanted.n, wanted.correct, wanted.interval)
        for name in ("value", "low", "high"):
            assert getattr(given_, name) == pytest.approx(getattr(wanted, name), abs=1e-9)

    def test_all_right_in_few_clusters_is_not_certain(self) -> None:
        found = clustered_share([1] * 100, [n % 4 for n in range(100)])
        assert found.low == proportion(4, 4).low and found.n == 100 and found.correct == 100

    def test_interval_covers(self) -> None:
        """400 draws of 30 documents of 5 items that share their fate in part: 95 % within 3 errors."""
        chance, hits = np.random.default_rng(5), 0
        for _ in range(400):
            documents = chance.beta(2, 2, size=30)
            values = (chance.random((30, 5)) < documents[:, None]).astype(float).ravel()
            found = clustered_share(values.tolist(), np.repeat(np.arange(30), 5).tolist())
            assert found.low is not None and found.high is not None
            hits += found.low <= 0.5 <= found.high
        assert hits / 400 == pytest.approx(0.95, abs=0.035)


class TestShares:
    def test_accuracy_says_what_it_leaves_out(self) -> None:
        trials = [trial(1), trial(2, False), trial(3, None), trial(4, None, errored=True)]
        found = build_metric("accuracy").compute(trials)
        assert (found.value, found.n, found.correct) == (0.5, 2, 1)
        assert found.denominator == "2 scored trials; 1 unscored and 1 errored not counted"

    def test_epochs_are_clusters_of_themselves_and_a_key_widens(self) -> None:
        chance = random.Random(3)
        trials = [
            trial(
                item, chance.random() < (0.9 if item % 4 else 0.2), epoch=epoch, metadata={"doc": item // 8}
            )
            for item in range(32)
            for epoch in (1, 2, 3)
        ]
        by_item = build_metric("accuracy").compute(trials)
        by_document = build_metric("accuracy", {"cluster": "doc"}).compute(trials)
        assert by_item.interval == by_document.interval == "t interval, clustered standard error"
        assert by_item.value == by_document.value and by_item.low != by_document.low

    def test_items_without_the_key_stand_alone(self) -> None:
        found = build_metric("accuracy", {"cluster": "doc"}).compute([trial(1), trial(2, False)])
        assert found.interval == "Wilson"

    def test_exact_match_and_answer_rate(self) -> None:
        trials = [
            trial(1, response="It is Paris.", answer="Paris", references=("paris",)),
            trial(2, response="paris!", references=("Paris",)),
            trial(3, response="Rome", references=("Paris",)),
            trial(4, response="", references=("Paris",)),
            trial(5, response="x"),
            trial(6, None, errored=True, references=("Paris",)),
        ]
        exact = build_metric("exact_match").compute(trials)
        assert (exact.correct, exact.n) == (2, 4)
        assert exact.denominator.endswith("1 without reference and 1 errored not counted")
        answered = build_metric("answer_rate").compute(trials)
        assert (answered.correct, answered.n) == (4, 5)


class TestValues:
    def test_mean_and_sd(self) -> None:
        values = [0.2, 0.4, 0.9, 0.9, 0.1]
        trials = [trial(n, True, value=value) for n, value in enumerate(values)]
        mean, spread = build_metric("mean").compute(trials), build_metric("sd").compute(trials)
        expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
        assert (mean.low, mean.high) == pytest.approx(expected) and mean.interval == "t interval"
        assert spread.value == pytest.approx(np.std(values, ddof=1))
        assert spread.interval == "percentile bootstrap, 2,000 resamples"

    def test_bootstrap_is_near_the_t_interval(self) -> None:
        chance = np.random.default_rng(1)
        values = chance.normal(5, 2, size=200)
        rows = np.column_stack([np.ones(200), values])
        low, high = bootstrap_interval(rows, range(200), lambda sums: float(sums[1] / sums[0]))
        expected = stats.t.interval(0.95, 199, loc=values.mean(), scale=stats.sem(values))
        assert (low, high) == pytest.approx(expected, abs=0.05)

    def test_bootstrap_draws_whole_clusters(self) -> None:
        values = np.repeat(np.arange(10.0), 20)
        rows = np.column_stack([np.ones(200), values])
        mean = lambda sums: float(sums[1] / sums[0])  # noqa: E731
        alone = bootstrap_interval(rows, range(200), mean)
        together = bootstrap_interval(rows, values.tolist(), mean)
        assert together[1] - together[0] > 3 * (alone[1] - alone[0])  # type: ignore[operator]

    def test_bootstrap_needs_two_clusters_and_figures(self) -> None:
        assert bootstrap_interval([[1.0]], ["a"], lambda sums: 1.0) == (None, None)
        assert bootstrap_interval([[1.0], [2.0]], "ab", lambda sums: None) == (None, None)


class TestLabels:
    WANTED = ["a", "b", "c", "a", "b", "c", "a", "a", "b", "c", "c", "c"]

    def f1(self, given: str, average: str, answers: str = "") -> Estimate:
        trials = [
            trial(n, one == two, answer="" if one == "-" else one, references=(two.upper(),))
            for n, (one, two) in enumerate(zip(given.split(), self.WANTED, strict=True))
        ]
        found: Estimate = build_metric("f1", {"average": average}).compute(trials)
        return found

    def test_is_sklearns(self) -> None:
        """sklearn 1.9.1, f1_score."""
        given = "a b a a c c b a b c c b"
        assert self.f1(given, "macro").value == pytest.approx(0.6626984126984127)
        assert self.f1(given, "micro").value == pytest.approx(0.6666666666666666)

    def test_foreign_answers_miss(self) -> None:
        """sklearn 1.9.1, f1_score(labels=[a, b, c]): “x”, like no answer, is a miss and no label."""
        for foreign in "x-":
            given = "a b x a c c b a b c x b".replace("x", foreign)
            assert self.f1(given, "macro").value == pytest.approx(0.6428571428571428)
            assert self.f1(given, "micro").value == pytest.approx(0.6363636363636364)
            assert "2 answers are none of the labels" in self.f1(given, "macro").denominator

    def test_interval_holds_the_figure(self) -> None:
        found = self.f1("a b a a c c b a b c c b", "macro")
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low < found.value < found.high and found.n == 12
        assert found.denominator == "12 trials with a reference over 3 labels"


class TestEpochs:
    @given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
    def test_estimators_are_the_mean_over_all_draws(self, ncK: tuple[int, int, int]) -> None:
        n, c, k = ncK
        draws = list(combinations([True] * c + [False] * (n - c), k))
        assert PassAtK.share(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))
        assert PassHatK.share(n, c, k) == pytest.approx(sum(map(all, draws)) / len(draws))

    @given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
    def test_is_the_product_of_the_paper(self, ncK: tuple[int, int, int]) -> None:
        """The stable form of arXiv 2107.03374, figure 3."""
        n, c, k = ncK
        product = 1.0 if n - c < k else 1 - float(np.prod(1 - k / np.arange(n - c + 1, n + 1)))
        assert PassAtK.share(n, c, k) == pytest.approx(product, abs=1e-12)
        assert PassHatK.share(n, c, k) <= PassAtK.share(n, c, k) + 1e-12

    def trials(self) -> list[ScoredTrial]:
        rows = {1: "aab", 2: "bbb", 3: "cab", 4: "-a-"}
        return [
            trial(item, said == "a", epoch=epoch, answer="" if said == "-" else said)
            for item, answers in rows.items()
            for epoch, said in enumerate(answers, 1)
        ]

    @pytest.mark.parametrize(
        ("key", "k", "value"),
        [
            ("pass_at_k", 1, (2 / 3 + 0 + 1 / 3 + 1 / 3) / 4),
            ("pass_at_k", 2, (1 + 0 + 2 / 3 + 2 / 3) / 4),
            ("pass_at_k", 3, 3 / 4),
            ("pass_hat_k", 1, (2 / 3 + 0 + 1 / 3 + 1 / 3) / 4),
            ("pass_hat_k", 2, (1 / 3) / 4),
            ("pass_hat_k", 3, 0.0),
        ],
    )
    def test_of_k(self, key: str, k: int, value: float) -> None:
        found = build_metric(key, {"k": k}).compute(self.trials())
        assert found.value == pytest.approx(value) and found.n == 4
        assert found.denominator == f"4 items with at least {k} scored epoch{'s' * (k > 1)}"

    def test_items_with_too_few_epochs_are_named(self) -> None:
        found = build_metric("pass_at_k", {"k": 3}).compute([*self.trials(), trial(9), trial(10, None)])
        assert found.denominator == "4 items with at least 3 scored epochs; 2 with fewer not counted"
        assert build_metric("pass_at_k", {"k": 4}).compute(self.trials()).value is None

    def test_majority(self) -> None:
        """Item 1 votes a, 2 votes b, 3 is a tie that its first answer (c) takes, 4 has one vote: a."""
        found = build_metric("majority_vote").compute(list(reversed(self.trials())))
        assert (found.correct, found.n, found.interval) == (2, 4, "Wilson")
        assert found.denominator == "4 items with 3 scored epochs each"

    @pytest.mark.parametrize("k", [0, 1_001])
    def test_k_has_bounds(self, k: int) -> None:
        with pytest.raises(BadOptions, match="from 1 to"):
            build_metric("pass_at_k", {"k": k})


def test_sections_keep_their_order_and_add_up() -> None:
    trials = [trial(n, n % 2 == 0, section="ba"[n % 2] if n < 6 else "c") for n in range(10)]
    found = by_section(build_metric("accuracy"), trials)
    assert list(found.sections) == ["b", "a", "c"]
    assert sum(each.n for each in found.sections.values()) == found.overall.n == 10
    assert (found.sections["b"].value, found.sections["a"].value) == (1.0, 0.0)


class TestCorpus:
    def test_no_response_counts_against_it(self) -> None:
        full = [
            trial(n, response="the cat sat on the mat", references=("the cat sat on the mat",))
            for n in (1, 2)
        ]
        assert build_metric("corpus_bleu").compute(full).value == pytest.approx(100)
        half = [full[0], trial(2, response="", references=("the cat sat on the mat",))]
        found = build_metric("corpus_bleu").compute(half)
        assert found.value is not None and found.value < 50 and found.n == 2

    @pytest.mark.shared
    @pytest.mark.parametrize(
        ("key", "options", "arguments"),
        [
            ("corpus_bleu", {}, ["-m", "bleu"]),
            ("corpus_bleu", {"tokenize": "intl"}, ["-m", "bleu", "-tok", "intl"]),
            ("corpus_chrf", {}, ["-m", "chrf"]),
            ("corpus_chrf", {"word_order": "2"}, ["-m", "chrf", "--chrf-word-order", "2"]),
        ],
    )
    def test_is_sacrebleus_command_line(
        self, key: str, options: dict[str, Any], arguments: list[str], tmp_path: Path
    ) -> None:
        lines = (SHARED / "data" / "gsm8k" / "example_model_solutions.jsonl").read_text().splitlines()[:300]
        rows = [json.loads(line) for line in lines]
        cases = [
            (" ".join(r["6b_finetuning"]["solution"].split()), " ".join(r["ground_truth"].split()))
            for r in rows
        ]
        for name, column in (("given", 0), ("wanted", 1)):
            (tmp_path / name).write_text("".join(case[column] + "\n" for case in cases))
        command = [sys.executable, "-m", "sacrebleu", "wanted", "-i", "given", "-b", "-w", "6", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        trials = [trial(n, response=one, references=(two,)) for n, (one, two) in enumerate(cases)]
        found = build_metric(key, options).compute(trials)
        assert found.value == pytest.approx(float(done.stdout), abs=1e-5) and found.n == 300
        assert found.low is not None and found.high is not None
        assert found.low < found.value < found.high and found.high - found.low < 6
        sentence = build_scorer("bleu").score(Subject(*[cases[0][0], [cases[0][1]]])).value
        assert sentence != found.value
