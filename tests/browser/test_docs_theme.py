"""The API's page, which we did not write, follows the theme."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("chosen", "system", "dark"), [("", "dark", True), ("", "light", False), ("light", "dark", False)]
)
def test_docs_follow_the_theme(logged_in: Page, chosen: str, system: str, dark: bool) -> None:
    logged_in.emulate_media(color_scheme="dark" if system == "dark" else "light")
    logged_in.evaluate("chosen => chosen ? localStorage.setItem('theme', chosen) : 0", chosen)
    logged_in.goto("/api/docs")
    expect(logged_in.locator(".opblock").first).to_be_visible()
    paper = "getComputedStyle(document.querySelector('html.dark-mode') ?? document.body).backgroundColor"
    shades = [int(part) for part in logged_in.evaluate(paper).removeprefix("rgb(").rstrip(")").split(",")]
    assert (max(shades) < 64) == dark
