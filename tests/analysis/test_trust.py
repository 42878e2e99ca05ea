"""How far a judge can be trusted: figures by hand, states, what voids them, the card."""

from collections.abc import Callable, Sequence
from math import atanh, tanh
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from analysis.selectors_trust import behaviour_of, calibration, labelled_of
from analysis.trust import Rated, State, agreement_of, among_people, people_say
from judges.draft import Draft
from judges.kinds.base import JudgeVerdict
from judges.models import ControlCheck, JudgeVersion
from judges.services import judge_revise
from runs.models import Run, Score, Trial
from tests.analysis.conftest import Made
from tests.judges.frozen import frozen
from workspaces.access import access_for
from workspaces.models import User

LABELS = {"labels": [{"label": "Correct", "passes": True}, {"label": "Wrong", "passes": False}]}


def said(passes: int) -> JudgeVerdict:
    return JudgeVerdict(float(passes), bool(passes), "Correct" if passes else "Wrong")


def rated(counts: Sequence[tuple[int, int, int]]) -> list[Rated]:
    """(people, judge, how often)"""
    return [Rated(1, 1, said(people), said(judge)) for people, judge, n in counts for _ in range(n)]


def test_agreement_by_hand() -> None:
    """40 of 50 alike where chance gives half: kappa (0.8 − 0.5) / 0.5; error √(0.8 · 0.2 / 50) / 0.5,
    taken to Fisher's z by 1 / (1 − 0.6²)."""
    found = agreement_of("classify", LABELS, rated([(1, 1, 20), (1, 0, 5), (0, 1, 5), (0, 0, 20)]))
    assert found.table == [[20, 5], [5, 20]] and len(found.apart) == 10
    assert (found.accuracy.value, found.kappa.value) == (0.8, pytest.approx(0.6))
    assert found.accuracy.low == pytest.approx(0.6696, abs=1e-4)
    assert found.kappa.low == pytest.approx(
        tanh(atanh(0.6) - 1.95996 * (0.8 * 0.2 / 50) ** 0.5 / 0.5 / 0.64), abs=1e-4
    )
    assert found.passing and found.passing.value == 0.5 and found.state == State.PROVISIONAL


def judge_state(version: JudgeVersion, dataset_id: int) -> State:
    return calibration(version, labelled_of(version.judge), dataset_id).state


def test_states() -> None:
    def state(*counts: tuple[int, int, int]) -> State:
        return agreement_of("classify", LABELS, rated(counts)).state

    assert state() == state((1, 1, 10), (0, 0, 9)) == State.UNCALIBRATED
    assert state((1, 1, 10), (0, 0, 10)) == State.PROVISIONAL
    assert state((1, 1, 25), (0, 0, 24)) == State.PROVISIONAL
    assert state((1, 1, 24), (1, 0, 1), (0, 1, 1), (0, 0, 24)) == State.CERTIFIED
    assert state((1, 1, 200)) == State.PROVISIONAL  # nothing to agree on beyond chance
    full = agreement_of("classify", LABELS, rated([(1, 1, 25), (0, 0, 25)]))
    assert full.state == State.CERTIFIED
    assert full.kappa.low == pytest.approx((1 / (1 + 1.95996**2 / 50) - 0.5) / 0.5, abs=1e-4)


def test_labels_still_needed() -> None:
    """κ 0.65 of 80: 1.96 √(0.825 · 0.175 / 80) / 0.5 / (1 − 0.65²) = 0.2883 by Fisher's z, where 0.65 is
    0.0822 from 0.6: (0.2883 / 0.0822)² · 80 = 986 in all."""

    def needed(*counts: tuple[int, int, int]) -> int | None:
        return agreement_of("classify", LABELS, rated(counts)).labels_needed

    assert needed() == 50 and needed((1, 1, 5), (0, 0, 5)) == 40
    assert needed((1, 1, 14), (1, 0, 1), (0, 1, 1), (0, 0, 14)) == 20
    assert needed((1, 1, 33), (1, 0, 7), (0, 1, 7), (0, 0, 33)) == 906
    assert needed((1, 1, 20), (1, 0, 10), (0, 1, 10), (0, 0, 20)) is None
    assert needed((1, 1, 200)) is None
    assert needed((1, 1, 24), (1, 0, 1), (0, 1, 1), (0, 0, 24)) == 0


def test_what_several_people_say() -> None:
    assert people_say("classify", LABELS, ["Correct", "Wrong", "correct"]) == said(1)
    assert people_say("classify", LABELS, ["Correct", "Wrong"]) is None
    assert people_say("classify", LABELS, ["Maybe"]) is None
    score = frozen("score")
    assert people_say("score", score, ["2", "5", "4"]) == JudgeVerdict(4.0, True, "4")
    assert people_say("score", score, ["2", "5"]) == JudgeVerdict(2.0, False, "2")
    found = among_people("classify", [{1: "a", 2: "a"}, {1: "b", 2: "b"}, {1: "a"}])
    assert found and (found.value, found.n) == (1.0, 2) and among_people("classify", [{1: "a"}]) is None
    numbers = among_people("score", [{1: "5", 2: "4"}, {1: "1", 2: "2"}, {1: "5", 2: "5"}])
    earlier = {1: "Correct", 2: "5"}
    assert among_people("score", [{1: "5", 2: "4"}, {1: "1", 2: "2"}, {1: "5", 2: "5"}, earlier]) == numbers
    assert numbers and "interval" in numbers.method and (numbers.value or 0) > 0.7


def test_scores_without_a_threshold_are_weighed() -> None:
    """By quadratic weights; a panel's 3.4 counts as 3."""
    fields = frozen("score", threshold=None)
    pairs = [Rated(1, 1, JudgeVerdict(p, None, ""), JudgeVerdict(j, None, "")) for p, j in [(3, 3.4), (5, 1)]]
    found = agreement_of("score", fields, pairs)
    assert found.accuracy.value == 0.5 and found.categories == ["1", "2", "3", "4", "5"]
    assert "quadratic" in found.kappa.method and found.passing is None
    assert agreement_of("score", fields | {"integer": False}, pairs).kappa.value is None


@pytest.fixture
def labelled(judged_run: Made, dataset: Any, judge: JudgeVersion, say: Any) -> Run:
    """20 labels: 8 right both, 8 wrong both, 2 and 2 apart; then one that the judge could not read."""
    run = judged_run(dataset(25), judge, [1] * 10 + [0] * 10 + ["unscored", 1, 0, 1, 0])
    Trial.objects.filter(run=run, seq=21).update(state="done")
    say(run, judge, ["Correct"] * 8 + ["Wrong"] * 10 + ["Correct"] * 2 + ["Wrong"])
    return run


def changed(judge: JudgeVersion, editor: User, **fields: Any) -> JudgeVersion:
    return judge_revise(access_for(editor, "alpha"), judge.judge, Draft.of(judge).changed(**fields))


def test_a_version_on_a_dataset(labelled: Run, judge: JudgeVersion, editor: User, dataset: Any) -> None:
    place = labelled.dataset_version.dataset_id
    found = calibration(judge, labelled_of(judge.judge), place)
    assert found.agreement.table == [[8, 2], [2, 8]] and (found.without, found.split) == (1, 0)
    assert judge_state(judge, place) == State.PROVISIONAL
    assert judge_state(judge, dataset(1).dataset_id) == State.UNCALIBRATED
    other = changed(judge, editor, user_template="Is it right? {{ response }}")
    assert judge_state(other, place) == State.UNCALIBRATED
    # Once the new version has judged the same responses, the labels count for it too.
    entry = labelled.config["judges"][0] | {"version": other.pk, "name": "again"}
    labelled.config["judges"].append(entry)
    labelled.save(update_fields=["config"])
    trials = Trial.objects.filter(run=labelled, seq__lte=20)
    Score.objects.bulk_create(
        Score(run=labelled, trial=t, scorer="again", value=1, passed=True, answer="Correct") for t in trials
    )
    assert calibration(other, labelled_of(judge.judge), place).agreement.table == [[10, 0], [10, 0]]
    assert judge_state(other, place) == State.PROVISIONAL


def test_people_who_are_split_do_not_count(labelled: Run, judge: JudgeVersion, say: Any, owner: User) -> None:
    say(labelled, judge, ["Wrong"], owner)
    found = calibration(judge, labelled_of(judge.judge))
    assert (found.split, found.agreement.n) == (1, 19) and found.people and found.people.n == 1


def test_how_its_own_calls_went(labelled: Run, judge: JudgeVersion) -> None:
    judging = labelled.judgings.get()
    items = list(labelled.trials.order_by("seq").values_list("item_id", flat=True))
    kinds = ["", "", "", "unparseable", "timeout"]
    for seq, kind in enumerate(kinds, 1):
        state = "errored" if kind else "done"
        Trial.objects.create(run=judging, item_id=items[seq], seq=seq, state=state, error_kind=kind)
    ControlCheck.objects.create(version=judge, n=14, false_passes=1, finished_at=timezone.now())
    found = behaviour_of(judge)
    assert found.unreadable and (found.unreadable.correct, found.unreadable.n) == (1, 4)
    assert found.false_passes and found.false_passes.n == 14 and found.flips is found.consistent is None


def test_repeats_and_orders(labelled: Run, judge: JudgeVersion) -> None:
    def detail(*passes: tuple[str, bool], flags: Sequence[str] = ()) -> dict[str, Any]:
        told = [{"answer": a, "swapped": s, "error": "" if a else "none"} for a, s in passes]
        return {"flags": list(flags), "passes": told}

    scores = list(Score.objects.filter(run=labelled).order_by("pk")[:4])
    scores[0].detail = detail(("A", False), ("A", False), ("B", True), ("B", True), flags=["flipped"])
    scores[1].detail = detail(("A", False), ("B", False), ("A", True), ("A", True))
    scores[2].detail = detail(("A", False), ("", False), ("", True), ("", True), flags=["single_pass"])
    Score.objects.bulk_update(scores, ["detail"])
    JudgeVersion.objects.filter(pk=judge.pk).update(kind="compare", both_orders=True, repeats=2, labels=[])
    judge.refresh_from_db()
    found = behaviour_of(judge)
    assert found.flips and (found.flips.correct, found.flips.n) == (1, 2)
    assert found.consistent and (found.consistent.correct, found.consistent.n) == (3, 4)


def test_the_card(
    labelled: Run,
    judge: JudgeVersion,
    editor: User,
    viewer: User,
    outsider: User,
    client_of: Callable[[User], Client],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    changed(judge, editor, user_template="Is it right? {{ response }}")
    url = f"/w/alpha/review/judges/{judge.judge_id}/"
    client = client_of(viewer)
    with django_assert_max_num_queries(30):
        text = client.get(f"{url}?version=1").content.decode()
    assert "Provisional" in text and "Judge: Correct" in text and "4 of 20" in text
    assert f"/runs/{labelled.pk}/?item=9" in text and "1 response without a verdict" in text
    newest = client.get(url).content.decode()
    assert "v1 is provisional on" in newest and "No labels yet" in newest
    assert client.get(f"{url}?version=9").status_code == 404
    assert client_of(outsider).get(url.replace("alpha", "beta")).status_code == 404
    assert "Judge card" in client.get(f"/w/alpha/judges/{judge.judge_id}/").content.decode()
