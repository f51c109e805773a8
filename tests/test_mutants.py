"""Two thousand damaged files of all formats: each is read or refused, and nothing else happens."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

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
def test_mutants_are_read_or_refused(tmp_path) -> None:
    """`benchmarks/mutants.py` runs as many as one likes; ``--show NUMBER`` runs one of these."""
    results = tmp_path / "results.json"
    bench = [sys.executable, str(ROOT / "benchmarks" / "mutants.py")]
    options = ["--count", str(MANY), "--output", str(results), "--quiet"]
    done = subprocess.run([*bench, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts = json.loads(Path(results).read_text())["counts"]
    assert counts["read"] > MANY / 5 and counts["refused"] > MANY / 5
