"""The page of an audit: findings in their order, copies side by side, small however large."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditing.planting import Site
from page_reader import PageReader
from tumorlens.auditing.checks import audit_manifest
from tumorlens.auditing.findings import Audit, AuditFinding, Example
from tumorlens.data.manifest import read_manifest
from tumorlens.report.audits.audit_pages import MOST_TILES, build_audit_page
from tumorlens.report.pages import Gallery, Notices, render_html, render_markdown


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("set") / "site")
    site.spoil(("elsewhere", "<b>clinic</b>"))
    return site


@pytest.fixture(scope="module")
def audit(site):
    return audit_manifest(read_manifest(site.write()))


@pytest.fixture(scope="module")
def page(audit):
    return build_audit_page(audit, command="tumorlens audit site")


def blocks_of(page, kind):
    return [block for one in page.shown for block in one.blocks if isinstance(block, kind)]


def test_findings_are_listed_the_worst_first_each_with_advice(audit, page):
    (notices,) = blocks_of(page, Notices)
    assert [one.title for one in notices.items] == [one.check for one in audit.findings]
    assert [one.level for one in notices.items] == [one.severity for one in audit.findings]
    assert all(audit.findings[n].advice in one.advice for n, one in enumerate(notices.items))


def test_the_page_loads_nothing_and_escapes_names(page):
    read = PageReader(render_html(page))
    assert read.faults == []
    assert "b" not in read.tags or "<b>clinic</b>" in read.text
    assert read.pictures > 0
    for word in (
        "two labels",
        "mask of another size",
        "burnt-in text",
        "AUC of the property alone",
    ):
        assert word in read.text


def test_copies_stand_side_by_side_with_their_labels(page):
    gallery = next(one for one in blocks_of(page, Gallery) if one.caption.startswith("two labels"))
    assert gallery.caption == "two labels: 2 of 2"
    for tile in gallery.tiles:
        assert len(tile.pictures) == 2
        assert "mirrored" in tile.title
        assert {line.split(" · ")[1] for line in tile.lines} == {"tumor", "no tumor"}


def test_a_mask_stands_beside_its_picture(page):
    (gallery,) = [one for one in blocks_of(page, Gallery) if one.caption.startswith("mask of")]
    picture, mask = gallery.tiles[0].pictures
    assert (picture.size, mask.size) == ((160, 160), (160, 160))
    assert "mask" in mask.alt
    assert "80 x 80" in " ".join(gallery.tiles[0].lines)


def test_what_cannot_be_read_is_named_with_its_reason(page):
    assert "p01-0.png" in PageReader(render_html(page)).text
    assert "not a picture" in render_markdown(page) or "unreadable" in render_markdown(page)


def test_galleries_are_drawn_from_all_that_was_found(audit):
    pairs = tuple(Example((n,), "odd") for n in range(40))
    many = AuditFinding(
        "suspicious", "odd", "t", "a", 0.1, tuple(range(40)), examples=pairs, instances=4000
    )
    page = build_audit_page(replace(audit, findings=(many,)))
    (gallery,) = blocks_of(page, Gallery)
    assert len(gallery.tiles) == MOST_TILES
    assert gallery.caption == f"odd: {MOST_TILES} of 4,000"
    assert len(render_html(page)) < 1_000_000


def test_a_clean_set_says_so():
    page = build_audit_page(Audit("clean", (), (), own=0))
    assert "Nothing was found" in PageReader(render_html(page)).text
