"""The status page renews itself without moving or taking away what someone uses."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Trouble

pytestmark = pytest.mark.browser
FIGURES = "**/status/figures/"


def test_figures_come_by_themselves(logged_in: Page, trouble: Trouble) -> None:
    page = logged_in
    page.goto("/status/")
    time, connection = page.locator("#status-line time"), page.locator("#connection")
    place = page.locator("#status-workers").bounding_box()
    link = page.locator("#status-providers a").first
    link.focus()
    before = time.inner_text()
    expect(time).not_to_have_text(before, timeout=60_000)
    expect(connection).to_have_attribute("data-state", "live")
    expect(link).to_be_focused()
    assert page.locator("#status-workers").bounding_box() == place

    page.route(FIGURES, lambda route: route.abort())
    expect(connection).to_have_attribute("data-state", "retrying", timeout=60_000)
    assert page.locator(".toast").count() == 0 and page.locator("#status-tiles").is_visible()
    page.unroute(FIGURES)
    expect(connection).to_have_attribute("data-state", "live", timeout=60_000)
    said_of_failures = ("htmx:sendError", "Failed to load resource")
    assert trouble.found and all(any(words in said for words in said_of_failures) for said in trouble.found)
    trouble.found.clear()
