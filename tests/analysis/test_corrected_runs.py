"""A judge's figure on a run, raw and corrected by people: by hand, and as a fragment of the run's page."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from analysis.selectors_corrected import corrected, corrected_of
from analysis.stats.corrected import ppi_half_width, ppi_mean
from judges.kinds.base import JudgeVerdict
from judges.models import JudgeVersion
from tests.analysis.conftest import Made
from tests.judges.frozen import frozen
from workspaces.models import User

ClientOf = Callable[[User], Client]


def test_more_labels_narrow_it() -> None:
    """With none more, it is the interval's own half; of a judge that follows nobody it shrinks by √n."""
    labels, judged = [1.0, 0, 1, 1, 0, 1, 0, 0], [1.0, 0, 1, 0, 0, 1, 1, 0]
    others = [1.0] * 30 + [0.0] * 30
    now = ppi_mean(labels, judged, others)
    assert ppi_half_width(labels, judged, others) == pytest.approx(now.half_width)
    assert (ppi_half_width(labels, judged, others, 20) or 1) < (now.half_width or 0)
    flat = [0.5] * 8
    alone = [ppi_half_width(labels, flat, [0.5] * 60, more) or 0 for more in (0, 24)]
    assert alone[1] == pytest.approx(alone[0] / 2)
    assert ppi_half_width(labels, judged, others, 61) is None and ppi_half_width([1.0], [1.0], others) is None


def test_a_pass_rate_by_hand(
    judged_run: Made, dataset: Any, judge: JudgeVersion, say: Any, owner: User
) -> None:
    """70 of 100 pass; of 20 labelled the judge is right on all, 10 pass; λ = 0.25 / 0.265."""
    run = judged_run(dataset(100), judge, [1] * 10 + [0] * 10 + [1] * 60 + [0] * 20)
    (bare,) = corrected_of(run)
    assert (bare.raw.value, bare.labelled, bare.ppi) == (0.7, 0, None)
    say(run, judge, ["Correct"] * 10 + ["Wrong"] * 10)
    (found,) = corrected_of(run)
    weight = 0.25 / (1.25 * 0.21 * 100 / 99)
    assert found.ppi and found.rogan and found.labelled == 20
    assert found.ppi.value == pytest.approx(0.5 * (1 - weight) + 0.75 * weight)
    assert found.rogan.value == pytest.approx(0.7) and "20 labels" in found.ppi.reason
    say(run, judge, ["Wrong"], owner)
    assert corrected_of(run)[0].labelled == 19  # people are split on the first


def test_epochs_of_an_item_hang_together(
    judged_run: Made, dataset: Any, judge: JudgeVersion, say: Any
) -> None:
    """Four epochs that all come out alike tell what one does: the intervals are about twice as wide."""
    once = judged_run(dataset(100), judge, [1, 0, 1, 1] * 25)
    say(once, judge, ["Correct", "Wrong", "Wrong", "Correct"] * 10)
    often = judged_run(dataset(100), judge, [x for x in [1, 0, 1, 1] * 25 for _ in range(4)], epochs=4)
    say(often, judge, [x for x in ["Correct", "Wrong", "Wrong", "Correct"] * 10 for _ in range(4)])
    (one,), (four,) = corrected_of(once), corrected_of(often)
    for first, second, within in (
        (one.raw, four.raw, 0.1),
        (one.ppi, four.ppi, 0.1),
        (one.rogan, four.rogan, 0.4),
    ):
        assert first and second and second.n == 4 * first.n
        assert second.value == pytest.approx(first.value, abs=0.01)
        assert _width(second) == pytest.approx(_width(first), rel=within)


def _width(found: Any) -> float:
    return float(found.high - found.low)


def test_means_and_win_rates_have_no_rogan_gladen() -> None:
    entry = {"name": "mark", "opponent": None}
    scores = JudgeVersion(judge_id=1, **_fields("score", threshold=None))
    said = {trial: (float(1 + trial % 5), None, trial) for trial in range(50)}
    people = {trial: JudgeVerdict(float(1 + trial % 5), None, "") for trial in range(10)}
    found = corrected(entry, scores, said, people)
    assert (found.what, found.share, found.rogan, found.raw.value) == ("mean", False, None, 3.0)
    assert found.ppi and found.ppi.value == pytest.approx(3.0)
    wins = corrected(
        entry, JudgeVersion(judge_id=1, **_fields("compare")), {1: (1, True, 1), 2: (0.5, None, 2)}, {}
    )
    assert (wins.what, wins.share, wins.raw.value) == ("win rate", True, 0.75)


def _fields(kind: str, **changes: Any) -> dict[str, Any]:
    names = ("kind", "labels", "minimum", "maximum", "threshold", "integer")
    return {name: frozen(kind, **changes)[name] for name in names}


def test_on_the_runs_page(
    judged_run: Made,
    dataset: Any,
    judge: JudgeVersion,
    say: Any,
    viewer: User,
    outsider: User,
    client_of: ClientOf,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    run = judged_run(dataset(60), judge, [1, 0] * 30)
    say(run, judge, ["Correct", "Wrong", "Wrong"] * 8)
    client, url = client_of(viewer), f"/w/alpha/review/runs/{run.pk}/"
    assert f'hx-get="{url}"' in client.get(f"/w/alpha/runs/{run.pk}/").content.decode()
    with django_assert_max_num_queries(12):
        part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith("<section") and "24 of 60" in part and "20 more: about ±" in part
    assert "<html" in client.get(url).content.decode()
    assert client_of(outsider).get(url.replace("alpha", "beta")).status_code == 404
