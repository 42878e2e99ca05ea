"""A website's answers: launched, pasted prompt by prompt with keys, completed by a pack, scored."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.launching import choose_dataset
from tests.browser.test_accessibility import in_every_look

pytestmark = pytest.mark.browser


def filled_offline(browser: Browser, form: Path, folder: Path) -> Path:
    """Prompts 2 and 3 answered in the form, without a network; it is closed and opened again between them."""
    context = browser.new_context(offline=True, accept_downloads=True, viewport={"width": 390, "height": 800})
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(form.as_uri())
    expect(page.locator("#count")).to_have_text("0 of 3 answered")
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_role("heading", name="Prompt 2 of 3")).to_be_visible()
    assert page.locator("#prompt").inner_text()
    page.locator("#answer").fill("42 </script>")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Prompt 3 of 3")).to_be_visible()
    expect(page.locator("#state")).to_have_text("Not yet in a response file.")
    page.goto("about:blank")
    page.goto(form.as_uri())
    expect(page.locator("#said")).to_contain_text("are here again")
    expect(page.locator("#count")).to_have_text("1 of 3 answered")
    page.get_by_label("Go to").fill("3")
    page.get_by_label("Go to").press("Tab")
    page.locator("#answer").fill("42")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save response file").click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    page.get_by_label("Go on with a response file").set_input_files(file)
    expect(page.locator("#said")).to_have_text("Took 0 answers to prompts that had none.")
    context.close()
    assert troubles == []
    assert [url for url in asked if not url.startswith(("file:", "blob:", "about:"))] == []
    rows = json.loads(file.read_text())["rows"]
    assert [row["answer"] for row in rows] == ["", "42 </script>", "42"]
    return file


def test_a_website_is_filled_in_and_scored(logged_in: Page, browser: Browser, tmp_path: Path) -> None:
    page = logged_in
    page.goto("/w/demo/runs/launch/")
    choose_dataset(page, "Everyday reasoning")
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
        page.get_by_role("link", name="Offline form").click()
    form = tmp_path / "form.html"
    form.write_bytes(Path(download.value.path()).read_bytes())
    file = filled_offline(browser, form, tmp_path)
    page.get_by_label("Filled-in pack").set_input_files(file)
    page.get_by_role("button", name="Import answers").click()
    expect(page.locator("#by-hand-progress")).to_contain_text("All are filled in")

    page.get_by_role("button", name="Score the answers").click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    expect(page.locator("#run-header")).to_contain_text("Completed", timeout=60_000)
    expect(page.locator("#item-3")).to_be_visible()
