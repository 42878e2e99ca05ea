"""How far a run's judges agree: panels and judges of a kind, by hand, and on the run's page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from analysis.selectors_agreement import Raters, among, judges_agree, raters_of
from judges.kinds.base import JudgeVerdict
from judges.models import JudgeVersion
from runs.models import Run, Score
from tests.analysis.conftest import Made
from tests.judges.frozen import frozen
from workspaces.models import User

LABELS = {"labels": [{"label": "Correct", "passes": True}, {"label": "Wrong", "passes": False}]}


def verdicts(passes: str) -> dict[int, JudgeVerdict]:
    """`1`, `0`, and `-` for none, by trial."""
    return {
        at: JudgeVerdict(float(each), each == "1", "Correct" if each == "1" else "Wrong")
        for at, each in enumerate(passes)
        if each != "-"
    }


def test_two_judges_by_hand() -> None:
    """Of ten with both verdicts eight alike where each passes half: kappa (0.8 − 0.5) / 0.5."""
    raters = Raters("panel", ["a", "b"], "classify", LABELS)
    found = among(raters, [verdicts("1111100000-1"), verdicts("11110100001-")])
    assert (found.same.correct, found.same.n, found.partly) == (8, 10, 2)
    assert found.kappa.value == pytest.approx(0.6) and found.kappa.method == "Cohen's kappa"
    # Krippendorff: 10 ratings of each, 4 of 20 beside another: 1 − (4 / 20) / (2 · 10 · 10 / (20 · 19))
    assert found.alpha.n == 10 and found.alpha.value == pytest.approx(1 - 0.2 / (200 / 380))


def test_three_judges_have_fleiss_and_alpha_counts_pairs() -> None:
    raters = Raters("panel", ["a", "b", "c"], "classify", LABELS)
    found = among(raters, [verdicts("110-"), verdicts("1101"), verdicts("1001")])
    assert found.kappa.method == "Fleiss' kappa" and (found.kappa.n, found.alpha.n, found.partly) == (3, 4, 1)
    nothing = among(raters, [{}, {}, {}])
    assert nothing.same.value is None and nothing.alpha.value is None


def test_scores_are_numbers() -> None:
    def scores(*values: float) -> dict[int, JudgeVerdict]:
        return {at: JudgeVerdict(value, None, f"{value:g}") for at, value in enumerate(values)}

    fields = frozen("score", threshold=None)
    pair = among(Raters("p", ["a", "b"], "score", fields), [scores(1, 3, 5), scores(1, 4, 5)])
    assert "quadratic" in pair.kappa.method and "interval" in pair.alpha.method
    trio = among(Raters("p", ["a", "b", "c"], "score", fields), [scores(1, 3)] * 3)
    assert trio.kappa.value is None and trio.alpha.value == 1


@pytest.fixture
def judged_twice(judged_run: Made, dataset: Any, judge: JudgeVersion) -> Callable[..., Run]:
    """A run with a second judge, of a panel or not, that says what is given by item."""

    def make(said: Sequence[int], **entry: Any) -> Run:
        run = judged_run(dataset(len(said)), judge, [1, 0] * (len(said) // 2))
        first = run.config["judges"][0]
        run.config["judges"] = [_changed(first, entry), _changed(first, entry | {"name": "second"})]
        if entry.get("panel"):
            run.config["judges"].insert(0, first | {"name": entry["panel"], "judging": None})
        run.save(update_fields=["config"])
        Score.objects.bulk_create(
            Score(
                run=run, trial=t, scorer="second", value=n, passed=bool(n), answer="Correct" if n else "Wrong"
            )
            for t, n in zip(run.trials.order_by("seq"), said, strict=True)
        )
        return run

    return make


def _changed(entry: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, **more}


def test_who_is_compared(
    judged_twice: Callable[..., Run], judged_run: Made, dataset: Any, judge: Any
) -> None:
    assert raters_of(judged_run(dataset(2), judge, [1, 0])) == []
    [alone] = raters_of(judged_twice([1, 0]))
    assert (alone.by_pass, alone.names) == (True, ["grader", "second"])
    [panel] = raters_of(judged_twice([1, 0], panel="jury"))
    assert (panel.title, panel.names, panel.kind) == ("jury", ["grader", "second"], "classify")
    [pair] = raters_of(judged_twice([1, 0], kind="compare", opponent=7))
    assert pair.title == "Judges that compare with #7" and pair.kind == "compare"


def test_on_the_runs_page(
    judged_twice: Callable[..., Run],
    viewer: User,
    outsider: User,
    client_of: Callable[[User], Client],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    run = judged_twice([1, 0] * 9 + [0, 1], panel="jury")
    client, url = client_of(viewer), f"/w/alpha/review/runs/{run.pk}/agreement/"
    assert f'hx-get="{url}"' in client.get(f"/w/alpha/runs/{run.pk}/").content.decode()
    with django_assert_max_num_queries(10):
        part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith("<section") and "jury" in part and "90.0" in part and "0.80" in part
    assert "Cohen&#x27;s" in part and "<html" in client.get(url).content.decode()
    assert judges_agree(run)[0].same.correct == 18
    assert client_of(outsider).get(url.replace("alpha", "beta")).status_code == 404
