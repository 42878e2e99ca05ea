"""Links and forms alone carry the whole job; script only makes it quicker."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Portal

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, portal: Portal) -> Iterator[Page]:
    context = browser.new_context(base_url=portal.url, java_script_enabled=False)
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Email").fill(portal.email)
    page.get_by_label("Password", exact=True).fill(portal.password)
    page.get_by_role("button", name=re.compile("log in|sign in", re.I)).first.click()
    yield page
    context.close()


def test_launch_read_cancel_and_delete(page: Page) -> None:
    page.get_by_role("link", name="Launch run").click()
    expect(page.get_by_role("heading", name="Launch run")).to_be_visible()
    chosen = page.locator("#l-dataset option", has_text="Everyday reasoning").get_attribute("value")
    page.get_by_label("Dataset", exact=True).select_option(chosen)
    page.get_by_label(re.compile("^Demo Large")).check()
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#launch-plan")).to_contain_text("144")
    page.get_by_role("button", name="Launch run").click()
    run = int(page.url.rpartition("-")[2])
    page.locator(f"#run-{run} h3 a").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text(f"Run #{run} canceled")).to_be_visible()
    page.get_by_label("Verdict").select_option("canceled")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("verdict=canceled"))
    page.locator("#item-rows tbody a").first.click()
    expect(page.locator("#drawer-title")).to_be_visible()
    page.get_by_label("Close").click()
    expect(page.locator("#drawer-title")).to_have_count(0)
    page.get_by_label("More actions").click()
    page.get_by_role("link", name="Delete run…").click()
    page.get_by_label(re.compile("Type delete")).fill("delete")
    page.get_by_role("button", name="Delete run").click()
    expect(page.locator("#delete-error")).to_be_visible()
    page.get_by_label(re.compile("Type delete")).fill(f"delete {run}")
    page.get_by_role("button", name="Delete run").click()
    expect(page.get_by_text(re.compile(f"Run #{run}, .* is deleted"))).to_be_visible()
