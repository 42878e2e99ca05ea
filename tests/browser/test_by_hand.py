"""A website's answers: launched, pasted prompt by prompt with keys, completed by a pack, scored."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_accessibility import in_every_look

pytestmark = pytest.mark.browser


def test_a_website_is_filled_in_and_scored(logged_in: Page, tmp_path: Path) -> None:
    page = logged_in
    page.goto("/w/demo/runs/launch/")
    chosen = page.locator("#l-dataset option", has_text="Everyday reasoning").get_attribute("value")
    page.get_by_label("Dataset", exact=True).select_option(chosen)
    page.get_by_text("Fill in by hand", exact=True).click()
    page.get_by_label("Model known by name only").fill("Chat site")
    page.get_by_label("Items at most").fill("3")
    expect(page.locator("#launch-plan")).to_contain_text("paste its answers")
    page.get_by_role("button", name="Launch run").click()

    expect(page.get_by_role("heading", name="Prompt 1 of 3")).to_be_visible()
    prompt = page.locator("#prompt-text").inner_text()
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").strip() == prompt.strip()
    page.keyboard.press("/")
    page.keyboard.press("Control+v")
    expect(page.locator("#by-hand-state")).to_contain_text("Saved")
    expect(page.locator("#by-hand-progress")).to_contain_text("1 of 3 prompts")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Prompt 2 of 3")).to_be_visible()
    page.keyboard.press("k")
    expect(page.locator("#answer")).to_have_value(prompt)
    assert in_every_look(page) == []
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Prompt 2 of 3")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("link", name="Download pack").click()
    pack = json.loads(Path(download.value.path()).read_text())
    for row in pack["rows"][1:]:
        row["answer"] = "42"
    file = tmp_path / "filled.json"
    file.write_text(json.dumps(pack))
    page.get_by_label("Filled-in pack").set_input_files(file)
    page.get_by_role("button", name="Import answers").click()
    expect(page.locator("#by-hand-progress")).to_contain_text("All are filled in")

    page.get_by_role("button", name="Score the answers").click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    expect(page.locator("#run-header")).to_contain_text("Completed", timeout=30_000)
    expect(page.locator("#item-3")).to_be_visible()
