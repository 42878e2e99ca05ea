"""A run meets its ceiling, says so on card and page, and goes on once it is raised."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Portal
from tests.browser.launching import choose_dataset
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser


def test_a_ceiling_is_met_and_raised(logged_in: Page, portal: Portal, endpoint: StubEndpoint) -> None:
    page = logged_in
    endpoint.reset()
    page.goto(f"{page.url}launch/")
    choose_dataset(page, "Everyday reasoning")
    for box in page.locator("[name=models]:checked").all():
        box.uncheck()
    page.get_by_label("stub-model", exact=False).first.check()
    page.get_by_label("Token ceiling").fill("900")
    expect(page.locator("#launch-plan")).to_contain_text("over its ceiling of 900")
    page.get_by_label("Cost ceiling, dollars").fill("1")
    expect(page.locator("#launch-plan")).to_contain_text("no price is known for stub-model")
    page.get_by_label("Cost ceiling, dollars").fill("")
    page.get_by_role("button", name="Launch run").click()
    page.wait_for_url(re.compile("#run-"))
    card = page.locator(f"#{page.url.partition('#')[2]}")
    expect(card).to_contain_text("ceiling of 900 tokens is reached", timeout=60_000)
    card.get_by_role("link", name="Raise the ceiling…").click()

    raise_it = page.get_by_role("button", name="Raise the ceiling and resume")
    page.get_by_label("Token ceiling").fill("1000000")
    raise_it.click()
    expect(page.locator("#run-header")).to_contain_text("Completed", timeout=60_000)
    expect(page.locator("[id$=-budget]")).to_contain_text("of 1,000,000 tokens used")
    page.get_by_role("link", name="Failed attempts").first.click()
    expect(page.get_by_role("heading", name="Failed attempts")).to_be_visible()
