"""Uploading in a browser: questions, questions with responses, questions for a website; to finished runs.

Query generation has a test of its own.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MODELS, Trouble
from tests.browser.test_accessibility import in_every_look
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser
HEAD = "id,section,question,answer"
BAD = [HEAD, "q1,sums,What is 1 + 1?,2", "q1,sums,What is 2 + 2?,4", "q3,sums,,6", "q4,sums,What is 4 + 4?,8"]
GOOD = [HEAD, *(f"q{n},sums,What is {n} + {n}?,{2 * n}" for n in (1, 2, 3))]
RECORDED = [
    "question,answer,response_small,response_large", "What is 1 + 1?,2,ANSWER: 2,ANSWER: 2",
    "What is 2 + 2?,4,ANSWER: 5,ANSWER: 4", "What is 3 + 3?,6,,ANSWER: 6",
]  # fmt: skip


def sent(page: Page, folder: Path, name: str, lines: list[str], kind: str) -> None:
    """From the list of datasets to the page that maps the file's fields."""
    (folder / name).write_text("\n".join(lines) + "\n")
    page.goto("/w/demo/datasets/")
    page.get_by_role("link", name="Upload dataset").click()
    page.get_by_label("Ways to a dataset").get_by_role("link", name=kind, exact=True).click()
    page.set_input_files("input[type=file]", folder / name)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Import dataset")).to_be_visible()


def imported(page: Page, name: str, items: int) -> None:
    page.get_by_role("button", name=re.compile(r"^Import \d+ items?$")).click()
    expect(page.get_by_role("heading", name=re.compile(f"^{name}"))).to_be_visible()
    expect(page.get_by_text(f"Imported {items} items as version")).to_be_visible()


def finished(page: Page, runs: int = 1) -> None:
    """The newest cards of the board are completed."""
    page.wait_for_url(re.compile(r"#run-\d+$"))
    newest = int(page.url.rpartition("-")[2])
    for run in range(newest - runs + 1, newest + 1):
        expect(page.locator(f"#run-{run}")).to_have_attribute("data-status", "completed", timeout=60_000)


def test_questions_with_bad_rows_are_mended_or_left_out(
    logged_in: Page, tmp_path: Path, endpoint: StubEndpoint, trouble: Trouble
) -> None:
    page = logged_in
    endpoint.reset(accuracy=1.0)
    sent(page, tmp_path, "rivers.csv", BAD, "Query")
    problems = page.locator("#problems")
    expect(problems).to_contain_text("The id 'q1' is already on line 2")
    expect(problems).to_contain_text("The prompt is empty")
    expect(page.get_by_role("heading", name="Import dataset")).to_be_visible()
    assert in_every_look(page) == []
    page.set_viewport_size({"width": 1440, "height": 1000})
    with page.expect_download() as report:
        problems.get_by_role("link", name="Download report").click()
    assert Path(report.value.path()).read_text().splitlines()[1].startswith("3,id,the id")

    page.get_by_role("button", name=re.compile("^Import")).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was imported")
    assert "status of 422" in trouble.found.pop(), "the refusal itself"
    page.get_by_text("Leave these rows out", exact=True).click()
    expect(page.locator("#import-summary")).to_contain_text("2 rows")
    page.get_by_label("Use section as").select_option("metadata")
    expect(page.locator("#preview")).not_to_contain_text("sums")
    imported(page, "rivers", 2)

    sent(page, tmp_path, "rivers.csv", GOOD, "Query")
    expect(page.locator("#problems")).to_contain_text("None, every line can be imported")
    expect(page.locator("#name-hint")).to_contain_text("version 2")
    imported(page, "rivers", 3)
    page.get_by_role("link", name="Launch run").click()
    page.get_by_label(re.compile(f"^{MODELS[0]}")).first.check()
    page.get_by_role("button", name="Launch run").click()
    finished(page)


def test_several_columns_of_responses_become_a_run_each(logged_in: Page, tmp_path: Path) -> None:
    page = logged_in
    sent(page, tmp_path, "recorded.csv", RECORDED, "Query + response")
    expect(page.get_by_label("Model whose response response_small is")).to_have_value("small")
    expect(page.get_by_label("Model whose response response_large is")).to_have_value("large")
    expect(page.locator("#import-summary")).to_contain_text("2, by name only")
    page.get_by_label("Model whose response response_large is").fill("Large one")
    expect(page.locator("#preview")).to_contain_text("Large one")
    expect(page.locator("#preview")).to_contain_text("not recorded")
    assert in_every_look(page) == []
    page.set_viewport_size({"width": 1440, "height": 1000})
    imported(page, "recorded", 3)
    page.get_by_role("link", name="Launch run").click()
    expect(page.get_by_label("small", exact=True)).to_be_checked()
    page.get_by_label("Several models and judges at once").check()
    page.get_by_label("Large one", exact=True).check()
    page.get_by_role("button", name="Launch run").click()
    finished(page, runs=2)


def test_a_website_answers_what_was_uploaded(logged_in: Page, tmp_path: Path) -> None:
    page = logged_in
    sent(page, tmp_path, "by hand.csv", GOOD, "Query")
    imported(page, "by hand", 3)
    page.get_by_role("link", name="Launch run").click()
    page.get_by_text("Fill in by hand", exact=True).click()
    page.get_by_label("Model known by name only").fill("Some site")
    page.get_by_role("button", name="Launch run").click()
    for number in (1, 2, 3):
        expect(page.get_by_role("heading", name=f"Prompt {number} of 3")).to_be_visible()
        expect(page.locator("#prompt-text")).to_contain_text(f"What is {number} + {number}?")
        page.locator("#answer").fill(f"It is {2 * number}.")
        page.keyboard.press("Control+Enter")
    expect(page.locator("#by-hand-progress")).to_contain_text("All are filled in")
    page.get_by_role("button", name="Score the answers").click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    expect(page.locator("#run-header")).to_contain_text("Completed", timeout=60_000)
    expect(page.locator("#main")).to_contain_text("100.0")
