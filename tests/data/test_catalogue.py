"""The catalogue of public sets is complete, and says the same as the development data."""

import re

import pytest

from shared_data import SHARED, needs_shared
from tumorlens.data.manifest import read_data
from tumorlens.data.public_sets.catalogue import SETS


@pytest.mark.parametrize("name", SETS)
def test_every_set_says_all(name):
    known = SETS[name]
    for words in (known.title, known.content, known.home, known.terms, known.cite):
        assert words.strip() == words != ""
    assert known.problems
    assert known.sources
    assert known.layout or known.advice
    assert known.layout in ("", "classes")


def test_archives_have_addresses_and_hashes():
    archives = [archive for known in SETS.values() for archive in known.archives]
    assert archives
    for archive in archives:
        assert archive.address.startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256)
    assert len({archive.sha256 for archive in archives}) == len(archives)


def test_no_source_stands_in_two_sets():
    sources = [source for known in SETS.values() for source in known.sources]
    assert len(set(sources)) == len(sources)


@needs_shared
@pytest.mark.parametrize("name", SETS)
def test_sources_are_those_of_the_development_data(name):
    manifest = read_data(SHARED / "data" / name)
    assert set(manifest.sources) == set(SETS[name].sources)
