"""One Series Instance UID is one series, however its files are spread."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import find_sources
from tumorlens.imaging.files.stored_files import Found, Source
from tumorlens.imaging.readers import iterate_slices, read_slices

HEAD = builders.paint_head((30, 26, 24)) + np.arange(26, dtype=np.uint16)[:, np.newaxis]


def write(folder: Path, **elements) -> list[Path]:
    """Thin sagittal slices, which make a volume together only."""
    volume, lps = builders.store_volume(HEAD, (2, 2, 2), (0, 2, 1), (1, -1, 1))
    return builders.write_series(folder, volume, lps, **elements)


def spread(files: list[Path], *folders: Path) -> None:
    """Move a share of the files to each folder."""
    for folder, part in zip(folders, np.array_split(np.array(files), len(folders)), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        for file in part:
            file.rename(folder / file.name)


def read(*paths: Path) -> np.ndarray:
    return np.stack([one.pixels for path in find(*paths) for one in read_slices(path)])


def find(*paths: Path) -> list[Source]:
    return [one for one in find_sources(paths) if isinstance(one, Source)]


def find_all(paths: list[Path], *, together: bool) -> list[Found]:
    return list(find_sources(paths, together=together))


@pytest.fixture
def whole(tmp_path) -> np.ndarray:
    write(tmp_path / "whole")
    return read(tmp_path / "whole")


@pytest.mark.parametrize("count", [2, 3, 30])
def test_folders_of_one_series_are_joined(tmp_path, whole, count):
    folders = [tmp_path / "s" / f"{index:02d}" for index in range(count)]
    spread(write(tmp_path / "made"), *folders)
    (source,) = find(tmp_path / "s")
    assert source.path == str(tmp_path / "s")
    slices = list(read_slices(source))
    np.testing.assert_array_equal(np.stack([one.pixels for one in slices]), whole)
    assert all(f"put together from {count} folders" in one.info.notes for one in slices)


def test_a_folder_goes_on_in_one_below(tmp_path, whole):
    spread(write(tmp_path / "made"), tmp_path / "s", tmp_path / "s" / "00000001")
    np.testing.assert_array_equal(read(tmp_path / "s"), whole)


def test_folders_named_one_by_one_are_joined(tmp_path, whole):
    spread(write(tmp_path / "made"), tmp_path / "a", tmp_path / "b")
    np.testing.assert_array_equal(read(tmp_path / "a", tmp_path / "b"), whole)
    apart = find_sources([tmp_path / "a", tmp_path / "b"], together=False)
    assert len(list(apart)) == 2


def test_folders_here_are_joined_as_what_lies_here(tmp_path, monkeypatch):
    spread(write(tmp_path / "made"), tmp_path / "s" / "a", tmp_path / "s" / "b")
    monkeypatch.chdir(tmp_path / "s")
    for given in (["."], ["a", "b"]):
        (source,) = find(*map(Path, given))
        assert source.path == "."
        assert {one.info.path for one in read_slices(source)} == {"."}


def test_folders_and_an_archive_are_joined(tmp_path, whole):
    parts = [tmp_path / "s" / name for name in ("a", "b", "c", "d")]
    spread(write(tmp_path / "made"), *parts)
    members = {f"disc/{file.name}": file for file in sorted(parts[3].iterdir())}
    builders.write_zip(tmp_path / "s" / "rest.zip", members)
    shutil.rmtree(parts[3])
    np.testing.assert_array_equal(read(tmp_path / "s"), whole)


@pytest.mark.parametrize("packed", [False, True])
def test_copies_of_files_are_left_out_and_told(tmp_path, whole, packed):
    files = write(tmp_path / "s" / "a")
    if packed:
        builders.write_zip(tmp_path / "s" / "a.zip", {file.name: file for file in files})
    else:
        shutil.copytree(tmp_path / "s" / "a", tmp_path / "s" / "b")
    (source,) = find(tmp_path / "s")
    np.testing.assert_array_equal(read(tmp_path / "s"), whole)
    assert source.notes == ("30 copies of its files left out",)


def test_files_of_one_instance_are_each_read_once_to_tell_copies(tmp_path):
    """As an anonymiser makes them that gives one UID to all, without places and numbers."""
    bare = {"SOPInstanceUID": "1.2.3.9", "InstanceNumber": None}
    cost = {}
    for count in (100, 800):
        folder = tmp_path / str(count)
        folder.mkdir()
        for index in range(count):
            pixels = np.full((32, 32), index, np.uint16)
            builders.write_dicom(folder / str(index), pixels, **bare)
        start = time.process_time()
        assert len(find(folder)[0].parts) == count
        cost[count] = (time.process_time() - start) / count
    assert cost[800] < 3 * cost[100]


def test_one_slice_sent_twice_is_one(tmp_path, whole):
    files = write(tmp_path / "s")
    shutil.copy(files[3], tmp_path / "s" / "again")
    np.testing.assert_array_equal(read(tmp_path / "s"), whole)


def test_edited_copies_are_a_series_of_their_own(tmp_path, whole):
    """The UIDs are the same and the pixels are not: nobody knows which are the right ones."""
    write(tmp_path / "s" / "a")
    for file in write(tmp_path / "s" / "edited"):
        dataset = pydicom.dcmread(file)
        dataset.PixelData = (dataset.pixel_array + 7).tobytes()
        dataset.save_as(file)
    first, second = find(tmp_path / "s")
    assert (first.path, second.path) == (str(tmp_path / "s/a"), str(tmp_path / "s/edited"))
    np.testing.assert_array_equal(np.stack([one.pixels for one in read_slices(first)]), whole)
    np.testing.assert_array_equal(np.stack([one.pixels for one in read_slices(second)]), whole + 7)


@pytest.mark.parametrize(
    "other", [{"PatientID": "P-18"}, {"StudyInstanceUID": "1.2.9"}, {"SeriesInstanceUID": "1.9"}]
)
def test_patients_and_studies_are_never_joined(tmp_path, other):
    spread(write(tmp_path / "made"), tmp_path / "s" / "a", tmp_path / "s" / "b")
    for file in (tmp_path / "s" / "b").iterdir():
        dataset = pydicom.dcmread(file)
        for keyword, value in other.items():
            setattr(dataset, keyword, value)
        dataset.save_as(file)
    assert len(find(tmp_path / "s")) == 2


def test_files_without_a_uid_stay_with_their_folder(tmp_path):
    files = write(tmp_path / "made", SeriesInstanceUID=None)
    spread(files, tmp_path / "s" / "a", tmp_path / "s" / "b")
    assert [one.path for one in find(tmp_path / "s")] == [
        str(tmp_path / "s/a"), str(tmp_path / "s/b"),
    ]  # fmt: skip
    folders = [one.info.series_path for one in read_slices(tmp_path / "s")]
    assert folders == sorted(folders)
    assert set(folders) == {str(tmp_path / "s/a"), str(tmp_path / "s/b")}


def test_what_is_told_apart_is_not_joined(tmp_path):
    """Slices of one series in the folders of two classes."""
    spread(write(tmp_path / "made"), tmp_path / "s" / "yes", tmp_path / "s" / "no")
    found: list[Found] = list(
        find_sources([tmp_path / "s"], apart=lambda part: part.file.parent.name)
    )
    assert len(found) == 2


def test_a_series_that_lost_its_numbers_is_joined(tmp_path, whole):
    files = write(tmp_path / "made", InstanceNumber=None)
    spread(files, tmp_path / "s" / "a", tmp_path / "s" / "b")
    np.testing.assert_array_equal(read(tmp_path / "s"), whole)


def test_a_picture_cut_short_in_its_header_is_an_error(tmp_path):
    files = write(tmp_path)
    data = files[0].read_bytes()
    files[0].write_bytes(data[: data.index(b"\x28\x00\x10\x00")])
    errors = [item for item in iterate_slices(tmp_path) if not hasattr(item, "pixels")]
    assert [error.path for error in errors] == [str(files[0])]


def test_files_named_one_by_one_are_read_as_their_folder_is(tmp_path, whole):
    files = write(tmp_path / "s")
    shuffled = np.random.default_rng(0).permutation(files).tolist()
    for named in (files, shuffled, [tmp_path / "s" / "IM*"]):
        (source,) = find(*named)
        assert (source.path, source.is_series) == (str(tmp_path / "s"), True)
        np.testing.assert_array_equal(read(*named), whole)
    assert len(find_all(files, together=False)) == len(files)  # a pipe is answered line by line


def test_named_files_of_several_series_keep_their_places(tmp_path):
    first, second = write(tmp_path / "a"), write(tmp_path / "b", SeriesInstanceUID="1.2.3.5")
    alone = builders.write_dicom(tmp_path / "alone", HEAD[:, :, 9], SeriesInstanceUID="1.2.3.6")
    picture = builders.write_picture(tmp_path / "x.png", HEAD[:, :, 9].astype(np.uint8))
    mixed = [path for pair in zip(first, second, strict=True) for path in pair]
    found = find(alone, *mixed, picture, alone)
    assert [Path(one.path).name for one in found] == ["alone", "a", "b", "x.png", "alone"]
    assert [one.named for one in found] == [True, False, False, True, True]


def test_what_is_named_among_files_of_a_series_and_cannot_be_read_has_its_error(tmp_path, whole):
    files = write(tmp_path / "s")
    none = {"PixelData": None, "Rows": None}
    report = builders.write_dicom(tmp_path / "s" / "report", HEAD[:, :, 9], **none)
    (tmp_path / "s" / "notes.txt").write_text("no image")
    found = find(*files[:9], report, tmp_path / "s" / "notes.txt", *files[9:])
    assert [len(one.parts) for one in found] == [len(files), 1, 1]
    for one in found[1:]:
        (error,) = iterate_slices(one)
        assert isinstance(error, InputError) and error.path == one.path


def test_copies_of_one_file_that_are_named_are_both_read(tmp_path):
    path = builders.write_dicom(tmp_path / "a.dcm", HEAD[:, :, 9])
    shutil.copy(path, tmp_path / "b.dcm")
    assert [one.path for one in find(path, tmp_path / "b.dcm", path)] == [
        *(str(path), str(tmp_path / "b.dcm"), str(path))
    ]
