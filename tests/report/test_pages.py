"""Pages: one file that loads nothing, with every word escaped, in HTML and in Markdown."""

import re
import shutil
import subprocess

import pytest

from page_reader import PageReader
from tumorlens.finding import RESEARCH_USE
from tumorlens.report.pages import (
    Fact,
    Facts,
    Gallery,
    Notice,
    Notices,
    Page,
    PageImage,
    Plot,
    Section,
    Table,
    Text,
    Tile,
    limit_rows,
    render_html,
    render_markdown,
    write_page,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
REVERSED = "scan\u202egpj.exe"


def make_page(word=HOSTILE):
    picture = PageImage(b"\xff\xd8\xff", word, (10, 10))
    blocks = (
        Text((word,)),
        Text((word,), listed=True),
        Notices((Notice("minor", word, word, word, word, 0.25),)),
        Facts((Fact(word, word, (word,)),)),
        Table(word, (word, "b"), ((word, "0.5"),)),
        Plot('<svg viewBox="0 0 1 1"></svg>', word, word, narrow='<svg viewBox="0 0 1 1"></svg>'),
        Gallery(word, (Tile(word, (picture, picture), (word,)),)),
    )
    return Page(word, word, (Section(word, blocks), Section("nothing", ())), word, {word: word})


def test_every_word_is_escaped_and_nothing_is_loaded():
    page = PageReader(render_html(make_page()))
    assert page.faults == []
    assert "script" not in page.tags
    assert page.pictures == 2
    assert page.text.count("<script>alert(1)</script>") >= 12


def test_the_reader_sees_faults():
    bad = '<p id="a"><script src="http://x"></script><img src="//x" onload="y"><b id="a"></p>'
    faults = PageReader(bad).faults
    for fault in ("<script>", "img onload", "a stands twice", "a picture without a text"):
        assert fault in faults
    assert any("href" in fault or "src" in fault for fault in faults)


def test_a_browser_is_told_to_load_nothing():
    html = render_html(make_page("word"))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'")


def test_research_use_stands_once_in_html_and_in_markdown():
    for text in (render_html(make_page("word")), render_markdown(make_page("word"))):
        assert text.count(RESEARCH_USE) == 1


def test_pages_fit_dark_print_phone_and_keyboard():
    html = render_html(make_page("word"))
    page = PageReader(html)
    for rule in (
        "light-dark(",
        "@media print",
        "max-width: 760px",
        ":focus-visible",
    ):
        assert rule in page.css
    assert 'name="viewport"' in html
    assert {"main", "nav", "header", "footer", "caption", "figure", "h1", "h2"} <= set(page.tags)
    assert page.tags.index("a") < page.tags.index("nav")  # the skip link comes first
    assert 'href="#content"' in html
    assert 'scope="row"' in html


def test_characters_that_turn_a_name_around_are_replaced():
    for text in (render_html(make_page(REVERSED)), render_markdown(make_page(REVERSED))):
        assert "\u202e" not in text
        assert "scan" in text


def test_sections_without_blocks_are_left_out():
    assert "nothing" not in PageReader(render_html(make_page("word"))).text


def test_markdown_shows_hostile_words_as_they_are():
    text = render_markdown(make_page())
    assert re.search(r"(?<!\\)<", text) is None
    assert render_markdown(make_page("a|b\nc")).count("| a\\|b c | 0.5 |") == 1


def test_verdicts_are_marked_for_colour_and_sign():
    table = Table("t", ("file", "verdict"), (("tumor", "no tumor"), ("b", "not judged")))
    tile = Tile("a", (PageImage(b"x", "a", (1, 1)),), (), "uncertain")
    blocks = (Facts((Fact("verdict", "tumor"), Fact("AUC", "0.9"))), table, Gallery("g", (tile,)))
    html = render_html(Page("t", "l", (Section("s", blocks),)))
    found = re.findall(r'<b data-verdict="(\w+)">', html)
    assert found == ["tumor", "no_tumor", "not_judged", "uncertain"]


def test_a_table_that_is_cut_off_says_how_to_see_the_rest():
    short, long = (Table(f"of {n}", ("a", "b"), (("x", "y"),) * n) for n in (25, 26))
    text = PageReader(render_html(Page("t", "l", (Section("s", (short, long)),)))).text
    assert "of 26 (26 rows, scroll down ↓)" in text
    assert "of 25 (25 rows" not in text


def test_a_table_checks_its_rows():
    with pytest.raises(ValueError, match="a row of 1 cells, 2 were expected"):
        Table("t", ("a", "b"), (("1",),))


def test_long_tables_end_with_what_is_missing():
    rows = limit_rows(((str(n), "x") for n in range(10)), more="see there", most=3)
    assert len(rows) == 4
    assert rows[-1] == ("… and 7 more: see there", "")


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "page.html"
    write_page(file, make_page())
    assert file.read_text(encoding="utf-8").endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [file]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")
def test_a_browser_reads_the_page_without_complaint(tmp_path):
    file = tmp_path / "page.html"
    write_page(file, make_page())
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    words += ["--disable-background-networking", "--disable-component-update"]
    words += ["--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*words, file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in done.stderr
    assert PageReader(done.stdout).pictures == 2
    assert "alert(1)" in PageReader(done.stdout).text
