"""Four published systems through upload, launch and comparison in a browser: figures, items, triage.

What the static page shows besides cannot follow from the file: recorded responses have no latency,
tokens or price, and the numbers of runs and times of day there are made up, as its README says.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import test_story as story
from tests.browser.conftest import MODELS
from tests.browser.launching import choose_dataset
from tests.browser.published import SYSTEMS, upload
from tests.browser.test_accessibility import in_every_look
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser
SUMMARY = (
    ("21.7%", "[19.5, 24.0]"),
    ("39.0%", "[36.4, 41.7]"),
    ("34.7%", "[32.2, 37.3]"),
    ("56.3%", "[53.6, 58.9]"),
)
PAIRS = {
    "B minus A": "+17.4 [14.7, 20.0] < 0.001",
    "C minus A": "+13.0 [10.4, 15.7] < 0.001",
    "D minus A": "+34.6 [31.7, 37.5] < 0.001",
    "B minus C": "+4.3 [1.5, 7.1] 0.003",
    "D minus B": "+17.2 [14.4, 20.0] < 0.001",
    "D minus C": "+21.5 [18.7, 24.4] < 0.001",
}
GROUPS = [
    "verification B D 47.6% [45.4, 49.9] +19.4 [17.4, 21.5]",
    "finetuning A C 28.2% [26.2, 30.2] baseline",
]
BROKEN = {
    "825": "3 steps … 52 52 22",
    "1,021": "3 steps … 22 22 40",
    "1,252": "5 steps … 30 30 40",
    "1,273": "4 steps … 296 296 264",
    "1,282": "4 steps … 20 20 160",
    "1,291": "4 steps … 90 90 54",
    "1,301": "4 steps … 120 120 168",
}
SECTIONS = (
    "1–2 steps 440 35.7% [31.3, 40.3] ▲ +20.5 [15.7, 25.2] ▲ +10.2 [5.2, 15.2] ▲ +33.4 [28.3, 38.5]",
    "3 steps 364 21.7% [17.8, 26.2] ▲ +22.0 [16.5, 27.5] ▲ +17.9 [12.4, 23.3] ▲ +42.6 [36.9, 48.3]",
    "4 steps 290 12.1% [8.8, 16.3] ▲ +14.5 [9.0, 20.0] ▲ +16.9 [11.4, 22.4] ▲ +36.9 [30.6, 43.1]",
    "5 steps 138 7.2% [4.0, 12.8] ▲ +10.1 [3.7, 16.6] ▲ +8.0 [1.9, 14.0] ▲ +23.2 [15.3, 31.0]",
    "6+ steps 87 5.7% [2.5, 12.8] +3.4 [−3.3, 10.2] +2.3 [−4.1, 8.7] ▲ +17.2 [7.6, 26.9]",
    "All 1,319 21.7% [19.5, 24.0] ▲ +17.4 [14.7, 20.0] ▲ +13.0 [10.4, 15.7] ▲ +34.6 [31.7, 37.5]",
)


def said(page: Page, selector: str) -> str:
    """The text of a part, one space between words."""
    return " ".join(page.locator(selector).inner_text().split())


@pytest.mark.shared
def test_the_published_systems(logged_in: Page, tmp_path: Path) -> None:
    page, home = logged_in, logged_in.url.removesuffix("runs/")
    page.set_default_timeout(60_000)
    upload(page, home, tmp_path / "gsm8k-published.jsonl")
    launch(page, home, "finetuning", SYSTEMS[::2])
    launch(page, home, "verification", SYSTEMS[1::2])
    compare(page, home)
    the_figures_are_those_published(page)
    groups(page)
    items_by_outcome(page)
    the_items_shown_there(page)
    triage(page)
    another_baseline(page)
    take_the_report(page, tmp_path)
    compared = page.url
    for path in (compared, f"{home}compare/", f"{home}compare/?choose=1&runs=1", f"{home}triage/", home):
        page.goto(path)
        assert in_every_look(page) == []


def launch(page: Page, home: str, label: str, names: Sequence[str]) -> None:
    page.goto(f"{home}runs/?launch=1")
    sheet = page.locator("dialog#launch[open]")
    choose_dataset(page, "gsm8k-published · 1,319 items · v1")
    sheet.get_by_text("Recorded in the dataset").click()
    sheet.get_by_label("Label").fill(label)
    sheet.get_by_label("Several models and judges").check()
    for name in names:
        sheet.locator("#launch-recorded").get_by_label(name, exact=True).check()
    sheet.locator("input[name=scorers][value=numeric]").check()
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(r"#run-\d+$"))


def compare(page: Page, home: str) -> None:
    """The dashboard says when they are ready."""
    page.goto(home)
    ready = page.locator("#readiness li", has_text="gsm8k-published").filter(has_text="4 finished runs")
    expect(ready).to_be_visible(timeout=60_000)
    ready.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Compare 4 runs")).to_be_visible()
    rows = page.locator("#summary tbody tr")
    ids = {
        row.get_by_role("link").inner_text(): row.locator(".sub").first.inner_text()[1:].split()[0]
        for row in rows.all()
    }
    page.goto(f"{home}compare/?runs={','.join(ids[name] for name in SYSTEMS)}")


def the_figures_are_those_published(page: Page) -> None:
    finding = said(page, "#finding .finding").replace("\u00a0", " ")
    assert finding == "B − A = +17.4 pts [14.7, 20.0], p < 0.001, 1,319 pairs, 293 fixed, 64 broken"
    words = said(page, "#finding .prose").replace("\u00a0", " ")
    assert "6b_verification answers more items correctly than 6b_finetuning." in words
    assert "6+ steps: +3.4 pts [−3.3, 10.2] (n = 87)" in words
    assert "both correct 222 only B 293 only A 64 neither 740" in said(page, "#finding .facts")
    assert "Holm-adjusted for 6 pairs" in said(page, "#finding footer")
    rows = page.locator("#summary tbody tr")
    for at, (share, interval) in enumerate(SUMMARY):
        assert " ".join(rows.nth(at).locator("td").first.inner_text().split()) == f"{share} {interval}"
    for name, figures in PAIRS.items():
        row = page.locator("#forest tbody tr", has=page.get_by_role("link", name=name, exact=True))
        assert " ".join(row.locator("td.num").all_inner_texts()) == figures, name
    sections = page.locator("#sections tbody tr")
    assert {" ".join(text.split()) for text in sections.all_inner_texts()} == set(SECTIONS)
    last = sections.filter(has_text="6+ steps")
    tints = [cell.get_attribute("data-heat") for cell in last.locator("td[data-heat]").all()]
    assert tints == ["0", "0", "2"]


def groups(page: Page) -> None:
    """By label: the static page's figures of two groups."""
    page.locator("#groups").get_by_role("link", name="Label", exact=True).click()
    expect(page).to_have_url(re.compile("group=label"))
    rows = page.locator("#groups tbody tr")
    expect(rows).to_have_count(2)
    assert [" ".join(text.split()) for text in rows.all_inner_texts()] == GROUPS


def items_by_outcome(page: Page) -> None:
    items = page.locator("#pair-items")
    items.get_by_role("link", name=re.compile("^Broken")).click()
    expect(page).to_have_url(re.compile("a=right&b=wrong"))
    expect(items.locator(".result")).to_have_text("64 of 1,319")
    items.get_by_label("C, 175b_finetuning").select_option("wrong")
    expect(page).to_have_url(re.compile("c=wrong"))
    expect(items.locator(".result")).not_to_have_text("64 of 1,319")
    items.get_by_label("C, 175b_finetuning").select_option("")
    expect(items.locator(".result")).to_have_text("64 of 1,319")
    page.locator("body").click(position={"x": 700, "y": 5})
    page.keyboard.press("j")
    expect(items.locator("[data-nav]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pair-diff del").first).to_be_visible()
    expect(page.locator("#pair-diff ins").first).to_be_visible()
    first = page.locator("#pair-diff h3").first.inner_text()
    page.keyboard.press("j")
    expect(page.locator("#pair-diff h3").first).not_to_have_text(first)
    page.keyboard.press("k")
    expect(page.locator("#pair-diff h3").first).to_have_text(first)


def the_items_shown_there(page: Page) -> None:
    """The static page shows seven of the 64; here they stand among the others, in the file's order."""
    items, found = page.locator("#pair-items"), dict[str, str]()
    page.goto(re.sub("&item=[0-9]+|#.*", "", page.url))
    for first in range(1, 65, 10):
        expect(items.locator("footer").last).to_contain_text(f"{first}–{min(first + 9, 64)} of 64")
        for row in items.locator("tbody tr").all():
            number, _, *told = row.locator("th, td").all_inner_texts()
            found[number] = " ".join(" ".join(told[:4]).split())
        if first < 61:
            items.get_by_role("link", name="Next", exact=True).click()
    assert len(found) == 64
    assert {number: found[number] for number in BROKEN} == BROKEN
    items.get_by_role("link", name=re.compile("^Broken")).click()
    expect(items.locator("footer").last).to_contain_text("1–10 of 64")
    items.locator("[data-nav]").first.click()


def triage(page: Page) -> None:
    box = page.locator("#triage")
    box.get_by_label("It is").select_option("wrong_reference")
    box.get_by_label("Comment").fill("The reference is off by ten.")
    box.get_by_role("button", name="Keep").click()
    expect(page.locator("#triage")).to_contain_text("The reference is off by ten.")
    expect(page.locator("#finding .facts")).to_contain_text("to triage 63")


def another_baseline(page: Page) -> None:
    page.locator("#compare-baseline").select_option(label="C, 175b_finetuning")
    expect(page).to_have_url(re.compile("baseline="))
    expect(page.locator("#summary")).to_contain_text("Differences are against C")
    page.locator("#forest").get_by_role("link", name="B minus A", exact=True).click()
    expect(page.locator("#finding .finding")).to_contain_text("B − A = +17.4 pts")


def take_the_report(page: Page, folder: Path) -> None:
    """It opens from the disk, with its marks and tints, and asks for nothing."""
    page.get_by_text("Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Report, HTML").click()
    download.value.save_as(folder / "report.html")
    browser = page.context.browser
    assert browser
    reader, asked = browser.new_page(), list[str]()
    reader.on("request", lambda request: asked.append(request.url))
    reader.goto((folder / "report.html").as_uri())
    expect(reader.get_by_text("B − A = +17.4 pts")).to_be_visible()
    expect(reader.get_by_role("heading", name="Broken items")).to_be_visible()
    assert len(asked) == 1
    reader.close()


LAUNCH = """async (names) => {
  const csrf = JSON.parse(document.body.getAttribute("hx-headers"))["x-csrftoken"];
  const headers = {"content-type": "application/json", "x-csrftoken": csrf, "x-workspace": "demo"};
  const ask = async (path, options) => (await fetch(`/api/v1/${path}`, {headers, ...options})).json();
  const models = (await ask("models")).results.filter((model) => names.includes(model.name));
  const dataset = (await ask("datasets")).results.find((each) => each.name === "sums");
  const body = {dataset_version_id: dataset.latest_version, model_ids: models.map((model) => model.id),
                scorers: [{key: "numeric"}]};
  return (await ask("evaluations", {method: "POST", body: JSON.stringify(body)})).runs;
}"""


# How far the verdict and the summary are from where they were, at any frame.
WATCH = """() => {
  const top = (id) => document.getElementById(id).getBoundingClientRect().top;
  const places = () => ["finding", "summary"].map(top);
  const first = places();
  window.watched = {furthest: 0, frames: 0};
  const look = () => {
    const off = places().map((top, at) => Math.abs(top - first[at]));
    watched.furthest = Math.max(watched.furthest, ...off);
    watched.frames += 1;
    requestAnimationFrame(look);
  };
  look();
}"""


def launched(page: Page) -> list[int]:
    """Two runs at once, by the API with the person's own session."""
    runs: list[int] = page.evaluate(LAUNCH, list(MODELS))
    return runs


def test_it_follows_running_runs(logged_in: Page, endpoint: StubEndpoint, tmp_path: Path) -> None:
    """Marked "so far" while a run goes on; the figures move, what is read does not."""
    page, home = logged_in, logged_in.url.removesuffix("runs/")
    story.upload(page, tmp_path)
    endpoint.reset(latency_ms=1500, accuracy=0.7)
    runs = launched(page)
    page.goto(f"{home}compare/?runs={','.join(map(str, runs))}")
    scope = page.locator("#compare-scope")
    expect(scope).to_contain_text("so far")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.locator("#latency").scroll_into_view_if_needed()
    page.evaluate(WATCH)
    expect(scope).to_contain_text(f"the same {story.QUESTIONS} items", timeout=60_000)
    expect(scope).not_to_contain_text("so far", timeout=60_000)
    assert page.evaluate("watched.frames") > 60
    assert page.evaluate("watched.furthest") < 1, page.evaluate("watched")
    expect(page.locator("#finding .finding")).to_contain_text(f"{story.QUESTIONS} pairs")
