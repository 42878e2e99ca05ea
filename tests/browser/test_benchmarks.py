"""A benchmark as a person meets it: choose a model, watch the log, find the scores in its place."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.published import SYSTEMS, VOTES, upload
from tests.browser.test_accessibility import in_every_look
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser


def test_evaluate_and_read_the_tabs(logged_in: Page, endpoint: StubEndpoint) -> None:
    page, base = logged_in, f"{logged_in.url.partition('/w/')[0]}/w/demo/benchmarks/"
    endpoint.reset(latency_ms=100, stream_chunks=2)
    page.goto(base)
    page.get_by_role("link", name="Everyday reasoning").click()
    expect(page.get_by_text("Nobody ranks yet")).to_be_visible()
    page.get_by_role("link", name="Evaluate a model").click()
    run = page.get_by_role("button", name="Run evaluation")
    expect(run).to_be_disabled()
    page.get_by_text("stub-model-b").click()
    expect(run).to_be_enabled()
    run.click()
    expect(page.locator("#evaluation-log")).to_be_visible()
    expect(page.locator("#evaluation dt", has_text="Overall")).to_be_visible(timeout=60_000)
    expect(page.locator("#evaluation-log")).to_have_count(0)
    evaluation = page.url
    found = in_every_look(page)
    for path in ("1/", "1/leaderboard/", "1/evaluate/", "new/"):
        page.goto(base + path)
        found += in_every_look(page)
    assert found == []
    page.goto(f"{evaluation}delete/")
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()


RANKED = [
    ("1–3", "Vote of four", "56.3 [53.6, 59.0]"),
    ("1–3", "175b_verification", "56.3 [53.6, 58.9]"),
    ("1–3", "Vote of three", "56.1 [53.4, 58.8]"),
    ("4–5", "Vote without 175B verification", "40.4 [37.8, 43.1]"),
    ("4–5", "6b_verification", "39.0 [36.4, 41.7]"),
    ("6", "175b_finetuning", "34.7 [32.2, 37.3]"),
    ("7", "6b_finetuning", "21.7 [19.5, 24.0]"),
]


@pytest.mark.shared
def test_the_published_systems_and_their_votes_rank(logged_in: Page, tmp_path: Path) -> None:
    """The static page's leaderboard; scores lie on 0 to 100, so they bear no percent sign.

    Who asked when, the windows of dates and the models to choose are made up there, as its README says.
    """
    page, home = logged_in, logged_in.url.removesuffix("runs/")
    page.set_default_timeout(60_000)
    upload(page, home, tmp_path / "gsm8k-votes.jsonl", votes=True)
    create(page, home)
    the_phases_say_how_precise_they_are(page)
    evaluate_recorded(page, [*SYSTEMS, *VOTES])
    the_ranks_are_those_published(page)
    page.get_by_label("Section").select_option("6+ steps")
    expect(page.locator("#leaderboard tbody tr").first.locator("td.num").nth(2)).to_have_text("87")
    page.get_by_label("Section").select_option("")
    expect(page.locator("#leaderboard .result")).to_have_text("7 systems, 4 distinct places")
    assert in_every_look(page) == []


def create(page: Page, home: str) -> None:
    """Three phases, of 200, of all and of 500 items."""
    page.goto(f"{home}benchmarks/new/")
    page.get_by_label("Name", exact=True).fill("GSM8K")
    page.get_by_label("Dataset").select_option(label="gsm8k-votes v1, 1,319 items")
    page.get_by_label("Scorer", exact=True).select_option("numeric")
    for at, (name, items) in enumerate((("Development", "200"), ("Held out", "500"), ("Final", ""))):
        page.get_by_role("button", name="Add a phase").click()
        page.locator(f"[name=phase-{at}-name]").fill(name)
        page.locator(f"[name=phase-{at}-limit]").fill(items)
    page.get_by_role("button", name="Save benchmark").click()
    expect(page.get_by_text("GSM8K is saved.")).to_be_visible()


def the_phases_say_how_precise_they_are(page: Page) -> None:
    page.get_by_role("link", name="Phases", exact=True).click()
    for name, items, precise in (
        ("Development", "200", "±6.9 pts"), ("Final", "1,319", "±2.7 pts"), ("Held out", "500", "±4.4 pts"),
    ):  # fmt: skip
        row = page.locator("tr", has=page.get_by_role("link", name=name, exact=True))
        assert row.locator("td.num").all_inner_texts() == [items, precise]


def evaluate_recorded(page: Page, names: list[str]) -> None:
    """One after the other in the final phase, which is the last that is open."""
    base = re.sub("phases/.*", "", page.url)
    for name in names:
        page.goto(f"{base}evaluate/?source=recorded")
        expect(page.get_by_text("95% CI of ±2.7 pts or narrower")).to_be_visible()
        page.locator(f"input[name=model][value='recorded:{name}']").check()
        page.get_by_role("button", name="Run evaluation").click()
        page.wait_for_url(re.compile("evaluations/[0-9]+/$"))
    expect(page.locator("#evaluation dt", has_text="Overall")).to_be_visible()
    page.goto(f"{base}leaderboard/")


def the_ranks_are_those_published(page: Page) -> None:
    board, rows = page.locator("#leaderboard"), page.locator("#leaderboard tbody tr")
    while rows.count() < len(RANKED):
        page.reload()
    expect(board.locator(".result")).to_have_text("7 systems, 4 distinct places")
    found = [
        (row.locator("td").first.inner_text(), row.locator("th a").inner_text(),
         " ".join(row.locator("td.num").nth(1).inner_text().split()))
        for row in rows.all()
    ]  # fmt: skip
    assert found == RANKED
    assert {row.locator("td.num").nth(2).inner_text() for row in rows.all()} == {"1,319"}
    expect(board.locator("footer")).to_contain_text("Holm-adjusted over 21 pairs")
    pictures = [row.locator("svg.rank").bounding_box() for row in rows.all()]
    assert {picture and picture["width"] for picture in pictures} == {72}, "it gives way to the columns"
    ties = [bool(row.get_attribute("class")) for row in rows.all()]
    assert ties == [False, True, True, False, True, False, False]
