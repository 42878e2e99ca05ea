"""A model that exists only as a website: signed packs, answers by hand, scoring by the engine."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from datasets.assets import asset_store
from datasets.models import DatasetVersion, ItemAsset
from registry.models import RegisteredModel, Source
from runs.engine.check import check_run
from runs.models import HandAnswer, Run, RunStatus, TrialState
from runs.packs import BadPack, pack_of, read_pack
from runs.selectors_by_hand import hand_prompt, prompts_of
from runs.services import (
    AnsweredMeanwhile,
    CannotDo,
    Launch,
    LaunchProblems,
    answer_save,
    answers_import,
    by_hand_reopen,
    by_hand_score,
    launch,
    pack_import,
    run_delete,
)
from runs.tasks import pump
from tests.datasets.files import png
from workspaces.access import Access, access_for
from workspaces.models import AuditEvent, User, Workspace

pytestmark = pytest.mark.django_db
SECRET = "the reference nobody may see"
Launched = Callable[..., Run]


@pytest.fixture
def by_hand(alpha_access: Access, dataset: Callable[..., DatasetVersion]) -> Launched:
    """Launches a run of a website that people fill in: `by_hand(3, template=…)`."""

    def make(items: Any = 3, **wishes: Any) -> Run:
        known: dict[str, Any] = {
            "responses": "by_hand",
            "recorded_names": ["Chat site"],
            "scorers": [{"key": "numeric"}],
        }
        wish = Launch(dataset_version_id=dataset(items).pk, **(known | wishes))
        return launch(alpha_access, wish).runs.get()

    return make


def filled(run: Run, answers: dict[int, str]) -> dict[str, Any]:
    """The run's pack, filled in."""
    pack = json.loads(json.dumps(pack_of(run, prompts_of(run), run.total)))
    for row in pack["rows"]:
        row["answer"] = answers.get(row["number"], "")
    return pack  # type: ignore[no-any-return]


def sent(pack: dict[str, Any], indent: int | None = 2) -> bytes:
    """As an editor may save it: indented otherwise, keys in another order."""
    return json.dumps(dict(reversed(pack.items())), indent=indent).encode()


# Launching


def test_it_waits_for_people_on_a_model_by_name(by_hand: Launched) -> None:
    run = by_hand()
    assert (run.status, run.total) == (RunStatus.PAUSED, 3)
    assert run.model and run.model.source == Source.NAME_ONLY and run.model.name == "Chat site"


def test_what_people_cannot_fill_in_is_refused(
    by_hand: Launched, model: Callable[..., RegisteredModel]
) -> None:
    for wish, field in (
        ({"model_ids": [model().pk]}, "model_ids"),
        ({"recorded_names": ["x" * 201]}, "recorded_names"),
        ({"recorded_names": [""]}, "model_ids"),
        ({"epochs": 100, "items": 51}, "limit"),
    ):
        with pytest.raises(LaunchProblems) as refused:
            by_hand(wish.pop("items", 3), **wish)
        assert field in refused.value.problems


def test_only_what_is_asked_of_a_version_counts(
    by_hand: Launched, alpha: Workspace, alpha_access: Access, dataset: Callable[..., DatasetVersion]
) -> None:
    """A subset may leave out pictures, and what is too much to fill in."""
    version = dataset(60)
    asset = asset_store(alpha, png())
    ItemAsset.objects.create(item=version.items.get(position=5), asset=asset, position=1)
    wish: dict[str, Any] = {
        "dataset_version_id": version.pk, "responses": "by_hand", "recorded_names": ["Chat site"],
        "scorers": [{"key": "numeric"}], "epochs": 100,
    }  # fmt: skip
    with pytest.raises(LaunchProblems, match="show images") as refused:
        launch(alpha_access, Launch(**wish))
    assert "6,000 prompts" in str(refused.value)
    subset = version.dataset.subsets.create(name="First", size=4)
    assert launch(alpha_access, Launch(**wish, subset_id=subset.pk)).runs.get().total == 400
    with pytest.raises(LaunchProblems, match="show images"):
        launch(alpha_access, Launch(**wish | {"epochs": 1, "limit": 5}))
    assert launch(alpha_access, Launch(**wish | {"epochs": 1, "limit": 4})).runs.get().total == 4


# The pack


def test_a_pack_holds_prompts_alone(by_hand: Launched) -> None:
    rows = [{"prompt": "Name it.", "references": [SECRET], "responses": {"other": SECRET}}]
    run = by_hand(rows, template="Be short. {{ input }}")
    pack = pack_of(run, prompts_of(run), run.total)
    text = json.dumps(pack)
    assert SECRET not in text and "numeric" not in text
    assert [row["prompt"] for row in pack["rows"]] == ["Be short. Name it."]
    assert pack["dataset"]["content_hash"] == run.dataset_version.content_hash


def test_the_offline_form_holds_prompts_alone_and_nothing_that_runs(
    by_hand: Launched, client_of: Callable[[User], Client], viewer: User
) -> None:
    hostile = "</script><script>alert(1)</script><!-- & \u2028 é"
    run = by_hand([{"prompt": hostile, "references": [SECRET], "responses": {"other": SECRET}}])
    page = client_of(viewer).get(f"/w/alpha/runs/{run.pk}/by-hand/pack/?as=form")
    assert page["Content-Disposition"] == f'attachment; filename="run-{run.pk}.pack.html"'
    text = page.content.decode()
    assert SECRET not in text and "alert(1)</script>" not in text
    assert text.count("<script") == 2 and not re.search(r"(src|href)=|https?://", text)
    assert "default-src &#x27;none&#x27;; script-src &#x27;sha256-" in text
    data = text.partition('id="pack">')[2].partition("</script>")[0]
    assert json.loads(data) == json.loads(json.dumps(pack_of(run, prompts_of(run), run.total)))


def test_several_messages_are_told_apart(by_hand: Launched) -> None:
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    run = by_hand([{"prompt": "Hello", "messages": chat, "references": ["1"]}])
    assert dict(prompts_of(run)) == {1: "System:\nBe kind.\n\nUser:\nHello"}


def test_a_filled_pack_survives_another_layout(by_hand: Launched) -> None:
    run = by_hand()
    found = read_pack(run, sent(filled(run, {1: "2\r\n", 3: "6"}), indent=None), run.total)
    assert (found.answers, found.empty, found.bad) == ({1: "2\n", 3: "6"}, 1, [])


def test_foreign_or_changed_packs_are_refused(by_hand: Launched) -> None:
    run, other = by_hand(), by_hand()
    pack = filled(run, {1: "2"})
    for data, words in (
        (b"{", "not JSON"),
        (b"[1]", "not a pack"),
        (b"[" * 100_000, "not JSON"),
        (sent(pack | {"prompts": 99}), "signature is wrong"),
        (sent(pack | {"signature": "x"}), "signature is wrong"),
        (sent(pack | {"note": "added"}), "signature is wrong"),
        (sent(filled(other, {})), f"belongs to run {other.pk}"),
    ):
        with pytest.raises(BadPack, match=words):
            read_pack(run, data, run.total)


def test_a_pack_of_another_version_is_refused(by_hand: Launched) -> None:
    run = by_hand()
    data = sent(filled(run, {1: "2"}))
    run.config["dataset"]["content_hash"] = "another"
    with pytest.raises(BadPack, match="another version"):
        read_pack(run, data, run.total)


def test_bad_rows_are_listed_with_reasons(by_hand: Launched) -> None:
    run = by_hand()
    pack = filled(run, {1: "2", 2: "4"})
    first, second, third = pack["rows"]
    rows = [
        first,
        first,
        second | {"prompt": "What is 1 + 1?"},
        third | {"answer": 6},
        third | {"number": 4},
        third | {"number": True},
        "text",
        {"number": 3, "answer": "6"},
        third | {"answer": "\0"},
    ]
    found = read_pack(run, sent(pack | {"rows": rows}), run.total)
    assert found.answers == {1: "2"}
    assert [(bad.row, bad.number) for bad in found.bad] == [
        (2, 1), (3, 2), (4, 3), (5, 0), (6, 0), (7, 0), (8, 3), (9, 3),
    ]  # fmt: skip
    reasons = " ".join(map(str, found.bad))
    for words in ("twice", "changed", "not text", "no number", "check is missing", "NUL"):
        assert words in reasons


def test_an_import_takes_all_or_leaves_bad_rows_out(by_hand: Launched, alpha_access: Access) -> None:
    run = by_hand()
    answer_save(alpha_access, run, 2, "5")
    pack = filled(run, {1: "2", 2: "4"})
    pack["rows"][2]["prompt"] = "changed"
    refused = pack_import(alpha_access, run, sent(pack))
    assert not refused.done and len(refused.bad) == 2 and HandAnswer.objects.count() == 1
    done = pack_import(alpha_access, run, sent(pack), leave_out=True)
    assert (done.saved, len(done.bad)) == (1, 2)
    assert dict(HandAnswer.objects.values_list("trial__seq", "text")) == {1: "2", 2: "5"}
    again = pack_import(alpha_access, run, sent(pack), leave_out=True)
    assert (again.saved, again.same) == (0, 1)
    assert AuditEvent.objects.filter(action="run.import_answers").count() == 2


# Prompt by prompt


def test_answers_are_kept_changed_and_taken_back(by_hand: Launched, alpha_access: Access) -> None:
    run = by_hand()
    assert answer_save(alpha_access, run, 1, "a\r\nb")
    assert not answer_save(alpha_access, run, 1, "a\nb")
    assert HandAnswer.objects.get().text == "a\nb"
    assert answer_save(alpha_access, run, 1, "  ")
    assert not HandAnswer.objects.exists()
    for seq, text in ((9, "x"), (1, "\0")):
        with pytest.raises(CannotDo):
            answer_save(alpha_access, run, seq, text)


def test_nobody_overwrites_another_persons_answer_unseen(
    by_hand: Launched, editor: User, owner: User
) -> None:
    run = by_hand()
    mine, theirs = access_for(editor, "alpha"), access_for(owner, "alpha")
    answer_save(mine, run, 1, "first", seen="")
    answer_save(mine, run, 1, "second", seen="")  # one's own typing, quicker than the page
    with pytest.raises(AnsweredMeanwhile):
        answer_save(theirs, run, 1, "third", seen="")
    shown = hand_prompt(run, 1)
    assert shown and answer_save(theirs, run, 1, "third", seen=shown.mark)
    assert HandAnswer.objects.get().answered_by == owner


def test_skipping_finds_the_next_open_prompt(by_hand: Launched, alpha_access: Access) -> None:
    run = by_hand()
    answer_save(alpha_access, run, 1, "2")
    first = hand_prompt(run, None)
    assert first and (first.seq, first.next_open) == (2, 3)
    answer_save(alpha_access, run, 3, "6")
    last = hand_prompt(run, 3)
    assert last and (last.previous, last.following, last.next_open) == (2, None, 2)


# Scoring


@pytest.mark.django_db(transaction=True)
def test_the_engine_scores_what_is_filled_in(by_hand: Launched, alpha_access: Access, engine: None) -> None:
    run = by_hand()
    with pytest.raises(CannotDo, match="Nothing"):
        by_hand_score(alpha_access, run)
    answers_import(alpha_access, run, [{"number": 1, "answer": "It is 2."}, {"number": 2, "answer": "9"}])
    by_hand_score(alpha_access, run)
    pump(run.pk)
    run.refresh_from_db()
    states = dict(run.trials.values_list("seq", "state"))
    assert states == {1: TrialState.DONE, 2: TrialState.DONE, 3: TrialState.ERRORED}
    assert [trial.passed for trial in run.trials.order_by("seq")] == [True, False, None]
    assert run.trials.get(seq=3).error_kind == "not_answered"
    assert (run.done, run.errored, check_run(run.pk)) == (2, 1, {})
    with pytest.raises(CannotDo):
        answer_save(alpha_access, run, 1, "3")

    assert by_hand_reopen(alpha_access, run) == 1
    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED
    with pytest.raises(CannotDo, match="scored already"):
        answer_save(alpha_access, run, 1, "3")
    answer_save(alpha_access, run, 3, "6")
    by_hand_score(alpha_access, run)
    pump(run.pk)
    run.refresh_from_db()
    assert (run.status, run.done, check_run(run.pk)) == (RunStatus.COMPLETED, 3, {})


def test_deleting_the_run_deletes_its_answers(by_hand: Launched, alpha_access: Access) -> None:
    run = by_hand()
    answer_save(alpha_access, run, 1, "2")
    run_delete(alpha_access, run)
    assert not HandAnswer.objects.exists()


# Pages


def test_the_page_goes_from_prompt_to_prompt(
    by_hand: Launched, client_of: Callable[[User], Client], editor: User
) -> None:
    run, client = by_hand(), client_of(editor)
    url = f"/w/alpha/runs/{run.pk}/by-hand/"
    page = client.get(url)
    assert b"Prompt 1 of 3" in page.content and SECRET.encode() not in page.content
    answer = client.post(url, {"n": "1", "answer": "2", "seen": ""})
    assert answer["Location"] == f"{url}?n=2"
    part = client.post(url, {"n": "2", "answer": "4", "seen": ""}, headers={"HX-Request": "true"})
    assert b"<html" not in part.content and b"<b>2</b> of 3" in part.content
    client.post(url, {"n": "3", "answer": "<script>", "seen": ""})
    assert b"&lt;script&gt;" in client.get(f"{url}?n=3").content
    assert client.get(f"{url}?n=4").status_code == 404


def test_viewers_read_along(by_hand: Launched, client_of: Callable[[User], Client], viewer: User) -> None:
    run, client = by_hand(), client_of(viewer)
    url = f"/w/alpha/runs/{run.pk}/by-hand/"
    assert b"You may read along" in client.get(url).content
    assert client.post(url, {"n": "1", "answer": "2"}).status_code == 403
    assert client.get(f"{url}pack/").status_code == 200
    assert not HandAnswer.objects.exists()


def test_a_conflict_keeps_what_was_typed(
    by_hand: Launched, client_of: Callable[[User], Client], editor: User, owner: User
) -> None:
    run = by_hand()
    answer_save(access_for(owner, "alpha"), run, 1, "theirs")
    answer = client_of(editor).post(
        f"/w/alpha/runs/{run.pk}/by-hand/", {"n": "1", "answer": "mine", "seen": ""}
    )
    assert answer.status_code == 409
    assert b"mine</textarea>" in answer.content and b"theirs" in answer.content


def test_a_pack_goes_out_and_comes_back(
    by_hand: Launched, client_of: Callable[[User], Client], editor: User
) -> None:
    run, client = by_hand(), client_of(editor)
    url = f"/w/alpha/runs/{run.pk}/by-hand/"
    pack = client.get(f"{url}pack/").json()
    assert "Prompt 3 of 3" in b"".join(client.get(f"{url}pack/?as=text")).decode()  # type: ignore[arg-type]
    pack["rows"][0]["answer"] = "2"
    pack["rows"][1]["prompt"] = "changed"
    bad = client.post(f"{url}import/", {"file": SimpleUploadedFile("p.json", sent(pack))})
    assert bad.status_code == 422 and b"Its prompt was changed" in bad.content
    good = client.post(f"{url}import/", {"file": SimpleUploadedFile("p.json", sent(pack)), "leave_out": "on"})
    assert b"1 other answer was" in good.content
    broken = client.post(f"{url}import/", {"file": SimpleUploadedFile("p.json", b"{")})
    assert broken.status_code == 422 and b"not JSON" in broken.content
    assert client.post(f"{url}import/").status_code == 422


def test_the_sheet_launches_it(
    dataset: Callable[..., DatasetVersion], client_of: Callable[[User], Client], editor: User
) -> None:
    client = client_of(editor)
    wish = {"dataset_version": dataset(2).pk, "responses": "by_hand", "scorers": ["numeric"]}
    missing = client.post("/w/alpha/runs/launch/", wish)
    assert missing.status_code == 422 and missing.context["launch_form"].errors["by_hand_name"]
    made = client.post("/w/alpha/runs/launch/", wish | {"by_hand_name": "Chat site"})
    run = Run.objects.get()
    assert made["Location"] == f"/w/alpha/runs/{run.pk}/by-hand/"
    again = client.get(f"/w/alpha/runs/launch/?from={run.pk}").context["launch_form"]
    assert again["by_hand_name"].value() == "Chat site" and again["responses"].value() == "by_hand"
    offered = client.get("/w/alpha/runs/launch/?by_hand=Chat+site").context["launch_form"]
    assert offered["responses"].value() == "by_hand" and offered.names_only == ["Chat site"]
    assert b"Fill in answers" in client.get(f"/w/alpha/runs/{run.pk}/").content


# The API


def test_the_api_takes_packs_and_rows(
    by_hand: Launched, client_of: Callable[[User], Client], editor: User
) -> None:
    run, client = by_hand(), client_of(editor)
    client.defaults["HTTP_X_WORKSPACE"] = "alpha"
    url = f"/api/v1/runs/{run.pk}/answers"
    pack = client.get(f"{url}/pack").json()
    pack["rows"][0]["answer"] = "2"
    taken = client.post(url, {"file": SimpleUploadedFile("p.json", sent(pack))})
    assert taken.json() == {"saved": 1, "same": 0, "empty": 2, "bad": []}
    rows = {"answers": [{"number": 2, "answer": "4"}, {"number": 9, "answer": "4"}]}
    bad = client.post(url, rows, content_type="application/json")
    assert bad.status_code == 422 and bad.json()["bad"][0]["row"] == 2
    done = client.post(url, rows | {"leave_out": True, "score": True}, content_type="application/json")
    assert done.json()["saved"] == 1
    run.refresh_from_db()
    assert run.status == RunStatus.PENDING
    assert {row["number"] for row in client.get(url).json()["results"]} == {1, 2}
    assert client.post(f"{url}/score").status_code == 409
    assert client.post(url, {}, content_type="application/json").status_code == 400
