"""Every page in a real browser: on a phone and on a desk, light and dark, read by anybody."""

from __future__ import annotations

import shutil

import pytest

from axe import list_serious, needs_axe
from report_pages import write_pages
from tumorlens.design.tokens import find_color

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
NAMES = ("verdict", "study", "card", "evaluation", "audit", "training", "tuning")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs the browser chromium")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return write_pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, pages):
    """Opens a page; whatever its console says, or it asks of the network, is kept."""
    contexts = []

    def open_page(name, width, theme):
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=theme)
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("console", lambda told: heard.append(told.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda asked: heard.append(asked.url))
        page.goto(pages[name].as_uri())
        heard = [one for one in heard if not one.startswith(("data:", pages[name].as_uri()))]
        return page, heard

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_phone_shows_all_of_a_page(name, visit):
    """Nothing is wider than the screen but tables that say so."""
    page, heard = visit(name, 390, "dark")
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    cut = page.evaluate("""() => [...document.querySelectorAll("section *")]
        .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
            && getComputedStyle(one).overflowX !== "visible")
        .filter((one) => !one.matches(".scroll.many"))
        .map((one) => one.outerHTML.slice(0, 120))""")
    assert cut == []


def part_screens():
    """Each page on one kind of screen, and in `make slow` on the other."""
    screens = [(390, "dark"), (1440, "light")]
    for number, name in enumerate(NAMES):
        for place, screen in enumerate(screens):
            marks = [pytest.mark.slow] if (number + place) % 2 else []
            yield pytest.param(name, *screen, marks=marks, id=f"{name}-{screen[0]}")


@needs_axe
@pytest.mark.parametrize(("name", "width", "theme"), list(part_screens()))
def test_anybody_can_read_a_page(name, width, theme, visit):
    page, heard = visit(name, width, theme)
    assert heard == []
    assert list_serious(page) == []


def name_color(token, theme):
    """A colour of the design tokens as a browser writes it."""
    return f"rgb{find_color(token, theme)}"


def test_verdicts_have_the_colours_of_their_theme(visit):
    shown = {
        theme: visit("verdict", 1440, theme)[0].evaluate(
            "getComputedStyle(document.querySelector('[data-verdict=tumor]')).color"
        )
        for theme in ("light", "dark")
    }
    assert shown == {theme: name_color("tumor", theme) for theme in ("light", "dark")}


def test_a_printed_page_is_light_and_shows_every_row(visit):
    page, _ = visit("card", 1440, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == name_color("text", "light")
    hidden = page.evaluate("""() => [...document.querySelectorAll(".scroll")]
        .filter((one) => one.scrollHeight > one.clientHeight + 1).length""")
    assert hidden == 0
