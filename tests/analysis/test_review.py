"""Labelling by people: a sample is its URL, blind until one's own label, the same for a second reviewer."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from analysis.models import HumanLabel, ReviewSample
from analysis.services_labels import ReviewProblem, label_keep, sample_draw
from datasets.models import Item
from judges.draft import Draft
from judges.models import JudgeVersion
from judges.services import judge_create
from runs.models import Run, Trial
from tests.analysis.conftest import Made
from workspaces.access import access_for
from workspaces.models import Membership, Role, User

ClientOf = Callable[[User], Client]
REVIEW = "/w/alpha/review/"


@pytest.fixture
def run(judged_run: Made, dataset: Any, judge: JudgeVersion) -> Run:
    return judged_run(dataset(12), judge, [1, 0] * 5 + ["unscored", "errored"])


def drawn(client: Client, run: Run, judge: JudgeVersion, n: int = 4, **values: Any) -> Any:
    return client.post(f"{REVIEW}draw/", {"judge": judge.judge_id, "run": run.pk, "n": n} | values)


def test_label_by_label(
    run: Run, judge: JudgeVersion, editor: User, viewer: User, client_of: ClientOf
) -> None:
    client = client_of(editor)
    assert "Nothing is drawn yet" in client.get(REVIEW).content.decode()
    assert "Draw and label" in client.get(f"{REVIEW}?judge={judge.judge_id}").content.decode()
    url = drawn(client, run, judge)["Location"]
    row = ReviewSample.objects.get()
    assert url == f"{REVIEW}label/?judge={judge.judge_id}&run={run.pk}&n=4&seed={row.seed}&after=0"
    page = client.get(url)
    assert "Response 1 of 4" in page.content.decode() and "What others said" not in page.content.decode()
    shown = page.context["review"].shown
    assert [(choice.key, choice.answer) for choice in shown.choices] == [("1", "Correct"), ("2", "Wrong")]
    back = page.context["here"]
    kept = {"trial": shown.trial.pk, "judge": judge.judge_id, "back": back}
    answer = client.post(f"{REVIEW}keep/", kept | {"answer": "Wrong", "comment": "No."})
    assert answer["Location"] == f"{url}&at=2"
    again = client.post(f"{REVIEW}keep/", kept | {"answer": "Correct", "stay": "1"}, follow=True)
    label = HumanLabel.objects.get()
    assert (label.answer, label.value, label.passed, label.person, label.run) == (
        "Correct", 1.0, True, editor, run,
    )  # fmt: skip
    text = again.content.decode()
    assert "What others said" in text and ("agrees" in text) == (shown.trial.answer == "Correct")
    assert client.get(url).context["review"].shown.at == 2  # the sample stands, and goes on where it is open
    reader = client_of(viewer).get(f"{url}&at=1")
    assert reader.context["review"].shown.trial == shown.trial
    assert "What others said" not in reader.content.decode() and "disabled" in reader.content.decode()
    assert "<b>1</b> of 4" in client.get(url).content.decode()
    assert client.get(REVIEW).context["samples"][0][1] == 1


def test_a_new_sample_leaves_out_what_is_labelled(
    run: Run, judge: JudgeVersion, say: Any, editor: User, client_of: ClientOf
) -> None:
    """Ten have a verdict; six are labelled, so four are left, in the same order at every look."""
    say(run, judge, ["Correct"] * 6)
    client = client_of(editor)
    url = drawn(client, run, judge, 50)["Location"]
    orders = [
        [client.get(f"{url}&at={at}").context["review"].shown.trial.seq for at in (1, 2, 3, 4)]
        for _ in range(2)
    ]
    assert orders[0] == orders[1] and sorted(orders[0]) == [7, 8, 9, 10]


def test_who_may(run: Run, judge: JudgeVersion, viewer: User, outsider: User, client_of: ClientOf) -> None:
    trial = Trial.objects.filter(run=run).first()
    assert trial
    kept = {"trial": trial.pk, "judge": judge.judge_id, "answer": "Correct", "back": "?"}
    assert drawn(client_of(viewer), run, judge).status_code == 403
    assert client_of(viewer).post(f"{REVIEW}keep/", kept).status_code == 403
    foreign = client_of(outsider)
    sample = f"?judge={judge.judge_id}&run={run.pk}&n=3"
    assert foreign.get(f"/w/beta/review/label/{sample}").status_code == 404
    assert foreign.post("/w/beta/review/keep/", kept).status_code == 404
    assert (
        foreign.post("/w/beta/review/draw/", {"judge": judge.judge_id, "run": run.pk, "n": 3}).status_code
        == 404
    )
    assert not HumanLabel.objects.exists() and not ReviewSample.objects.exists()


def test_what_cannot_be_kept_is_said(
    run: Run, judge: JudgeVersion, scored_run: Made, dataset: Any, editor: User, outsider: User
) -> None:
    held = access_for(editor, "alpha")
    trials = list(Trial.objects.filter(run=run).select_related("run").order_by("seq"))
    with pytest.raises(ReviewProblem, match="no answer “Right”"):
        label_keep(held, judge.judge, trials[0], "Right")
    with pytest.raises(ReviewProblem, match="has not judged this response"):
        label_keep(held, judge.judge, trials[-1], "Correct")
    with pytest.raises(ReviewProblem, match="2,000"):
        label_keep(held, judge.judge, trials[0], "Correct", "x" * 2001)
    other = scored_run(dataset(1), [1])
    with pytest.raises(ReviewProblem, match="has not judged run"):
        sample_draw(held, judge.judge, other, 5)
    with pytest.raises(ReviewProblem, match="1 to 500"):
        sample_draw(held, judge.judge, run, 501)
    with pytest.raises(ReviewProblem, match="have to finish"):
        Run.objects.filter(judged=run).update(status="running")
        sample_draw(held, judge.judge, run, 5)
    Run.objects.filter(judged=run).update(status="completed")
    with pytest.raises(ValueError, match="Only a member"):
        sample_draw(held, judge.judge, run, 5, outsider.pk)


def test_the_list_takes_few_queries(
    run: Run,
    judge: JudgeVersion,
    editor: User,
    client_of: ClientOf,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    held = access_for(editor, "alpha")
    for _ in range(8):
        sample_draw(held, judge.judge, run, 3, Membership.objects.get(user=editor, role=Role.EDITOR).user_id)
    client = client_of(editor)
    with django_assert_max_num_queries(16):
        page = client.get(f"{REVIEW}?judge={judge.judge_id}")
    label = page.context["samples"][0][2].replace("?", f"{REVIEW}label/?", 1)
    with django_assert_max_num_queries(22):
        client.get(label)


# Other kinds of judges


def scoring(editor: User, model: Any, kind: str, **fields: Any) -> JudgeVersion:
    template = "{{ response_a }} {{ response_b }}" if kind == "compare" else "{{ response }}"
    draft = Draft(name=kind, kind=kind, user_template=template, model_ids=[model().pk], **fields)
    return judge_create(access_for(editor, "alpha"), draft)


def shown(client: Client, url: str) -> tuple[Any, str]:
    page = client.get(url)
    return page.context["review"].shown, page.content.decode()


def kept(client: Client, url: str, shown: Any, judge: JudgeVersion, answer: str) -> Any:
    back = url.partition("/label/")[2]
    sent = {"trial": shown.trial.pk, "judge": judge.judge_id, "answer": answer, "back": back, "stay": "1"}
    return client.post(f"{REVIEW}keep/", sent, follow=True)


def test_whole_numbers_have_keys(
    judged_run: Made, dataset: Any, editor: User, model: Any, client_of: ClientOf
) -> None:
    judge = scoring(editor, model, "score", minimum=0, maximum=5, threshold=4, integer=True)
    run = judged_run(dataset(6), judge, [3, 5, 4, 1, 2, 5])
    client = client_of(editor)
    url = drawn(client, run, judge, 3)["Location"]
    one, html = shown(client, url)
    assert [(each.key, each.answer, each.passes) for each in one.choices] == [
        (str(step), str(step), step >= 4) for step in range(6)
    ]
    assert 'data-key="0"' in html and 'type="number"' not in html
    text = kept(client, url, one, judge, "4").content.decode()
    label = HumanLabel.objects.get()
    assert (label.answer, label.value, label.passed) == ("4", 4.0, True)
    assert "What others said" in text and 'aria-pressed="true"' in text
    assert "has no answer “6”" in kept(client, url, one, judge, "6").content.decode()


def test_other_ranges_are_typed(
    judged_run: Made, dataset: Any, editor: User, model: Any, client_of: ClientOf
) -> None:
    judge = scoring(editor, model, "score", minimum=0, maximum=1)
    run = judged_run(dataset(3), judge, [0.25, 0.5, 0.75])
    client = client_of(editor)
    url = drawn(client, run, judge, 3)["Location"]
    one, html = shown(client, url)
    assert not one.choices and 'type="number"' in html and 'step="any"' in html and 'data-key="s"' in html
    kept(client, url, one, judge, "0.4")
    assert (HumanLabel.objects.get().value, HumanLabel.objects.get().passed) == (0.4, None)


def test_of_a_comparison_chance_decides_which_is_first(
    judged_run: Made, scored_run: Made, dataset: Any, editor: User, model: Any, client_of: ClientOf
) -> None:
    """The label is A or B whichever stood first; the other response is that of the same epoch."""
    judge, version = scoring(editor, model, "compare"), dataset(8)
    other = scored_run(version, [0, 1] * 8, epochs=2, answers=[f"B{n}" for n in range(1, 17)])
    run = judged_run(version, judge, [1, 0] * 8, epochs=2)
    run.config["judges"][0]["opponent"] = other.pk
    run.save(update_fields=["config"])
    client = client_of(editor)
    url = drawn(client, run, judge, 16)["Location"]
    firsts = set()
    for at in range(1, 17):
        one, html = shown(client, f"{url}&at={at}")
        swapped = one.choices[0].answer == "B"
        firsts.add(swapped)
        theirs = f"It is B{one.trial.seq}"
        assert list(one.responses).index(theirs) == (0 if swapped else 1)
        assert [each.key for each in one.choices] == ["1", "2", "3"] and one.choices[2].answer == "tie"
        assert "First response" in html and "Second response" in html
    assert firsts == {True, False}
    one, _ = shown(client, f"{url}&at=1")
    text = kept(client, f"{url}&at=1", one, judge, "B").content.decode()
    label = HumanLabel.objects.get()
    assert (label.answer, label.value, label.opponent_id) == ("B", 0.0, other.pk)
    assert f"A is {run.alias}" in text


def test_people_see_the_variant_that_was_asked(
    run: Run, judge: JudgeVersion, editor: User, client_of: ClientOf
) -> None:
    strategy = {
        "key": "shuffle_choices",
        "title": "",
        "options": {"count": 1, "seed": 7},
        "titles": ["Order 1"],
    }
    Run.objects.filter(pk=run.pk).update(config={**run.config, "variations": [strategy]})
    names = ["Paris", "Rome", "Oslo", "Bern"]
    Item.objects.filter(version=run.dataset_version_id).update(choices=names, references=["B"])
    Trial.objects.filter(run=run).update(epoch=2)
    client = client_of(editor)
    item = client.get(drawn(client, run, judge)["Location"]).context["review"].shown.trial.item
    assert sorted(item.choices) == sorted(names) and item.choices != names
    assert item.choices["ABCD".index(item.references[0])] == "Rome"
