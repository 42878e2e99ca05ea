"""The whole story once, as a person lives it: from the login to a deleted run."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Portal
from tests.browser.launching import choose_dataset
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser
QUESTIONS = 30


def write_questions(path: Path) -> None:
    rows = ["id,topic,question,answer"]
    for number in range(1, QUESTIONS + 1):
        topic = "even" if number % 2 == 0 else "odd"
        rows.append(f"q{number},{topic},What is {number} + {number}? [[answer:{2 * number}]],{2 * number}")
    path.write_text("\n".join(rows) + "\n")


def test_from_login_to_deletion(
    logged_in: Page, portal: Portal, endpoint: StubEndpoint, tmp_path: Path
) -> None:
    page = logged_in
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator(".run-card").first).to_be_visible()  # the demo's own
    upload(page, tmp_path)
    endpoint.reset(latency_ms=250, accuracy=0.7, stream_chunks=4)
    run = launch(page, "stub-model", label="story")
    watch_the_card(page, run)
    read_the_inspector(page, run, tmp_path)
    endpoint.reset(fail_first=1, fail_mode=["400"])
    failed = launch(page, "stub-model-b", label="story")
    retry(page, failed)
    delete(page, run)


def upload(page: Page, folder: Path) -> None:
    write_questions(folder / "sums.csv")
    page.goto("/")
    page.get_by_role("link", name="Upload dataset").first.click()
    page.set_input_files("input[type=file]", folder / "sums.csv")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name=re.compile("^Import")).click()
    expect(page.get_by_text("What is 1 + 1?").first).to_be_visible(timeout=60_000)


def launch(page: Page, model: str, label: str) -> int:
    """By keys: n opens the sheet, Ctrl+Enter launches; its card is on the board."""
    page.goto("/w/demo/runs/")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.keyboard.press("n")
    sheet = page.locator("dialog#launch[open]")
    expect(sheet).to_be_visible()
    expect(page).to_have_url(re.compile("launch=1"))
    choose_dataset(page, f"sums · {QUESTIONS} items · v1")
    sheet.get_by_label(re.compile(f"^{model}")).first.check()
    expect(sheet.locator("#launch-plan")).to_contain_text(f"{QUESTIONS}")
    expect(sheet.locator("#launch-plan")).to_contain_text("95% CI of ±")
    expect(sheet.locator("#launch-preview")).to_contain_text("What is 1 + 1?")
    expect(sheet.locator("[name=scorers]:checked")).to_have_value("numeric")  # whatever it opened on
    sheet.get_by_label("Label").fill(label)
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(r"#run-\d+$"))
    return int(page.url.rpartition("-")[2])


def watch_the_card(page: Page, run: int) -> None:
    """It moves by itself, in its place, from the first item to the last."""
    card = page.locator(f"#run-{run}")
    expect(card).to_have_attribute("data-status", "running", timeout=60_000)
    expect(card.locator(".question")).to_contain_text("What is")
    expect(card.locator("[data-s=r]").first).to_be_attached()
    expect(card.locator(".score b")).to_be_visible(timeout=60_000)
    expect(card).to_have_attribute("data-status", "completed", timeout=60_000)
    expect(card.locator(".facts")).to_contain_text(f"{QUESTIONS} of {QUESTIONS}")
    expect(page.locator(f"#run-{run}-grid")).to_have_attribute("aria-label", re.compile(f"^{QUESTIONS} of"))


def read_the_inspector(page: Page, run: int, folder: Path) -> None:
    page.locator(f"#run-{run} h3 a").click()
    expect(page.locator("#run-header")).to_contain_text("Completed")
    expect(page.locator(f"#run-{run}-metrics")).to_contain_text(f"n\u00a0=\u00a0{QUESTIONS}")
    expect(page.locator(f"#run-{run}-log")).to_contain_text(f"Processing: {QUESTIONS}/{QUESTIONS} (100 %)")
    walk_by_keys(page)
    filter_by_url(page)
    take_away(page, run, folder)


def walk_by_keys(page: Page) -> None:
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#item-2 a")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer-title")).to_have_text("Item 1")
    expect(page).to_have_url(re.compile(r"\?item=1$"))
    expect(page.locator("#drawer-title")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("#drawer-title")).to_have_text("Item 2")
    expect(page.locator("#item-2")).to_have_attribute("aria-current", "true")
    page.keyboard.press("y")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.go_back()
    expect(page.locator("#drawer-title")).to_have_text("Item 1")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer-title")).to_have_count(0)
    expect(page.locator("#item-1 a")).to_be_focused()


def filter_by_url(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("17 + 17")
    expect(page.locator("#item-rows tbody tr")).to_have_count(1)
    expect(page.locator("input[name=q]")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?q=17"))
    page.reload()
    expect(page.locator("#item-17")).to_be_visible()
    page.locator("input[name=q]").fill("")
    page.get_by_label("Verdict").select_option("incorrect")
    expect(page.locator("#items-count")).to_contain_text(f"of {QUESTIONS}")
    expect(page.locator("#item-rows tbody [data-status=correct]")).to_have_count(0)


def take_away(page: Page, run: int, folder: Path) -> None:
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as taken:
        page.get_by_role("link", name="JSONL, every field").click()
    path = folder / f"{run}.jsonl"
    taken.value.save_as(path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == QUESTIONS


def retry(page: Page, run: int) -> None:
    """It fails in words, and one press takes it up again, on the same card."""
    card = page.locator(f"#run-{run}")
    expect(card).to_have_attribute("data-status", "failed", timeout=60_000)
    expect(card.locator(".slot")).to_contain_text(f"{QUESTIONS} items")
    card.get_by_role("button", name=f"Retry {QUESTIONS}").click()
    expect(card).to_have_attribute("data-status", "completed", timeout=60_000)
    expect(card.locator(".score b")).to_be_visible()


def delete(page: Page, run: int) -> None:
    card = page.locator(f"#run-{run}")
    card.get_by_label(f"Actions of run {run}").click()
    card.get_by_role("link", name="Delete run…").click()
    dialog = page.locator("dialog#delete[open]")
    button = dialog.get_by_role("button", name="Delete run")
    expect(button).to_be_disabled()
    expect(dialog.get_by_role("link", name="Download everything first")).to_be_visible()
    page.keyboard.type(f"delete {run}")
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_text(f"Run #{run}, stub-model, is deleted.")).to_be_visible()
    expect(page.locator(f"#run-{run}")).to_have_count(0)


def test_a_lost_connection_is_shown_and_made_good(logged_in: Page) -> None:
    """The socket goes, the page says so, comes back by itself and reads again what it missed."""
    page, sockets = logged_in, []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket(re.compile("/ws/"), through)
    page.reload()
    connection = page.locator("#connection")
    expect(connection).to_have_attribute("data-state", "live")
    for code in (1012, 1001):
        with page.expect_response(re.compile("/fragments/"), timeout=60_000):
            sockets[-1].close(code=code)
            expect(connection).to_have_attribute("data-state", "retrying")
        expect(connection).to_have_attribute("data-state", "live")
    assert len(sockets) == 3


def test_keys_are_off_while_typing_and_listed(logged_in: Page) -> None:
    page = logged_in
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("no n j ?")
    expect(page.locator("input[name=q]")).to_have_value("no n j ?")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("dialog#launch")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#launch")).to_have_count(0)
    assert "launch" not in page.url
    page.locator("nav[aria-label=Main] a", has_text="Datasets").click()
    page.wait_for_url("**/datasets/")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/runs/")


def test_the_theme_is_kept(logged_in: Page) -> None:
    page = logged_in
    page.locator("summary", has_text="Theme").click()
    page.get_by_label("Dark").check()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator("summary", has_text="Theme").click()
    expect(page.get_by_label("Dark")).to_be_checked()
    page.get_by_label("System").check()
