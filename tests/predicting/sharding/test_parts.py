"""Which inputs are of which shard: the series decides, never the order or the machine."""

import random
import re

import numpy as np
import pytest

from builders import write_nifti, write_series
from heads import paint_slice, write_folder
from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.sources import find_sources
from tumorlens.predicting.sharding.parting import Parting, Sameness
from tumorlens.shards import Shard

LPS = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [9.0, 0, 0, 0], [0, 0, 0, 1]])


@pytest.fixture
def scans(tmp_path):
    """Three DICOM series, one of them spread over two folders, three volumes and six pictures."""
    folder = tmp_path / "scans"
    head = np.stack([paint_slice(), paint_slice(None)])
    for number in range(3):
        series = {"SeriesInstanceUID": f"1.2.{number}", "StudyInstanceUID": f"1.1.{number // 2}"}
        files = write_series(folder / f"s{number}", head, LPS, **series)
        if number == 0:
            (folder / "elsewhere").mkdir()
            files[0].rename(folder / "elsewhere/IM1")
    for number in range(3):
        write_nifti(folder / f"v{number}.nii.gz", head.T.astype(np.int16), np.eye(4) * 3)
    write_folder(folder / "pictures")
    return folder


def part_out(inputs, of, **rules):
    """Shard -> names of the files in it."""
    named = {}
    for number in range(1, of + 1):
        parting = Parting(Shard(number, of), Sameness(**rules))
        sources = [one for one in find_sources(inputs) if parting.take(one)]
        named[number] = {part.path for one in sources for part in one.parts}
    return named


def test_each_file_is_in_one_shard_and_a_series_is_whole(scans):
    parts = part_out([scans], 4)
    files = [str(path) for path in scans.rglob("*") if path.is_file()]
    assert sorted(name for names in parts.values() for name in names) == sorted(files)
    spread = {str(scans / "elsewhere/IM1"), *map(str, (scans / "s0").iterdir())}
    assert any(spread <= names for names in parts.values())
    assert sum(bool(names) for names in parts.values()) > 1


def test_the_parts_do_not_depend_on_the_order_or_on_how_files_are_named(scans):
    files = [str(path) for path in scans.rglob("*") if path.is_file()]
    wanted = part_out([scans], 3)
    for seed in range(3):
        random.Random(seed).shuffle(files)
        assert part_out(files, 3) == wanted
    one_by_one = Parting(Shard(1, 3), Sameness())
    found = [one for one in find_sources(iter(files), together=False) if one_by_one.take(one)]
    assert {part.path for one in found for part in one.parts} == wanted[1]


def test_the_fingerprint_of_the_inputs_forgets_their_order_and_the_other_does_not(scans):
    files = sorted(str(path) for path in (scans / "pictures").iterdir())
    partings = [Parting(Shard(1, 2), Sameness()) for _ in range(3)]
    for parting, names in zip(partings, (files, files[::-1], files[1:]), strict=True):
        for found in find_sources(names):
            parting.take(found)
    same, turned, fewer = partings
    assert same.fingerprint == turned.fingerprint != fewer.fingerprint
    assert same.order != turned.order


def test_a_folder_that_is_a_series_and_a_study_stay_together(scans):
    pictures = set(map(str, (scans / "pictures").iterdir()))
    for of in (2, 3, 5, 7):
        parts = part_out([scans], of, series_from="folder")
        assert any(pictures <= names for names in parts.values())
        parts = part_out([scans], of, whole_studies=True)
        study = {
            str(path) for name in ("s0", "s1", "elsewhere") for path in (scans / name).iterdir()
        }
        assert any(study <= names for names in parts.values())
        parts = part_out([scans], of, whole_studies=True, study_from="folder")
        volumes = {str(path) for path in scans.glob("*.nii.gz")}
        assert any(volumes <= names for names in parts.values())


def test_an_error_is_of_one_shard():
    error = InputError("folder", "cannot be listed")
    assert [Parting(Shard(n, 3), Sameness()).take(error) for n in (1, 2, 3)].count(True) == 1


def test_a_hash_is_the_same_on_every_machine_and_in_every_version():
    assert [n for n in range(12) if Shard(2, 5).holds(f"series 1.2.{n}")] == [1, 4, 6]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/0", "1", "a/b", "-1/2", "1/2/3", ""])
def test_a_shard_that_there_is_not_is_refused(text):
    with pytest.raises(UsageError, match=re.escape(f"`shard={text}`")):
        Shard.parse(text)
