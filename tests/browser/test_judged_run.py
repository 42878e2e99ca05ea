"""From the launch sheet to a judged run: filters, a try-out, advice, a judge, its verdicts and metrics."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.launching import choose_dataset
from tests.browser.test_accessibility import in_every_look
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser


def says(body: dict[str, Any]) -> str:
    judging = "is data to be judged" in json.dumps(body["messages"])
    return json.dumps({"feedback": "It fits.", "label": "Correct"}) if judging else "It is 4. ANSWER: 4"


def tried(page: Page) -> None:
    sheet = page.locator("#launch")
    choose_dataset(page, "Everyday reasoning")
    sheet.get_by_label("Responses to try the scorers on").select_option("typed")
    sheet.get_by_label("Response", exact=True).fill("Six. ANSWER: 18")
    sheet.get_by_role("button", name="Try", exact=True).click()
    expect(sheet.locator(".tried")).to_have_count(5)
    expect(sheet.locator("#launch-advice")).to_contain_text("Smallest difference")


def test_a_launch_with_a_judge(logged_in: Page, endpoint: StubEndpoint) -> None:
    page = logged_in
    endpoint.reset()
    endpoint.set(script=says)
    page.get_by_role("link", name="Judges").click()
    page.get_by_role("link", name="Correctness", exact=True).last.click()
    page.locator(".picks").get_by_text("stub-model-b", exact=False).first.click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("v1")
    name = (page.get_by_role("heading", level=1).inner_text()).removesuffix("v1").strip()

    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="Launch run").click()
    sheet = page.locator("#launch")
    found = in_every_look(page, tried)
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.reload()
    choose_dataset(page, "Everyday reasoning")
    sheet.get_by_text("Options", exact=True).locator("visible=true").first.click()
    sheet.locator("[data-chain-filter]").first.select_option("after_marker")
    sheet.get_by_label("marker").fill("ANSWER:")
    sheet.locator("[data-chain-add]").first.click()
    expect(sheet.locator(".chain li").first).to_have_text("After a marker: ANSWER:")
    sheet.locator("[data-chain-clear]").first.click()
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
    panel = page.locator("section[id$='-judges']")
    expect(panel).to_contain_text("n = 4", timeout=60_000)
    page.locator("#items tbody a").first.click()
    expect(page.locator("#drawer")).to_contain_text("It fits.")
    found += in_every_look(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Metrics").click()
    expect(page.locator("#figures")).to_contain_text("Accuracy")
    assert found + in_every_look(page) == []
