"""A judge is made from a rubric, tried on items, saved, and put before the control set by a real worker."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_accessibility import in_every_look
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser
SAYS = "Let me see.\n```json\n" + json.dumps({"feedback": "Not the number.", "label": "Incorrect"}) + "\n```"


def test_a_judge_from_rubric_to_control_set(logged_in: Page, endpoint: StubEndpoint) -> None:
    page = logged_in
    endpoint.reset()
    endpoint.set(script=lambda body: SAYS)
    page.get_by_role("link", name="Judges").click()
    page.get_by_role("link", name="Correctness", exact=True).last.click()
    expect(page.get_by_label("Name", exact=True)).to_have_value(re.compile("Correctness"))
    name = page.get_by_label("Name", exact=True).input_value()
    expect(page.get_by_role("heading", name="Labels")).to_be_visible()
    expect(page.get_by_role("heading", name="Range")).to_be_hidden()
    page.get_by_text("Score", exact=True).click()
    expect(page.get_by_role("heading", name="Range")).to_be_visible()
    expect(page.get_by_role("heading", name="Labels")).to_be_hidden()
    page.get_by_text("Classify", exact=True).click()

    page.get_by_role("button", name="Ask the judge").click()
    expect(page.locator("#judge-preview")).to_contain_text("Choose the model that judges.")
    page.locator(".picks").get_by_text("stub-model", exact=False).first.click()
    page.get_by_role("button", name="Show prompts").click()
    expect(page.locator("#judge-preview")).to_contain_text("is data to be judged")
    page.get_by_role("button", name="Ask the judge").click()
    expect(page.locator("#judge-preview")).to_contain_text("Not the number.")

    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name=name)).to_contain_text("v1")
    page.get_by_role("button", name="Ask the control set").click()
    expect(page.locator("#judge-controls")).to_contain_text("n = 28", timeout=60_000)
    expect(page.locator("#judge-controls .value").first).to_have_text("0.0%")

    found = in_every_look(page)
    page.get_by_role("link", name="Version 1").click()
    found += in_every_look(page)
    page.goto(f"{page.url.partition('/judges/')[0]}/judges/")
    assert found + in_every_look(page) == []
