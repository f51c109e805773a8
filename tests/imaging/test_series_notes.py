"""What a series leaves out or turns is said by its slices, and one window serves a whole volume."""

import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.readers import keep_visible, read_slices
from tumorlens.imaging.slices import Slice

SAGITTAL = ((0, 2, 1), (1, 1, -1))  # stored slices run from right to left, rows from head to foot


def write_sagittal(folder, windows=None):
    stored, lps = builders.store_volume(builders.paint_head(), (1.2, 1, 1), *SAGITTAL)
    files = builders.write_series(folder, stored, lps)
    for file, window in zip(files, windows or (), strict=False):
        dataset = builders.pydicom.dcmread(file)
        dataset.WindowCenter, dataset.WindowWidth = window
        dataset.save_as(file)
    return folder


def notes_of(path):
    return [note for slice_ in read_slices(path) for note in slice_.info.notes]


def test_a_series_that_is_cut_anew_says_so(tmp_path):
    slices = list(read_slices(write_sagittal(tmp_path)))
    assert {slice_.info.plane for slice_ in slices} == {"axial"}
    assert {slice_.info.notes[0] for slice_ in slices} == {
        "cut anew as axial slices, from 40 sagittal ones"
    }


def test_a_nifti_volume_that_is_cut_anew_says_so(tmp_path):
    lps = np.diag([1.2, 1, 1, 1])
    builders.write_nifti(tmp_path / "v.nii", builders.paint_head(), lps)
    notes = set(notes_of(tmp_path / "v.nii"))
    assert "cut anew as axial slices, not across its widest spacing" in notes
    builders.write_nifti(tmp_path / "thick.nii", builders.paint_head(), np.diag([1, 1, 5, 1]))
    assert not [note for note in notes_of(tmp_path / "thick.nii") if "anew" in note]


def test_the_last_slice_says_how_many_blank_ones_are_left_out(tmp_path):
    volume = builders.paint_head((40, 40, 30))
    volume[:, :, :4] = 0
    volume[:, :, 12] = 7
    builders.write_nifti(tmp_path / "v.nii", volume, np.diag([1, 1, 5, 1]))
    slices = list(read_slices(tmp_path / "v.nii"))
    noted = [slice_ for slice_ in slices if slice_.info.notes]
    assert noted == slices[-1:]
    (note,) = noted[0].info.notes
    assert note == f"{30 - len(slices)} of 30 slices are blank and left out"


def test_an_error_after_the_last_slice_keeps_its_place():
    seen = Slice(np.eye(4, dtype=np.float32), SliceInfo("a"))
    blank = Slice(np.zeros((4, 4), np.float32), SliceInfo("b"))
    bad = InputError("c", "is damaged")
    first, second = keep_visible([blank, seen, bad, blank], "s")
    assert first.info.notes == ("2 of 4 slices are blank and left out",)
    assert second is bad


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([(400, 800)] * 40, (400, 800)),
        ([(400, 800)] * 39 + [(5, 10)], None),
    ],
)
def test_a_window_for_each_file_is_no_window_of_the_volume(tmp_path, windows, expected):
    """The first file of a volume shows air, so that its own window would show the head white."""
    slices = list(read_slices(write_sagittal(tmp_path, windows)))
    (window,) = {slice_.info.window for slice_ in slices}
    if expected is not None:
        assert window == expected
    else:
        center, width = window
        assert center - width / 2 == 0
        assert 500 <= center + width / 2 <= 3000


def test_the_window_of_a_nifti_volume_is_in_the_values_of_its_slices(tmp_path):
    image = builders.nib.Nifti1Image(builders.paint_head(), np.diag([1, 1, 5, 1]))
    image.header.set_slope_inter(2, 100)
    builders.nib.save(image, tmp_path / "v.nii")
    slices = list(read_slices(tmp_path / "v.nii"))
    (window,) = {slice_.info.window for slice_ in slices}
    values = np.stack([slice_.pixels for slice_ in slices])
    low, high = np.percentile(values, (0.3, 99.7))
    assert (window[0] - window[1] / 2, window[0] + window[1] / 2) == pytest.approx(
        (low, high), rel=0.1
    )
