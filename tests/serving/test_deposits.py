"""What is handed in lies under its own names, within limits, and goes away."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

import builders
from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.limits import OverLimit
from tumorlens.imaging.files.sources import find_sources
from tumorlens.imaging.files.stored_files import Source
from tumorlens.serving.deposits import Deposit, UploadLimits

GREY = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)


@pytest.fixture
def deposit(tmp_path):
    made = Deposit(UploadLimits(bytes_per_file=1000, bytes_in_all=1500, files=4), parent=tmp_path)
    yield made
    made.close()


def zip_up(*sizes):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, size in enumerate(sizes):
            archive.writestr(f"{number}.dcm", bytes(size))
    return stream.getvalue()


def test_files_lie_under_their_names(deposit):
    path = deposit.take("study/series 1/IM-0001", [b"ab", b"c"])
    assert path == deposit.files / "study/series 1/IM-0001"
    assert path.read_bytes() == b"abc"
    assert (deposit.names, deposit.size) == (["study/series 1/IM-0001"], 3)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "/etc/x", "../x", "a/../../x", "C:/x", "a\\..\\..\\x", "\\\\host\\x"),
        *("a\0b", "a\nb", "x" * 300, "a/" * 30 + "b", "a/. ./b", "a\u202eb"),
    ],
)
def test_a_name_that_leads_out_is_refused(deposit, name, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="is no possible name of a file here"):
        deposit.take(name, [b"x"])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [([1001], "more than 0 MiB"), ([800, 800], "more than 0 MiB"), ([1] * 5, "more than 4 files")],
)
def test_too_much_is_refused_and_not_kept(deposit, sizes, reason):
    *good, last = sizes
    for number, size in enumerate(good):
        deposit.take(f"{number}", [bytes(size)])
    with pytest.raises(OverLimit, match=reason):
        deposit.take("last", [bytes(last)])
    assert not (deposit.files / "last").exists()


def test_a_name_is_taken_once(deposit):
    deposit.take("a", [b"first"])
    with pytest.raises(InputError, match="was handed in twice"):
        deposit.take("a", [b"second"])
    with pytest.raises(InputError):
        deposit.take("a/b", [b"a file is no folder"])
    assert (deposit.files / "a").read_bytes() == b"first"


@pytest.mark.parametrize(
    ("sizes", "reason"), [([600_000], "unpacks to 1 MiB"), ([1] * 5, "holds 5 files")]
)
def test_an_archive_counts_as_what_it_unpacks_to(deposit, sizes, reason):
    with pytest.raises(OverLimit, match=reason):
        deposit.take("scan.zip", [zip_up(*sizes)])
    assert list(deposit.files.iterdir()) == []


def test_a_damaged_archive_is_left_to_its_reader(deposit):
    deposit.take("scan.zip", [zip_up(10)[:60]])
    assert deposit.names == ["scan.zip"]


def test_an_interrupted_file_is_not_kept(deposit):
    def chunks():
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        deposit.take("a", chunks())
    assert list(deposit.files.iterdir()) == []


def test_a_deposit_goes_away(tmp_path):
    deposit = Deposit(parent=tmp_path)
    deposit.take("a/b", [b"x"])
    deposit.close()
    assert list(tmp_path.iterdir()) == []


def test_senseless_limits_are_refused():
    with pytest.raises(UsageError, match="limits count from 1"):
        UploadLimits(files=0)


def test_a_file_that_comes_alone_is_judged_by_its_name_and_several_by_their_folder(tmp_path):
    deposit = Deposit(parent=tmp_path)
    deposit.take("heads/a.png", [b"one"])
    assert deposit.paths == (str(deposit.files / "heads" / "a.png"),)
    deposit.take("b.png", [b"two"])
    assert deposit.paths == (str(deposit.files),)


def test_a_hidden_folder_that_is_handed_in_is_read(tmp_path):
    """Its sender named it; hidden folders in it, and beside others, are left out."""
    deposit = Deposit(parent=tmp_path)
    for name in (".scan/a.png", ".scan/b/c.png", ".scan/.git/a.png"):
        deposit.take(name, [builders.write_picture(tmp_path / "a.png", GREY).read_bytes()])
    found = [one for one in find_sources(deposit.paths) if isinstance(one, Source)]
    assert [one.files[0].name for one in found] == ["a.png", "c.png"]
    deposit.take("d.png", [b"four"])
    assert deposit.paths == (str(deposit.files),)
