"""Damaged files of all formats, each built again from its number."""

from __future__ import annotations

from collections import Counter
from random import Random

from mutation.judging import judge
from mutation.mutants import Mutant, make_mutant
from mutation.seeds import find_seeds

MANY = 2000


def test_the_seeds_are_sound(tmp_path) -> None:
    first = {"image": "slices", "model": "session"}
    for seed in find_seeds():
        mutant = Mutant(0, seed, dict(seed.files), (), Random(0))
        path = mutant.write(tmp_path / seed.name)
        assert judge(mutant, path, first.get(seed.reader, seed.reader)) == "read", seed.name


def test_a_mutant_is_built_from_its_number_alone() -> None:
    before = [make_mutant(number).files for number in range(100)]
    find_seeds.cache_clear()
    assert [make_mutant(number).files for number in range(100)] == before
    assert make_mutant(3, start=1).files != make_mutant(3).files


def test_all_formats_are_damaged() -> None:
    names = Counter(make_mutant(number).seed.name for number in range(MANY))
    assert set(names) == {seed.name for seed in find_seeds()}
