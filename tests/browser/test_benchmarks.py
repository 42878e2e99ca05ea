"""A benchmark as a person meets it: choose a model, watch the log, find the scores in its place."""

import pytest
from playwright.sync_api import Page, expect

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
