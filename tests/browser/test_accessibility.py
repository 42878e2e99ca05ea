"""axe-core finds no serious violation on any page, in either theme, wide and narrow."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Portal

pytestmark = pytest.mark.browser
LOOKS = (("light", 1440), ("dark", 390))
PAGES = (
    "",
    "launch/",
    "1/",
    "1/?item=2",
    "1/?verdict=errored",
    "1/delete/",
    "1/attempts/",
    "?launch=1",
    "../datasets/",
    "../datasets/upload/",
    "../datasets/generate/",
    "../models/",
    "../members/",
    "../tokens/",
    "../settings/",
    "../../../status/",
)


def violations(page: Page) -> list[str]:
    """Serious and critical ones, in words, with the first elements they are about."""
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url} {each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def in_every_look(page: Page, prepare: Callable[[Page], object] = lambda page: None) -> list[str]:
    """Loaded anew in each theme, since a change of theme is a transition of colours."""
    found = []
    for theme, width in LOOKS:
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.reload()
        expect(page.locator("main")).to_be_visible()
        prepare(page)
        page.wait_for_timeout(100)
        found += [f"{theme} {width}: {text}" for text in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            found.append(f"{theme} {width}: {page.url} scrolls sideways")
    return found


def test_the_login(page: Page) -> None:
    assert in_every_look(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_pages(path: str, logged_in: Page, portal: Portal) -> None:
    logged_in.goto(f"{logged_in.url}{path}")
    shown = "dialog#launch" if "launch=1" in path else "main"
    assert in_every_look(logged_in, lambda page: expect(page.locator(shown)).to_be_visible()) == []


def test_the_delete_dialog_and_a_menu(logged_in: Page) -> None:
    def open_dialog(page: Page) -> None:
        page.get_by_label("More actions").click()
        page.get_by_role("link", name="Delete run…").click()
        expect(page.locator("dialog#delete")).to_be_visible()

    logged_in.goto(f"{logged_in.url}1/")
    menu = in_every_look(logged_in, lambda page: page.get_by_label("More actions").click())
    assert menu + in_every_look(logged_in, open_dialog) == []


def test_it_works_at_360_px(logged_in: Page) -> None:
    page = logged_in
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("", "1/", "1/?item=2", "launch/"):
        page.goto(f"{page.url.partition('/runs/')[0]}/runs/{path}")
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"), path
    page.goto(f"{page.url.partition('/runs/')[0]}/runs/")
    page.get_by_label("Menu").click()
    expect(page.get_by_role("link", name="Datasets")).to_be_visible()
