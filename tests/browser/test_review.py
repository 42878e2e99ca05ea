"""People label by keyboard what a judge has judged; its card and the run's page say what it shows."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.launching import choose_dataset
from tests.browser.test_accessibility import in_every_look
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser


def says(body: dict[str, Any]) -> str:
    judging = "is data to be judged" in json.dumps(body["messages"])
    return json.dumps({"feedback": "It fits.", "label": "Correct"}) if judging else "ANSWER: 4"


def judged(page: Page, endpoint: StubEndpoint) -> None:
    """To the page of a finished run of four items, with a judge made for it."""
    endpoint.reset()
    endpoint.set(script=says)
    page.get_by_role("link", name="Judges").click()
    page.get_by_role("link", name="Correctness", exact=True).last.click()
    page.locator(".picks").get_by_text("stub-model-b", exact=False).first.click()
    page.get_by_role("button", name="Save", exact=True).click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("v1")
    name = heading.inner_text().removesuffix("v1").strip()
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="Launch run").click()
    sheet = page.locator("#launch")
    choose_dataset(page, "Everyday reasoning")
    for checked in sheet.locator("input[name=models]:checked").all():
        checked.uncheck()
    sheet.locator("#model-list").get_by_text("stub-model", exact=False).first.click()
    sheet.locator("#launch-judges").get_by_text(name, exact=False).first.click()
    sheet.get_by_label("Items at most").fill("4")
    expect(sheet.locator("#launch-plan")).to_contain_text("4 calls of judge models", timeout=60_000)
    sheet.get_by_role("button", name="Launch run").click()
    page.wait_for_url("**/runs/#run-*")
    card = page.locator(f"#{page.url.partition('#')[2]}")
    expect(card).to_contain_text("Completed", timeout=60_000)
    card.get_by_role("link", name="Open").click()
    expect(page.locator("section[id$='-judges']")).to_contain_text("n = 4", timeout=60_000)


def test_labelling_by_keyboard(logged_in: Page, endpoint: StubEndpoint) -> None:
    page = logged_in
    judged(page, endpoint)
    run = page.url
    page.reload()
    corrected = page.locator("#corrected")
    expect(corrected).to_contain_text("No labels yet")
    corrected.get_by_role("link", name="Label responses").click()
    page.get_by_label("Responses", exact=False).fill("3")
    page.get_by_role("button", name="Draw and label").click()
    heading = page.get_by_role("heading", name=re.compile("Response"))
    expect(heading.first).to_have_text("Response 1 of 3")
    expect(page.locator("#said")).to_have_count(0)
    page.keyboard.press("1")
    expect(heading.first).to_have_text("Response 2 of 3")
    page.keyboard.press("k")
    expect(page.locator("#said")).to_contain_text("It fits.")
    found = in_every_look(page)
    page.keyboard.press("j")
    expect(heading.first).to_have_text("Response 2 of 3")
    page.keyboard.press("2")
    expect(heading.first).to_have_text("Response 3 of 3")
    page.keyboard.press("2")
    expect(page.get_by_role("status").first).to_contain_text("all of this sample")
    page.get_by_role("link", name="See how far the judge agrees").click()
    expect(page.locator("#agreement")).to_contain_text("n = 3")
    found += in_every_look(page)
    page.goto(page.url.partition("/judges/")[0] + "/")
    found += in_every_look(page)
    page.goto(run)
    expect(page.locator("#corrected")).to_contain_text("only 3 labels")
    assert (
        found + in_every_look(page, lambda page: expect(page.locator("section#corrected")).to_be_visible())
        == []
    )
