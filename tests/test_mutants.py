"""Damaged files of all formats: each is read or refused, and nothing else happens."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from mutation.bombs import detonate
from mutation.judging import judge
from mutation.mutants import Mutant, make_mutant
from mutation.seeds import find_seeds
from shared_data import ROOT

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


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")
@pytest.mark.parametrize("count", [100, pytest.param(MANY, marks=pytest.mark.slow)])
def test_mutants_are_read_or_refused(tmp_path, count) -> None:
    """`benchmarks/mutants.py` runs as many as one likes; ``--show NUMBER`` runs one of these."""
    results = tmp_path / "results.json"
    bench = [sys.executable, str(ROOT / "benchmarks" / "mutants.py")]
    options = ["--count", str(count), "--workers", "2", "--output", str(results), "--quiet"]
    done = subprocess.run([*bench, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts = json.loads(Path(results).read_text())["counts"]
    assert counts["read"] > count / 5 and counts["refused"] > count / 5


def test_a_run_that_was_broken_off_goes_on(tmp_path) -> None:
    """What was judged already stays as it is, and is not judged again."""
    results, kept = tmp_path / "results.json", tmp_path / "results.json.lines"
    old = {"start": 0, "seed": "PNG", "way": "slices", "edits": [], "seconds": 0.1, "mib": 5}
    lines = [
        json.dumps({**old, "number": number, "outcome": "crash", "why": f"as it was {number}"})
        for number in range(3)
    ]
    kept.write_text("\n".join([*lines, lines[0].replace(": 0", ": 9", 1), '{"number']))
    bench = [sys.executable, str(ROOT / "benchmarks" / "mutants.py")]
    options = ["--count", "3", "--output", str(results), "--quiet"]
    done = subprocess.run([*bench, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = [one["why"] for one in json.loads(results.read_text())["failures"]]
    assert found == ["as it was 0", "as it was 1", "as it was 2"]


@pytest.mark.parametrize("start", range(40))
def test_bombs_of_all_sizes_can_be_built(start) -> None:
    """A size in a zip archive has four bytes; a bomb may be larger than these can say."""
    assert detonate(b"PK\3\4", Random(start)).startswith(b"PK\3\4")
