"""Variations: strategies, the trials of a launch, what the engine asks and how it is scored."""

import csv
import io
import json
import re
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from datasets.models import DatasetVersion
from judges.metrics.variation import Spread, spread_of
from judges.options import BadOptions
from registry.models import RegisteredModel
from runs.engine.check import check_run
from runs.engine.host import run_to_end
from runs.exports import EXPORTS
from runs.metrics import run_metrics
from runs.models import Run, Trial
from runs.selectors import TrialFilter, trials_of
from runs.selectors_figures import Asked, compute
from runs.selectors_pages import prompt_of_trial
from runs.selectors_spread import spread_json
from runs.selectors_variants import show_as_asked
from runs.services import LaunchProblems
from runs.services.misses import missed_items, provenance
from runs.terminal import BadUsage
from runs.terminal.preparing import variations_of
from runs.variations import Content, build_strategy, variants_of
from runs.variations.shuffle_choices import moved, order_of
from tests.runs.test_api import api_of
from tests.stub_endpoint import StubEndpoint
from workspaces.models import User, Workspace

Launched = Callable[..., Run]
Dataset = Callable[..., DatasetVersion]
CHOOSING = "{{ input }}{% for choice in choices %}{{ choice }}{% endfor %}"
SHUFFLED = {"key": "shuffle_choices", "options": {"count": 3, "seed": 7}}
OTHERS = {"key": "templates", "options": {"templates": ["First: {{ input }}", "Second: {{ input }}"]}}
CHOICES = ["Paris", "Rome", "Oslo", "Bern"]
CONTENT = Content("Where?", None, CHOICES, ["B"])


def choosing(number: int, choices: int = 4) -> dict[str, Any]:
    return {
        "prompt": f"Question {number}?", "choices": [f"{number} {name}" for name in CHOICES[:choices]],
        "references": ["B"],
    }  # fmt: skip


def finished(run: Run) -> Run:
    run_to_end(run.pk)
    run.refresh_from_db()
    assert check_run(run.pk) == {}
    return run


# Strategies


def test_orders_differ_from_the_original_and_each_other_and_come_again() -> None:
    orders = [order_of(CONTENT, 7, number) for number in range(1, 24)]
    assert len({tuple(order) for order in [*orders, [0, 1, 2, 3]]}) == 24
    assert orders == [order_of(CONTENT, 7, number) for number in range(1, 24)]
    assert orders != [order_of(CONTENT, 8, number) for number in range(1, 24)]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("B", "A"), ("b", "a"), ("(C)", "(D)"), ("Rome", "Rome"), (" rome ", " rome "), ("2", "3"),
        ("A, D", "B, C"), ("A and D", "B and C"), ("AC", "BD"),
        ('["A", "B"]', '["B", "A"]'), ("[0, 2]", "1, 3"),
        ("none of them", "none of them"), ("9", "9"),
    ],
)  # fmt: skip
def test_references_go_with_their_choice(reference: str, expected: str) -> None:
    """New order: Rome, Paris, Bern, Oslo."""
    assert moved(reference, CONTENT, [1, 0, 3, 2]) == expected


def test_numbers_count_from_where_the_scorer_does() -> None:
    config = {
        "template": CHOOSING, "variations": [{**SHUFFLED, "titles": ["1", "2", "3"]}],
        "scorers": [{"options": {"first_index": "1"}}],
    }  # fmt: skip
    row = {"prompt": "Where?", "messages": None, "choices": CHOICES, "references": ["1"]}
    for turn in (2, 3, 4):
        asked = variants_of(config).asked(row, turn)
        assert asked["choices"][int(asked["references"][0]) - 1] == "Paris"


@pytest.mark.parametrize(
    ("key", "options", "field"),
    [
        ("shuffle_choices", {"count": 0}, "count"), ("shuffle_choices", {"count": 11}, "count"),
        ("templates", {}, "templates"), ("templates", {"templates": ["{{ inputt }}"]}, "templates"),
        ("templates", {"templates": "a\n===\n" * 11}, "templates"),
        ("templates", {"templates": 5}, "templates"),
    ],
)  # fmt: skip
def test_options_are_checked(key: str, options: dict[str, Any], field: str) -> None:
    with pytest.raises(BadOptions) as bad:
        build_strategy(key, options)
    assert field in bad.value.problems


# Launching


def test_each_item_is_asked_as_it_is_and_otherwise(
    launched: Launched, stub: StubEndpoint, engine: None
) -> None:
    stub.set(text="A")
    run = launched(
        [choosing(1), choosing(2), choosing(3, choices=2), {"prompt": "Free?", "references": ["A"]}],
        template=CHOOSING, epochs=2, variations=[SHUFFLED, OTHERS], scorers=[{"key": "multiple_choice"}],
    )  # fmt: skip
    # Three orders of four choices, one of two, none of none; two templates of all; two epochs of each.
    assert run.total == run.trials.count() == 2 * ((1 + 3 + 2) * 2 + (1 + 1 + 2) + (1 + 2))
    assert list(run.trials.order_by("seq").values_list("seq", flat=True)) == list(range(1, run.total + 1))
    assert [each["titles"] for each in run.config["variations"]] == [
        ["Order 1", "Order 2", "Order 3"],
        ["Template 1", "Template 2"],
    ]
    finished(run)
    assert stub.stats.total == run.total
    asked = {request["messages"][-1]["content"] for request in stub.requests}
    assert {"First: Question 1?", "Second: Free?"} <= asked
    variants = variants_of(run.config)
    for trial in run.trials.select_related("item"):
        place = variants.place(trial.epoch)
        show_as_asked(run, [trial])
        prompt = prompt_of_trial(run, trial).messages[-1]["content"]
        assert prompt in asked
        if 1 <= place <= 3:
            first_is_right = trial.item.choices[0].endswith("Rome")
            assert trial.passed is first_is_right
            assert prompt.startswith(f"{trial.item.prompt}{trial.item.choices[0]}")
        elif trial.item.choices:
            assert trial.passed is False
    assert run.trials.filter(passed=True, item__position__lte=3).exists()


def test_a_launch_without_variations_is_as_it_was(launched: Launched) -> None:
    run = launched(3)
    assert "variations" not in run.config
    assert run.total == 3


def test_a_limit_and_sections_hold_for_variants_too(launched: Launched) -> None:
    items = [choosing(number) | {"section": "even" if number % 2 == 0 else "odd"} for number in range(1, 9)]
    items[1]["choices"] = []
    run = launched(
        items, template=CHOOSING, variations=[SHUFFLED], sections=["even"], limit=3,
        scorers=[{"key": "multiple_choice"}],
    )  # fmt: skip
    assert run.total == run.trials.count() == 3 + 2 * 3
    assert set(run.trials.values_list("item__position", flat=True)) == {2, 4, 6}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"variations": [SHUFFLED]}, "does not show"),
        ({"variations": [SHUFFLED], "template": CHOOSING, "items": 3}, "No item here has enough"),
        ({"variations": [OTHERS], "template": "First: {{ input }}"}, "Template 1 is the same"),
        ({"variations": [{"key": "shufle_choices"}]}, "did you mean shuffle_choices"),
        ({"variations": [OTHERS, OTHERS]}, "is there twice"),
        ({"variations": [{"key": "shuffle_choices", "options": {"count": 0}}]}, "from 1 to 10"),
    ],
)
def test_what_cannot_be_varied_is_refused_in_words(
    wish: dict[str, Any], words: str, launched: Launched
) -> None:
    items = wish.pop("items", [choosing(1), choosing(2)])
    with pytest.raises(LaunchProblems) as refused:
        launched(items, **wish)
    assert words in " ".join(refused.value.problems["variations"])
    assert not Run.objects.exists()


def test_choices_that_the_text_lists_too_are_not_shuffled(launched: Launched) -> None:
    items = [choosing(1) | {"prompt": "Where? 1 Paris, 1 Rome, 1 Oslo or 1 Bern?"}]
    with pytest.raises(LaunchProblems, match="own text lists"):
        launched(items, template=CHOOSING, variations=[SHUFFLED])


def test_recorded_responses_have_no_variants(
    launched: Launched, dataset: Callable[..., DatasetVersion]
) -> None:
    version = dataset(
        [{"prompt": "1?", "references": ["1"], "responses": {"gpt": "1"}}], response_models=["gpt"]
    )
    wish = {"model_ids": (), "recorded_names": ["gpt"], "responses": "recorded"}
    with pytest.raises(LaunchProblems, match="are to the original"):
        launched(version=version, variations=[OTHERS], **wish)


# Figures


def test_an_items_variants_are_one_cluster(launched: Launched, stub: StubEndpoint, engine: None) -> None:
    """Four items that always agree over six variants: as sure as four answers, not as 24."""
    stub.set(script=lambda body: "A" if "Question 1?" in body["messages"][-1]["content"] else "C")
    items = [{"prompt": f"Question {number}?", "references": ["A"]} for number in range(1, 5)]
    templates = {"key": "templates", "options": {"templates": [f"{n}: {{{{ input }}}}" for n in range(5)]}}
    run = finished(launched(items, variations=[templates], scorers=[{"key": "exact_match"}]))
    once = finished(launched(items, scorers=[{"key": "exact_match"}]))
    wide, narrow = (next(m for m in run_metrics(each) if m.key == "accuracy") for each in (run, once))
    assert (wide.value, wide.n, narrow.value, narrow.n) == (0.25, 24, 0.25, 4)
    assert wide.high is not None and narrow.high is not None and wide.low is not None
    assert wide.high - wide.low > 0.6


def test_figures_take_references_as_asked_and_epochs_of_the_original(
    launched: Launched, stub: StubEndpoint, engine: None
) -> None:
    """A model that always finds Rome: right under whichever letter; a vote is over the original's letters."""

    def rome(body: dict[str, Any]) -> str:
        shown = re.findall("Paris|Rome|Oslo|Bern", body["messages"][-1]["content"])
        return "ABCD"[shown.index("Rome")]

    stub.set(script=rome)
    items = [choosing(number) for number in range(1, 5)]
    scorers = [{"key": "multiple_choice"}]
    launch = {"template": CHOOSING, "variations": [SHUFFLED], "scorers": scorers, "epochs": 2}
    run = finished(launched(items, **launch))
    found = {row.title: row.estimate for row in compute(run, Asked("multiple_choice")).rows}
    assert (found["Exact match"].value, found["Exact match"].n) == (1.0, 32)
    assert found["Majority vote of 2"].denominator == "4 items with 2 scored epochs each"
    assert "at least 2 scored epochs" in (found["pass@2"].denominator or "")


def test_a_repeat_meets_the_cache_and_a_template_its_own_answers(
    launched: Launched, stub: StubEndpoint, dataset: Callable[..., DatasetVersion], engine: None
) -> None:
    version = dataset(4)
    finished(launched(version=version, template="First: {{ input }}", cache=True))
    run = finished(launched(version=version, variations=[OTHERS], cache=True))
    assert (run.total, run.cached) == (12, 4)


def test_which_items_flip_is_a_filter(launched: Launched, stub: StubEndpoint, engine: None) -> None:
    answers = {"Question 1?": "A", "First: Question 2?": "A"}
    stub.set(
        script=lambda body: next((a for q, a in answers.items() if q in body["messages"][-1]["content"]), "C")
    )
    items = [{"prompt": f"Question {number}?", "references": ["A"]} for number in range(1, 5)]
    run = finished(launched(items, variations=[OTHERS], scorers=[{"key": "exact_match"}]))
    found = trials_of(run, TrialFilter(flips=True))
    assert list(found.order_by("seq").values_list("item__position", "passed")) == [
        (2, False),
        (2, True),
        (2, False),
    ]
    assert not Trial.objects.exclude(run=run).exists()
    kept = provenance(run, TrialFilter(flips=True, variant=2), 1)["filter"]
    assert kept == {"verdict": "incorrect", "flips": True, "variant": 2, "variation": "Template 2"}
    missed = missed_items(run, TrialFilter(flips=True, variant=2))
    assert [item.position for item in missed] == [2]
    assert not missed_items(run, TrialFilter(flips=True, variant=1)).exists()


# Pages, API, terminal


def sheet(version: DatasetVersion, target: RegisteredModel, **fields: Any) -> dict[str, Any]:
    return {
        "responses": "fresh", "dataset_version": version.pk, "models": [target.pk],
        "scorers": ["exact_match"], "template": "{{ input }}", "epochs": "1", "max_failures": "5", **fields,
    }  # fmt: skip


def test_the_sheet_launches_variations_and_run_again_keeps_them(
    alpha: Workspace, editor: User, client_of: Callable[[User], Client], dataset: Dataset,
    model: Callable[..., RegisteredModel],
) -> None:  # fmt: skip
    browser, version, target = client_of(editor), dataset(5), model()
    url = reverse("runs:launch", args=[alpha.slug])
    assert 'value="templates" checked' not in browser.get(url).content.decode()
    other = {
        "variations": ["templates"],
        "variations.templates.templates": "A: {{ input }}\n===\nB: {{ input }}",
    }
    plan = browser.post(f"{url}plan/", sheet(version, target, **other)).content.decode()
    assert "<dt>Requests</dt><dd>15" in plan
    assert "2 × 5 items" in plan
    broken = browser.post(
        url, sheet(version, target, **other | {"variations.templates.templates": "{{ inpt }}"})
    )
    assert broken.status_code == 422
    assert "did you mean “input”?" in broken.content.decode()
    assert browser.post(url, sheet(version, target, **other)).status_code == 302
    run = Run.objects.get()
    assert (run.total, run.variants.titles) == (15, ["Original", "Template 1", "Template 2"])
    again = browser.get(url, {"from": run.pk}).content.decode()
    assert 'value="templates" checked' in again
    assert "B: {{ input }}" in again


def test_the_api_launches_variations_and_lists_what_flips(
    alpha: Workspace, editor: User, dataset: Dataset, model: Callable[..., RegisteredModel],
    stub: StubEndpoint, engine: None,
) -> None:  # fmt: skip
    stub.set(text="A")
    api, version = api_of(editor, alpha), dataset([choosing(1), {"prompt": "Free?", "references": ["A"]}])
    wish = {
        "dataset_version_id": version.pk, "model_ids": [model().pk], "template": CHOOSING,
        "scorers": [{"key": "multiple_choice"}], "variations": [SHUFFLED],
    }  # fmt: skip
    bad = wish | {"variations": [{"key": "shuffle_choices", "options": {"count": 99}}]}
    refused = api.ask("POST", "/evaluations", bad)
    assert (refused.status_code, "from 1 to 10" in refused.content.decode()) == (400, True)
    made = api.ask("POST", "/evaluations", wish)
    assert made.status_code == 202, made.content
    run = finished(Run.objects.get())
    rows = api.read(f"/runs/{run.pk}/trials")["results"]
    assert [(row["variant"], row["variation"], row["epoch"]) for row in rows] == [
        (0, "Original", 1), (1, "Order 1", 1), (2, "Order 2", 1), (3, "Order 3", 1), (0, "Original", 1),
    ]  # fmt: skip
    for row in rows[:4]:
        detail = api.read(f"/runs/{run.pk}/trials/{row['seq']}")
        assert detail["choices"]["ABCD".index(detail["references"][0])] == "1 Rome"
        assert row["passed"] is (detail["references"] == ["A"])
    flips = api.read(f"/runs/{run.pk}/trials?flips=true")["results"]
    assert len(flips) == (4 if any(row["passed"] for row in rows[:4]) else 0)
    missed = api.read(f"/runs/{run.pk}/misses?flips=true&variant=2")
    wrong = any(row["passed"] for row in rows[:4]) and not rows[2]["passed"]
    assert (missed["items"], missed["provenance"]["filter"]["variation"]) == (int(wrong), "Order 2")
    assert api.ask("GET", f"/runs/{run.pk}/misses?variant=-1").status_code == 400
    only = api.read(f"/runs/{run.pk}/trials?variant=2")["results"]
    assert [row["variation"] for row in only] == ["Order 2"]


def test_exports_say_which_variant_was_asked(launched: Launched, stub: StubEndpoint, engine: None) -> None:
    stub.set(text="A")
    wish: dict[str, Any] = {
        "template": CHOOSING,
        "scorers": [{"key": "multiple_choice"}],
        "variations": [SHUFFLED],
    }
    run = finished(launched([choosing(1)], epochs=2, **wish))
    lines = b"".join(EXPORTS["jsonl"].stream(run)).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["variant"], row["epoch"]) for row in rows] == [(v, e) for v in range(4) for e in (1, 2)]
    for row in rows:
        assert row["item"]["choices"]["ABCD".index(row["item"]["references"][0])] == "1 Rome"
    table = list(csv.DictReader(io.StringIO(b"".join(EXPORTS["csv"].stream(run)).decode())))
    assert [row["variation"] for row in table[::2]] == ["Original", "Order 1", "Order 2", "Order 3"]
    assert len({row["choices"] for row in table}) == 4


def test_the_terminal_names_variations() -> None:
    keys = ["shuffle_choices", "templates"]
    options = ["shuffle_choices.count=3", "templates.templates=A {{ input }}"]
    assert variations_of(keys, options) == [
        {"key": "shuffle_choices", "options": {"count": "3"}},
        {"key": "templates", "options": {"templates": "A {{ input }}"}},
    ]
    assert build_strategy("shuffle_choices", {"count": "3"}).titles == ["Order 1", "Order 2", "Order 3"]
    with pytest.raises(BadUsage, match="did you mean templates"):
        variations_of(["template"], [])
    with pytest.raises(BadUsage, match="say whose"):
        variations_of(keys, ["count=3"])


def test_the_inspector_shows_the_order_that_was_asked(
    alpha: Workspace, editor: User, client_of: Callable[[User], Client], launched: Launched,
    stub: StubEndpoint, engine: None,
) -> None:  # fmt: skip
    stub.set(script=lambda body: "A" if "First" in body["messages"][-1]["content"] else "C")
    items = [choosing(1), choosing(2)]
    run = finished(
        launched(
            items, template=CHOOSING, variations=[SHUFFLED, OTHERS], scorers=[{"key": "multiple_choice"}]
        )
    )
    browser, url = client_of(editor), reverse("runs:inspector", args=[alpha.slug, run.pk])
    trial = run.trials.select_related("item").get(seq=2)
    show_as_asked(run, [trial])
    page = browser.get(url, {"item": 2, "flips": "1"}).content.decode()
    assert "Asked as <b>Order 1</b>" in page
    places = [page.index(f"<span>{choice}</span>") for choice in trial.item.choices]
    assert places == sorted(places)
    assert 'name="flips" value="1" checked' in page
    assert "First: Question 1?" in browser.get(url, {"item": 5}).content.decode()
    shown = browser.get(url, {"variant": "4"}).content.decode()
    assert shown.count('<tr id="item-') == 2
    plain = launched(2)
    assert (
        'name="flips"'
        not in browser.get(reverse("runs:inspector", args=[alpha.slug, plain.pk])).content.decode()
    )


# Mean and spread


def spread_from(table: list[list[float | None]]) -> Spread:
    cells = [(i, v, x) for i, row in enumerate(table, 1) for v, x in enumerate(row) if x is not None]
    items, places, values = (np.array(column) for column in zip(*cells, strict=True))
    found = spread_of(items, places, values.astype(float), values.astype(float), 10)
    assert found is not None
    return found


def test_spread_over_variants_and_within_items() -> None:
    """By hand: items right in 3/3, 1/3, 0/2; variants 2/3, 1/3, 1/2."""
    found = spread_from([[1, 1, 1], [1, 0, 0], [0, 0, None]])
    assert [(each.estimate.correct, each.estimate.n) for each in found.variants] == [(2, 3), (1, 3), (1, 2)]
    assert found.mean == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found.sd == pytest.approx(statistics.stdev([2 / 3, 1 / 3, 1 / 2]))
    assert (found.flips.correct, found.flips.n) == (1, 3)
    assert found.item_sd.value == pytest.approx(statistics.stdev([1, 0, 0]) / 3)
    assert [(each.item, each.flips) for each in found.items] == [(2, True), (1, False), (3, False)]
    second, third = (each.difference for each in found.variants[1:])
    assert second and third
    assert (second.value, second.n, third.value, third.n) == (
        pytest.approx(-1 / 3),
        3,
        pytest.approx(-1 / 2),
        2,
    )


def test_values_that_are_no_verdicts_have_a_spread_too() -> None:
    found = spread_from([[0.5, 3.5], [2.0, 2.0]])
    assert (found.shares, found.lowest.estimate.value, found.highest.estimate.value) == (False, 1.25, 2.75)
    assert found.items[0].sd == pytest.approx(statistics.stdev([0.5, 3.5]))
    assert spread_of(*(np.array([], dtype=kind) for kind in (int, int, float, float)), 5) is None


def test_the_page_says_mean_and_spread_and_names_items(
    alpha: Workspace, viewer: User, client_of: Callable[[User], Client], launched: Launched,
    stub: StubEndpoint, engine: None,
) -> None:  # fmt: skip
    stub.set(script=lambda body: "A" if "First" in body["messages"][-1]["content"] else "C")
    items = [
        {"prompt": f"Question {number}?", "references": ["A" if number < 3 else "C"]}
        for number in range(1, 6)
    ]
    run = finished(launched(items, variations=[OTHERS], scorers=[{"key": "exact_match"}]))
    browser, url = client_of(viewer), reverse("runs:variations", args=[alpha.slug, run.pk])
    page = browser.get(url).content.decode()
    # Original and second: 3 of 5; first: 2 of 5; every item flips.
    for words in (
        "100.0%",
        "5 of 5 items",
        "−20.0 pts",
        "from 40.0% (Template 1) to 60.0% (Original)",
        "Question 5?",
    ):
        assert words in page
    part = browser.get(url, headers={"HX-Request": "true", "HX-Target": "spread"}).content.decode()
    assert part.lstrip().startswith('<section class="panel" id="spread"')
    assert (
        f'hx-get="{url}"'
        in browser.get(reverse("runs:inspector", args=[alpha.slug, run.pk])).content.decode()
    )
    rows = list(csv.DictReader(io.StringIO(b"".join(EXPORTS["variations"].stream(run)).decode())))
    assert [(row["mean"][:4], row["flips"], row["Original"], row["Template 1"]) for row in rows] == [
        ("0.33", "true", "0.0", "1.0"), ("0.33", "true", "0.0", "1.0"), *[("0.66", "true", "1.0", "0.0")] * 3,
    ]  # fmt: skip
    summary = spread_json(run)
    assert summary and summary["flips"]["value"] == 1.0
    plain = browser.get(reverse("runs:variations", args=[alpha.slug, launched(2).pk])).content.decode()
    assert "This run has no variations" in plain
