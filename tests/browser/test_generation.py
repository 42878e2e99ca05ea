"""Queries drafted from a document, decided on by keys, made into a dataset."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MODELS
from tests.browser.test_accessibility import in_every_look
from tests.generation.conftest import DRAFTS, RIVERS, TOWNS, answer_with
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser


def test_queries_are_drafted_decided_and_published(logged_in: Page, endpoint: StubEndpoint) -> None:
    page = logged_in
    endpoint.reset()
    endpoint.set(text=answer_with([*DRAFTS, DRAFTS[0]]), latency_ms=300)
    page.get_by_role("link", name="Datasets", exact=True).click()
    page.get_by_role("link", name="Upload dataset").click()
    page.get_by_role("link", name="Query generation").click()
    documents = [
        {"name": "rivers.md", "mimeType": "text/markdown", "buffer": (TOWNS + RIVERS).encode()},
    ]
    page.locator("#files").set_input_files(documents)  # type: ignore[arg-type]
    page.get_by_label("How many in all").fill("3")
    page.get_by_label("Dataset", exact=True).fill("Rivers and towns")
    page.get_by_label("Model that drafts").select_option(label=f"{MODELS[0]} · Scripted")
    page.get_by_role("button", name="Draft questions").click()

    expect(page.get_by_role("heading", name="Rivers and towns")).to_be_visible()
    show = page.get_by_role("link", name="Show new drafts")
    draft = page.locator("#draft-1")
    expect(show.or_(draft)).to_be_visible(timeout=60_000)
    if show.is_visible():
        show.click()
    expect(page.locator("#draft-3")).to_contain_text("100% like draft 1")
    assert in_every_look(page) == []

    page.keyboard.press("j")
    expect(draft).to_be_focused()
    page.keyboard.press("e")
    page.get_by_label("Question").fill("On which river is Vienna?")
    page.keyboard.press("Control+Enter")
    expect(draft).to_contain_text("Approved")
    expect(draft).to_contain_text("edited")
    page.locator("#draft-2").focus()
    page.keyboard.press("a")
    expect(page.locator("#draft-2")).to_contain_text("Approved")
    expect(page.locator("#draft-3")).to_be_focused()
    page.keyboard.press("d")
    expect(page.locator("#draft-3")).to_contain_text("Dropped")
    expect(page.locator("#drafting")).to_contain_text("Completed")

    page.get_by_role("button", name="Make a version of 2 questions").click()
    expect(page.get_by_role("heading", name="Rivers and towns")).to_be_visible()
    expect(page.locator("#main")).to_contain_text("On which river is Vienna?")
    endpoint.reset()
