"""Filling in the launch sheet."""

from playwright.sync_api import Page, expect


def choose_dataset(page: Page, title: str) -> None:
    """Waits until scoring and recorded responses are that dataset's: what is chosen sooner is lost."""
    version = str(page.locator("#l-dataset option", has_text=title).first.get_attribute("value"))
    page.get_by_label("Dataset", exact=True).select_option(version)
    expect(page.locator("[name=dataset_shown]")).to_have_value(version)
