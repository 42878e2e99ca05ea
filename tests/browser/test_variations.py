"""Paraphrases drafted and approved, a launch with variations, its spread, and the items that flip."""

from hashlib import sha256
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.launching import choose_dataset
from tests.browser.test_accessibility import in_every_look
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser
DATASET = "Everyday reasoning"


def says(body: dict[str, Any]) -> str:
    """Paraphrases; else an answer that hangs on the wording."""
    prompt = str(body["messages"][-1]["content"])
    if "other ways to ask" in prompt:
        question = prompt.rpartition("Question:")[2].strip()[:60].replace('"', "")
        return f'["In other words: {question}", "Put differently: {question}"]'
    return "ANSWER: 4" if sha256(prompt.encode()).digest()[0] % 2 else "ANSWER: 18"


def with_variations(page: Page) -> None:
    sheet = page.locator("#launch")
    choose_dataset(page, DATASET)
    sheet.locator("#launch-scoring").evaluate(
        "set => set.querySelectorAll('[name=scorers]').forEach(b => (b.checked = b.value === 'numeric'))"
    )
    sheet.locator("#launch-variations > summary").press("Enter")  # a click misses it while the plan comes in
    sheet.get_by_label("Other prompt templates").check()
    sheet.locator("[name='variations.templates.templates']").fill(
        "Briefly: {{ input }}\n===\n{{ input }}\nThink first."
    )
    sheet.get_by_label("Approved paraphrases").check()
    for ticked in sheet.locator("input[name=models]:checked").all():
        ticked.uncheck()
    sheet.locator("#model-list").get_by_text("stub-model", exact=False).first.click()
    expect(sheet.locator("#launch-plan")).to_contain_text("Variations", timeout=60_000)


def test_variations_from_paraphrases_to_flips(logged_in: Page, endpoint: StubEndpoint) -> None:
    page = logged_in
    endpoint.reset()
    endpoint.set(script=says)
    page.get_by_role("link", name="Datasets").click()
    page.get_by_role("link", name=DATASET).first.click()
    page.get_by_role("link", name="Paraphrases").click()
    model = page.get_by_label("Model").locator("option", has_text="stub-model").first
    page.get_by_label("Model").select_option(model.get_attribute("value"))
    page.get_by_label("Items at most").fill("3")
    page.get_by_role("button", name="Draft paraphrases").click()
    for _ in range(40):
        if page.get_by_role("button", name="Approve", exact=True).count() == 6:
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(6)
    page.get_by_label("In other words").first.fill("What would you say?")
    page.get_by_role("button", name="Approve", exact=True).first.click()
    page.get_by_role("button", name="Drop").first.click()
    page.get_by_role("button", name="Approve the").click()
    page.get_by_role("link", name="Approved").click()
    expect(page.get_by_text("What would you say?")).to_be_visible()

    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="Launch run").click()
    with_variations(page)
    sheet = page.locator("#launch")
    sheet.get_by_label("Items at most").fill("12")
    expect(sheet.locator("#launch-plan")).to_contain_text("2 × 12 items", timeout=60_000)
    sheet.get_by_role("button", name="Launch run").click()
    page.wait_for_url("**/runs/#run-*")
    card = page.locator(f"#{page.url.partition('#')[2]}")
    expect(card).to_contain_text("Completed", timeout=60_000)
    card.get_by_role("link", name="Open").click()
    expect(page.locator("#spread")).to_contain_text("Within an item", timeout=60_000)
    page.get_by_role("link", name="Which items flip?").click()
    expect(page.locator("[name=flips]")).to_be_checked()
    page.locator("#items tbody a").first.click()
    expect(page.locator("#drawer")).to_contain_text("it flips")
    page.keyboard.press("Escape")
    page.get_by_role("navigation", name="Run").get_by_role("link", name="Variations").click()
    expect(page.locator("#spread-items")).to_contain_text("flips")
    assert in_every_look(page) == []
