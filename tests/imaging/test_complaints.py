"""What pydicom warns of is noted with the slices, without the value that it names."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import DataElement

import builders
from tumorlens.imaging.files.refusal import listen, silence
from tumorlens.imaging.readers import read_slices

HEAD = builders.paint_head((30, 26, 24))
INVALID = {
    "UI": ("SeriesInstanceUID", "1.2.Doe^Jane"),
    "IS": ("InstanceNumber", "0000000000000000000007"),
}


def write(path: Path, vr: str, number: int) -> Path:
    dataset = builders.make_dataset(HEAD[:, :, number], InstanceNumber=number, RescaleIntercept=0)
    keyword, value = INVALID[vr]
    tag = pydicom.datadict.tag_for_keyword(keyword)
    dataset[tag] = DataElement(tag, vr, value, validation_mode=pydicom.config.IGNORE)
    return builders.save_dataset(path, dataset)


@pytest.mark.parametrize("vr", INVALID)
def test_a_value_that_breaks_the_standard_is_noted_without_it(tmp_path, capfd, vr) -> None:
    for number in (9, 10, 11):
        write(tmp_path / f"{number}.dcm", vr, number)
    note = f"an invalid value (type {vr}) was kept as it is"
    for place in (tmp_path, tmp_path / "9.dcm"):
        slices = list(read_slices(place))
        assert [one.info.notes.count(note) for one in slices] == [1] * len(slices)
        assert "Doe" not in repr([one.info.notes for one in slices])
    assert capfd.readouterr() == ("", "")


def test_a_number_that_is_none_is_noted(tmp_path) -> None:
    dataset = builders.make_dataset(HEAD[:, :, 9], SliceLocation="1.0", WindowCenter=[])
    path = builders.save_dataset(tmp_path / "9.dcm", dataset)
    assert [one.info.notes for one in read_slices(path)] == [()]
    path.write_bytes(path.read_bytes().replace(b"DS\x04\x001.0 ", b"DS\x04\x00Doe "))
    notes = ("a number in the header cannot be read: it is ignored",)
    assert [one.info.notes for one in read_slices(path)] == [notes]


def test_a_decimal_comma_is_read_as_a_point(tmp_path) -> None:
    path = builders.write_dicom(
        tmp_path / "9.dcm", HEAD[:, :, 9], PixelSpacing=[0.5, 0.5], RescaleSlope="1.5"
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(b"0.5\\0.5", b"0,5\\0,5").replace(b"1.5 ", b"1,5 "))
    (slice_,) = read_slices(path)
    assert slice_.info.spacing_mm == (0.5, 0.5)
    assert slice_.pixels.max() == 1.5 * HEAD[:, :, 9].max()
    assert slice_.info.notes == ("numbers in the header have a decimal comma: read as a point",)


def test_a_pixel_size_of_one_number_is_told(tmp_path) -> None:
    path = builders.write_dicom(tmp_path / "9.dcm", HEAD[:, :, 9], PixelSpacing=[0.5, 0.5])
    path.write_bytes(path.read_bytes().replace(b"0.5\\0.5", b"0.5    "))
    (slice_,) = read_slices(path)
    assert slice_.info.spacing_mm is None
    assert slice_.info.notes == ("a number in the header cannot be read: it is ignored",)


def test_each_frame_of_a_file_notes_what_was_read_once(tmp_path) -> None:
    volume, lps = builders.store_volume(HEAD, (1, 1, 4), (2, 1, 0), (1, 1, 1))
    dataset = builders.make_enhanced(volume, lps, [1] * len(volume))
    value = DataElement(0x00200010, "SH", "a study with a long name", validation_mode=0)
    dataset[0x00200010] = value
    dataset[0x0020000D] = DataElement(0x0020000D, "UI", "1.2.x", validation_mode=0)
    path = builders.save_dataset(tmp_path / "enhanced.dcm", dataset)
    assert all("(type UI)" in " ".join(one.info.notes) for one in read_slices(path))


def test_what_another_thread_reads_is_not_heard() -> None:
    with listen() as notes, silence():
        thread = threading.Thread(target=warnings.warn, args=("Invalid value for VR UI: 'x'.",))
        thread.start()
        thread.join()
        assert notes == []
        warnings.warn("Invalid value for VR UI: '1.Doe'.", stacklevel=1)
        warnings.warn("The value length (99) exceeds the maximal length of VR UI.", stacklevel=1)
        warnings.warn("overflow encountered in cast", stacklevel=1)
    assert notes == ["an invalid value (type UI) was kept as it is"]
