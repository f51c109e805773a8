"""Thin volumes are read as axial slices, and nothing in their files changes that silently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.readers import iterate_slices, read_slices
from tumorlens.imaging.slices import Slice

HEAD = (
    builders.paint_head((40, 36, 32))
    + np.add.outer(np.arange(40, dtype=np.uint16), np.arange(36, dtype=np.uint16))[:, :, np.newaxis]
)  # on a ramp, so that no slice is blank
SAGITTAL = ((0, 2, 1), (1, -1, 1))
CORONAL = ((1, 2, 0), (1, -1, 1))


def write(folder: Path, layout=SAGITTAL, spacing=(2.0, 2.0, 2.0), **elements) -> list[Path]:
    volume, lps = builders.store_volume(HEAD, spacing, *layout)
    return builders.write_series(folder, volume, lps, **elements)


def edit(file: Path, **elements) -> None:
    dataset = pydicom.dcmread(file)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(file)


def move(file: Path, *shift: float) -> None:
    place = pydicom.dcmread(file).ImagePositionPatient
    edit(file, ImagePositionPatient=[float(a) + b for a, b in zip(place, shift, strict=True)])


def notes(slices: list[Slice]) -> str:
    return "; ".join(dict.fromkeys(note for one in slices for note in one.info.notes))


def cut(slices: list[Slice]) -> list[Slice]:
    return [one for one in slices if one.info.files]


@pytest.mark.parametrize("missing", [[11], [0], [-1], [11, 12], [5, 20]])
def test_a_few_missing_slices_are_filled_in_and_told(tmp_path, missing):
    whole = list(read_slices(write(tmp_path / "whole")[0].parent))
    for file in np.array(write(tmp_path / "s"))[missing]:
        file.unlink()
    slices = list(read_slices(tmp_path / "s"))
    assert {one.info.plane for one in slices} == {"axial"}
    assert len(slices) == len(whole)
    inside = [index for index in missing if index not in (0, -1)]
    if inside:
        pairs = zip(slices, whole, strict=True)
        wide = np.abs(np.stack([one.pixels - two.pixels for one, two in pairs]))
        assert set(np.flatnonzero(wide.max(axis=(0, 1)))) <= set(inside)
        assert "missing between" in notes(slices) and "filled in from the slices beside" in notes(
            slices
        )
        assert f"{len(inside)} slice" in notes(slices)
    else:  # nothing tells that the head went on
        assert slices[10].pixels.shape[1] == len(HEAD) - 1


def test_a_missing_slice_lies_between_its_neighbours(tmp_path):
    files = write(tmp_path)
    files[21].unlink()
    slices = list(read_slices(tmp_path))
    for one in slices:
        between = (one.pixels[:, 20] + one.pixels[:, 22]) / 2
        np.testing.assert_allclose(one.pixels[:, 21], between)
    assert "1 slice is missing between 40.0 and 44.0 mm" in notes(slices) or (
        "1 slice is missing between -44.0 and -40.0 mm" in notes(slices)
    )


@pytest.mark.parametrize("kept", [-100, 1000, 300, 0])
def test_a_file_cut_short_is_told_and_leaves_the_plane(tmp_path, kept):
    files = write(tmp_path)
    files[18].write_bytes(files[18].read_bytes()[:kept])
    items = list(iterate_slices(tmp_path))
    slices = [item for item in items if isinstance(item, Slice)]
    assert {one.info.plane for one in slices} == {"axial"}
    # An empty file is one that is skipped.
    errors = [item.path for item in items if isinstance(item, InputError)]
    assert errors == ([str(files[18])] if kept else [])
    assert "1 slice is missing between" in notes(slices)


@pytest.mark.parametrize("kept", [slice(0, None, 3), slice(None, 8)])
def test_where_too_much_is_missing_the_plane_stays_and_it_is_told(tmp_path, kept):
    files = write(tmp_path)
    rest = files[kept] + files[-9:]
    for file in files:
        if file not in rest:
            file.unlink()
    slices = list(read_slices(tmp_path))
    assert {one.info.plane for one in slices} == {"sagittal"}
    assert "missing" in notes(slices)
    assert "read in its own plane, sagittal, not as axial slices" in notes(slices)


def test_too_many_broken_files_leave_the_plane_too(tmp_path):
    files = write(tmp_path)
    for file in files[3:12]:
        file.write_bytes(file.read_bytes()[:-400])
    items = list(iterate_slices(tmp_path))
    slices = [item for item in items if isinstance(item, Slice)]
    assert len(items) - len(slices) == 9
    assert {one.info.plane for one in slices} == {"sagittal"}
    assert "9 slices are missing between" in notes(slices)
    assert "read in its own plane" in notes(slices)


@pytest.mark.parametrize("number", [900, 0, None, 20])
@pytest.mark.parametrize("layout", [SAGITTAL, CORONAL])
def test_a_scout_is_set_apart_and_changes_nothing(tmp_path, number, layout):
    write(tmp_path, layout)
    builders.write_dicom(
        tmp_path / "0scout",
        HEAD[:, :, 16].T,
        InstanceNumber=number,
        ImageOrientationPatient=builders.AXIAL,
        ImagePositionPatient=[0, 0, 31],
        PixelSpacing=[2, 2],
    )
    slices = list(read_slices(tmp_path))
    assert len(cut(slices)) == 32 and len(slices) == 33
    (scout,) = (one for one in slices if not one.info.files)
    assert scout.info.path == str(tmp_path / "0scout")
    assert any("localizer" in note for note in scout.info.notes)
    assert not any("localizer" in note for one in cut(slices) for note in one.info.notes)


def test_a_localizer_of_three_planes_is_read_plane_by_plane(tmp_path):
    for plane, cosines in {
        "axial": builders.AXIAL,
        "coronal": [1, 0, 0, 0, 0, -1],
        "sagittal": [0, 1, 0, 0, 0, -1],
    }.items():
        normal = np.cross(cosines[:3], cosines[3:])
        for index in range(3):
            builders.write_dicom(
                tmp_path / f"{plane}{index}",
                HEAD[:, :, 14 + index],
                ImageOrientationPatient=cosines,
                ImagePositionPatient=list(10.0 * index * normal),
                ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER", "M"],
                PixelSpacing=[2, 2],
            )
    slices = list(read_slices(tmp_path))
    assert sorted(one.info.plane for one in slices) == sorted(["axial", "coronal", "sagittal"] * 3)
    assert all("a localizer" in notes([one]) for one in slices)


@pytest.mark.parametrize(
    ("gap", "plane"), [(1.0000025, "axial"), (1.005, "axial"), (1.05, "sagittal")]
)
def test_a_gap_twice_the_pixel_is_thin_as_far_as_positions_are_exact(tmp_path, gap, plane):
    write(tmp_path, spacing=(gap, 0.5, 0.5))
    assert {one.info.plane for one in read_slices(tmp_path)} == {plane}


def test_positions_that_sway_a_little_are_even(tmp_path):
    for index, file in enumerate(write(tmp_path)):
        move(file, 0.2 * (-1) ** index, 0.3 * (index % 3 - 1), 0.01)
    assert {one.info.plane for one in read_slices(tmp_path)} == {"axial"}


def test_positions_that_do_not_fit_are_told(tmp_path):
    for index, file in enumerate(write(tmp_path)):
        move(file, 0.9 * (index % 2), 0, 0)
    slices = list(read_slices(tmp_path))
    assert {one.info.plane for one in slices} == {"sagittal"}
    assert "uneven" in notes(slices)


def test_a_tilted_stack_is_told(tmp_path):
    for index, file in enumerate(write(tmp_path)):
        move(file, 0, 0, 0.8 * index)
    slices = list(read_slices(tmp_path))
    assert {one.info.plane for one in slices} == {"sagittal"}
    assert "tilted" in notes(slices)


def test_a_volume_too_large_to_cut_is_told(tmp_path):
    write(tmp_path)
    slices = list(read_slices(tmp_path, limits=Limits(memory_bytes=300_000)))
    assert {one.info.plane for one in slices} == {"sagittal"}
    assert "too large" in notes(slices)


def test_two_volumes_of_one_series_are_cut_one_after_the_other(tmp_path):
    for echo in range(2):
        files = write(tmp_path / f"{echo}", EchoTime=20 + 60 * echo)
        for index, file in enumerate(files):
            edit(file, InstanceNumber=2 * index + echo, SOPInstanceUID=f"1.2.{echo}.{index}")
            file.rename(tmp_path / f"{index}{echo}")
    slices = list(read_slices(tmp_path))
    assert {one.info.plane for one in slices} == {"axial"} and len(slices) == 64
    for echo, half in enumerate((slices[:32], slices[32:])):
        stored = {int(Path(one.path).name[-1]) for part in half for one in part.info.files}
        assert stored == {echo}
    assert "one of 2 volumes" in notes(slices)
    assert [one.info.frame for one in slices] == list(range(64))


@pytest.mark.parametrize(("layout", "along"), [(SAGITTAL, "columns"), (CORONAL, "rows")])
def test_a_cut_slice_names_the_stored_slices_that_it_lies_in(tmp_path, layout, along):
    files = write(tmp_path, layout)
    slices = list(read_slices(tmp_path))
    assert all(one.info.files_along == along for one in slices)
    info = slices[20].info
    shape = slices[20].pixels.shape
    assert len(info.files) == shape[1 if along == "columns" else 0] and info.instance_number is None
    for x, y in ((3, 20), (30, 5)):
        stored = info.find_stored(x, y)
        (only,) = read_slices(stored.path)
        assert stored.path in map(str, files)
        assert stored.instance_number == only.info.instance_number
        assert slices[20].pixels[y, x] in only.pixels
        line = slices[20].pixels[:, x] if along == "columns" else slices[20].pixels[y]
        assert any(np.array_equal(line, row) for row in only.pixels)


def test_slices_as_stored_keep_their_instance_number(tmp_path):
    write(tmp_path, ((2, 1, 0), (1, 1, 1)), (2, 2, 6))
    slices = list(read_slices(tmp_path))
    assert [one.info.instance_number for one in slices] == list(range(1, 33))
    assert slices[3].info.find_stored(5, 5) == (slices[3].info.path, 0, 4)


def test_frames_of_one_file_are_counted_once_each(tmp_path):
    """A thin volume and a scout in one object: cut slices and the stored one share the path."""
    volume, lps = builders.store_volume(HEAD[:, :32], (2, 2, 2), *SAGITTAL)
    frames = np.concatenate((volume, volume[:1]))
    dataset = builders.make_enhanced(frames, lps, [1] * len(frames))
    scout = dataset.PerFrameFunctionalGroupsSequence[-1]
    orientation = pydicom.Dataset()
    orientation.ImageOrientationPatient = builders.AXIAL
    scout.PlaneOrientationSequence = [orientation]
    path = builders.save_dataset(tmp_path / "a.dcm", dataset)
    slices = list(read_slices(path))
    assert [one.info.frame for one in slices] == list(range(len(slices)))
    (kept,) = (one for one in slices if "localizer" in notes([one]))
    assert kept.info.find_stored(0, 0) == (str(path), len(frames) - 1, 1)


def test_a_copy_of_one_slice_is_read_by_itself(tmp_path):
    """The same place twice, with other pixels and another UID."""
    files = write(tmp_path)
    dataset = pydicom.dcmread(files[10])
    dataset.SOPInstanceUID, dataset.InstanceNumber = "1.2.77", 400
    dataset.PixelData = (dataset.pixel_array + 5).tobytes()
    dataset.save_as(tmp_path / "again")
    slices = list(read_slices(tmp_path))
    assert len(cut(slices)) == 32
    (again,) = (one for one in slices if not one.info.files)
    assert again.info.path == str(tmp_path / "again")
    assert "at the place of another slice" in notes([again])


def test_a_slice_in_colors_is_no_part_of_a_volume(tmp_path):
    """As of a screenshot under the UID of the series, at the place of the slice that it shows."""
    files = write(tmp_path)
    dataset = pydicom.dcmread(files[10])
    grey = (dataset.pixel_array % 251).astype(np.uint8)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PlanarConfiguration = 0
    dataset.PixelData = np.repeat(grey, 3).tobytes()
    dataset.save_as(files[10])
    slices = list(read_slices(tmp_path))
    (alone,) = (one for one in slices if not one.info.files)
    assert alone.info.path == str(files[10])
    assert "1 slice is missing" in notes(cut(slices))


def test_a_lone_slice_of_a_3d_volume_says_that_it_is_one(tmp_path):
    (slice_,) = read_slices(write(tmp_path, MRAcquisitionType="3D")[5])
    assert slice_.info.plane == "sagittal"
    assert "one sagittal slice of a 3-D volume" in notes([slice_])


@pytest.mark.parametrize("layout", [SAGITTAL, CORONAL])
def test_slices_that_are_stored_turned_are_of_the_same_volume(tmp_path, layout):
    """Every third file has its rows from the foot to the head, and says so."""
    whole = [one.pixels for one in read_slices(write(tmp_path / "whole", layout)[0].parent)]
    for file in write(tmp_path / "s", layout)[::3]:
        dataset = pydicom.dcmread(file)
        rows = np.array(dataset.ImageOrientationPatient[3:], float)
        last = np.array(dataset.ImagePositionPatient, float) + 2 * (dataset.Rows - 1) * rows
        dataset.ImageOrientationPatient = [*dataset.ImageOrientationPatient[:3], *(-rows)]
        dataset.ImagePositionPatient = list(last)
        dataset.PixelData = np.ascontiguousarray(dataset.pixel_array[::-1]).tobytes()
        dataset.save_as(file)
    slices = list(read_slices(tmp_path / "s"))
    assert {one.info.plane for one in slices} == {"axial"}
    np.testing.assert_array_equal(np.stack([one.pixels for one in slices]), np.stack(whole))


def test_an_oblique_thin_volume_is_one(tmp_path):
    """Turned by 20 degrees about two axes, with directions rounded to five decimals."""
    volume, lps = builders.store_volume(HEAD, (2, 2, 2), *SAGITTAL)
    a, b = np.radians(20), np.radians(-15)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    lps[:3] = about_z @ about_x @ lps[:3]
    random = np.random.default_rng(4)
    for file in builders.write_series(tmp_path, volume, lps):
        dataset = pydicom.dcmread(file)
        cosines = np.array(dataset.ImageOrientationPatient, float) + random.normal(0, 2e-4, 6)
        dataset.ImageOrientationPatient = cosines.round(5).tolist()
        dataset.save_as(file)
    slices = list(read_slices(tmp_path))
    assert {one.info.plane for one in slices} == {"axial"} and len(cut(slices)) == len(slices)
