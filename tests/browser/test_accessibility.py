"""Every page of the portal, in both themes, wide and narrow: nothing that axe-core finds, of any impact, by
all rules that it runs unasked; nothing that scrolls sideways; and, as everywhere in these tests, no word in
the console and no refusal by the content policy.

The pages are the routes that answer with a whole page: a new one is walked without a line here.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import MODELS, Portal, shell, started
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.browser
LOOKS = (("light", 1440), ("dark", 1440), ("dark", 390), ("light", 390))  # each changes one thing
# Of routes that are walked already, what they show besides.
BESIDES = (
    "runs/?launch=1",
    "runs/1/?item=2",
    "runs/1/?verdict=errored",
    "compare/?runs=1,3",
    "datasets/1/?item=1",
    "datasets/1/draft/?item=1",
    "datasets/upload/?kind=query_response",
    "datasets/1/diff/?from=1&to=1",
    "benchmarks/1/evaluate/?source=recorded",
    "judges/new/?rubric=helpfulness",
)
# Without motion, so that a change of theme is no transition of colours; by the object model, which the
# content policy leaves alone. Then the frames that show it.
SETTLED = """async () => {
    if (!document.adoptedStyleSheets.length) {
        const still = new CSSStyleSheet();
        still.replaceSync("*, ::before, ::after { transition: none !important; animation: none !important }");
        document.adoptedStyleSheets = [still];
    }
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
}"""
EXAMINED = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations.map(
    each => ({ ...each, nodes: each.nodes.slice(0, 3) }))"""
AREAS = ("runs", "datasets", "benchmarks", "analysis", "judges", "workspaces", "others")
PLACES = {"analysis": "compare"}  # of an area whose addresses begin otherwise
WALK = """
import json
from tests.browser.walked import addresses
print("ADDRESSES", json.dumps(addresses({email!r}, "demo", {model!r})))
"""


def violations(page: Page) -> list[str]:
    """All that axe-core finds, in words, with the first elements they are about."""
    return [
        f"{page.url} {each['id']}, {each['impact']}: {[words(node) for node in each['nodes']]}"
        for each in page.evaluate(EXAMINED)
    ]


def words(node: dict[str, Any]) -> str:
    why = next((check["message"] for check in [*node["any"], *node["all"], *node["none"]]), "")
    return f"{node['html'][:160]} {why}"


def look(page: Page, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")


def faults(page: Page) -> list[str]:
    """Of a page as it stands, in every look."""
    page.evaluate(AXE_SCRIPT)
    found = []
    for theme, width in LOOKS:
        look(page, theme, width)
        page.evaluate(SETTLED)
        found += [f"{theme} {width}: {text}" for text in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            found.append(f"{theme} {width}: {page.url} scrolls sideways")
    return found


def in_every_look(page: Page, prepare: Callable[[Page], object] = lambda page: None) -> list[str]:
    """Of the page where it is, loaded anew and prepared once."""
    look(page, *LOOKS[0])
    page.reload()
    expect(page.locator("main")).to_be_visible()
    prepare(page)
    return faults(page)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory, endpoint: StubEndpoint) -> Iterator[Portal]:
    """One of its own: the walk puts an object of every kind into its demo."""
    with started(tmp_path_factory.mktemp("walked"), endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def addresses(portal: Portal) -> dict[str, str]:
    """By name of route."""
    printed = shell(WALK.format(email=portal.email, model=MODELS[0]), portal.env)
    return dict(json.loads(printed.partition("ADDRESSES ")[2]))


def is_page(context: BrowserContext, address: str) -> bool:
    """Whether it answers a GET with a whole page; not a file, a fragment, a redirect or a refusal."""
    answer = context.request.get(address, max_redirects=0)
    assert answer.status < 500, f"{address} answers {answer.status}"
    is_html = answer.headers.get("content-type", "").startswith("text/html")
    return answer.status == 200 and is_html and "</html>" in answer.text()


def walk(page: Page, addresses: list[str]) -> list[str]:
    found = []
    for address in addresses:
        look(page, *LOOKS[0])
        page.goto(address)
        found += faults(page)
    return found


def area_of(name: str) -> str:
    area = name.partition(":")[0]
    return area if area in AREAS else "datasets" if area in ("catalogue", "generation") else "others"


@pytest.mark.parametrize("area", AREAS)
def test_every_page(area: str, logged_in: Page, addresses: dict[str, str]) -> None:
    named = [address for name, address in addresses.items() if area_of(name) == area]
    pages = [address for address in named if is_page(logged_in.context, address)]
    assert len(pages) > 1
    besides = [f"/w/demo/{path}" for path in BESIDES if path.startswith(PLACES.get(area, area))]
    assert not (found := walk(logged_in, pages + besides)), "\n".join(found)


def test_every_page_before_the_login(page: Page, addresses: dict[str, str]) -> None:
    pages = [
        address
        for name, address in addresses.items()
        if "/w/" not in address and is_page(page.context, address)
    ]
    assert len(pages) > 4
    assert not (found := walk(page, pages)), "\n".join(found)


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
