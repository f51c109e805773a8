"""One mark on the patient's left, in front and high: found there from wherever it was stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import builders
from tumorlens.imaging.geometry import Grid, arrange, choose_axis
from tumorlens.imaging.readers import read_slices
from tumorlens.imaging.slices import Slice

HEAD = builders.paint_head((22, 26, 18))
THIN, THICK_Z, THICK_Y, THICK_X = (2, 2, 2), (1, 1, 5), (1, 5, 1), (5, 1, 1)


def find_mark(slices: list[Slice]) -> tuple[bool, bool, bool]:
    """Whether the mark lies in the later slices, in the lower rows, in the right columns."""
    volume = np.stack([one.pixels for one in slices])
    middle = np.argwhere(volume > 2000).mean(axis=0)
    return tuple(bool(m > (size - 1) / 2) for m, size in zip(middle, volume.shape, strict=True))


def whole(slices: list[Slice]) -> np.ndarray:
    return np.stack([one.pixels for one in slices])


# Where a radiologist expects it. Axial and coronal pictures show the patient's left on the right;
# axial rows run front to back, the others head to foot; sagittal columns front to back.
# Axial slices rise from the feet, coronal ones from the front, sagittal ones from the left.
EXPECTED = {
    "axial": (True, False, True),
    "coronal": (False, False, True),
    "sagittal": (False, False, False),
}


@pytest.mark.parametrize(("order", "signs"), builders.AXIS_ORDERS)
@pytest.mark.parametrize(
    ("spacing", "plane"),
    [(THIN, "axial"), (THICK_Z, "axial"), (THICK_Y, "coronal"), (THICK_X, "sagittal")],
)
def test_nifti_axis_orders(tmp_path: Path, spacing, plane, order, signs) -> None:
    volume, lps = builders.store_volume(HEAD, spacing, order, signs)
    slices = list(read_slices(builders.write_nifti(tmp_path / "head.nii", volume, lps)))
    assert find_mark(slices) == EXPECTED[plane]
    assert {one.info.plane for one in slices} == {plane}
    assert all(one.info.sides_known for one in slices)


WRITERS = {
    "nrrd": builders.write_nrrd,
    "mha": builders.write_metaimage,
    "mgz": builders.write_mgh,
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(("order", "signs"), builders.AXIS_ORDERS)
def test_axis_orders_of_other_volumes(tmp_path: Path, kind, order, signs) -> None:
    for spacing, plane in PLANES[:: 1 if kind == "nrrd" else 3]:
        volume, lps = builders.store_volume(HEAD.astype(np.int16), spacing, order, signs)
        slices = list(read_slices(WRITERS[kind](tmp_path / f"head.{kind}", volume, lps)))
        assert find_mark(slices) == EXPECTED[plane]
        assert {one.info.plane for one in slices} == {plane}
        assert all(one.info.sides_known for one in slices)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_volumes_agree(tmp_path: Path, kind, order) -> None:
    volume, lps = builders.store_volume(HEAD.astype(np.int16), THIN, order, (-1, 1, -1))
    lps[:3, 3] += 7, -30, 12.5
    tilt = np.radians(12)
    lps[:3] = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]] @ lps[
        :3
    ]
    nifti = read_slices(builders.write_nifti(tmp_path / "head.nii.gz", volume, lps))
    other = read_slices(WRITERS[kind](tmp_path / f"head.{kind}", volume, lps))
    for one, same in zip(nifti, other, strict=True):
        np.testing.assert_array_equal(one.pixels, same.pixels)
        assert one.info.spacing_mm == pytest.approx(same.info.spacing_mm)
        assert one.info.position_mm == pytest.approx(same.info.position_mm, abs=1e-3)
        assert (one.info.frame, one.info.notes) == (same.info.frame, same.info.notes)


PLANES = [(THIN, "axial"), (THICK_Z, "axial"), (THICK_Y, "coronal"), (THICK_X, "sagittal")]
SERIES = [  # scanners stack slices along the wide spacing
    (spacing, plane, order, signs)
    for spacing, plane in PLANES
    for order, signs in builders.AXIS_ORDERS[::5]
    if spacing == THIN or spacing[order[0]] == 5
]


@pytest.mark.parametrize(("spacing", "plane", "order", "signs"), SERIES)
def test_dicom_series(tmp_path: Path, spacing, plane, order, signs) -> None:
    volume, lps = builders.store_volume(HEAD, spacing, order, signs)
    builders.write_series(tmp_path / "series", volume, lps)
    slices = list(read_slices(tmp_path / "series"))
    assert find_mark(slices) == EXPECTED[plane]
    assert {one.info.plane for one in slices} == {plane}


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_enhanced_object(tmp_path: Path, order) -> None:
    volume, lps = builders.store_volume(HEAD, THIN, order, (1, -1, 1))
    dataset = builders.make_enhanced(volume, lps, [1] * len(volume))
    slices = list(read_slices(builders.save_dataset(tmp_path / "enhanced.dcm", dataset)))
    assert find_mark(slices) == EXPECTED["axial"]


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_formats_agree(tmp_path: Path, order) -> None:
    volume, lps = builders.store_volume(HEAD, THIN, order, (-1, 1, -1))
    builders.write_series(tmp_path / "series", volume, lps)
    from_dicom = list(read_slices(tmp_path / "series"))
    from_nifti = list(read_slices(builders.write_nifti(tmp_path / "head.nii.gz", volume, lps)))
    # Empty slices are left out of both; what is left agrees in pixels and in places.
    np.testing.assert_array_equal(whole(from_dicom), whole(from_nifti))
    for one, other in zip(from_dicom, from_nifti, strict=True):
        assert one.info.spacing_mm == pytest.approx(other.info.spacing_mm)
        assert one.info.position_mm == pytest.approx(other.info.position_mm)


@pytest.mark.parametrize(("order", "signs"), builders.AXIS_ORDERS[::5])
@pytest.mark.parametrize("spacing", [THIN, THICK_Z])
def test_a_pixel_knows_its_place_in_the_patient(tmp_path: Path, spacing, order, signs) -> None:
    volume, lps = builders.store_volume(HEAD, spacing, order, signs)
    builders.write_series(tmp_path / "series", volume, lps)
    path = builders.write_nifti(tmp_path / "head.nii", volume, lps)
    mark = np.argwhere(HEAD.max() == HEAD)
    wanted = (mark[0] + mark[-1]) / 2 * spacing
    for source in (tmp_path / "series", path):
        places = [
            one.info.to_patient(x + 0.5, y + 0.5)
            for one in read_slices(source)
            for y, x in np.argwhere(one.pixels == HEAD.max())
        ]
        assert np.mean(places, axis=0) == pytest.approx(wanted, abs=1e-3)


def test_without_orientation_no_place_is_known(tmp_path: Path) -> None:
    (one,) = read_slices(builders.write_picture(tmp_path / "a.png", np.eye(64, dtype=np.uint8)))
    assert one.info.to_patient(1, 2) is None


@pytest.mark.parametrize("degrees", [-30, 20])
def test_tilted_head_keeps_its_sides(tmp_path: Path, degrees) -> None:
    volume, lps = builders.store_volume(HEAD, THICK_Z, (2, 1, 0), (1, 1, 1))
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    lps[:3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ lps[:3]
    builders.write_series(tmp_path / "series", volume, lps)
    slices = list(read_slices(tmp_path / "series"))
    assert find_mark(slices) == EXPECTED["axial"]
    assert slices[0].info.plane == "axial" and slices[0].info.sides_known


def test_halfway_between_planes_is_oblique(tmp_path: Path) -> None:
    volume, lps = builders.store_volume(HEAD, THICK_Z, (2, 1, 0), (1, 1, 1))
    half = np.sqrt(0.5)
    lps[:3] = np.array([[1, 0, 0], [0, half, -half], [0, half, half]]) @ lps[:3]
    builders.write_series(tmp_path / "series", volume, lps)
    assert {one.info.plane for one in read_slices(tmp_path / "series")} == {"oblique"}


def test_patient_orientation_letters_serve_where_there_are_no_cosines(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32), np.uint16)
    pixels[:8, :8] = 1000  # stored: columns run to the right, rows to the front
    path = builders.write_dicom(tmp_path / "a.dcm", pixels, PatientOrientation=["R", "A"])
    (slice_,) = read_slices(path)
    assert slice_.info.sides_known and slice_.info.plane == "axial"
    assert slice_.pixels[-8:, -8:].min() == 1000


def test_senseless_orientation_is_noted_and_not_used(tmp_path: Path) -> None:
    pixels = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    path = builders.write_dicom(
        tmp_path / "a.dcm", pixels, ImageOrientationPatient=[0] * 6, ImagePositionPatient=[0] * 3
    )
    (slice_,) = read_slices(path)
    np.testing.assert_array_equal(slice_.pixels, pixels)
    assert not slice_.info.sides_known and "orientation" in slice_.info.notes[0]


def test_nifti_without_orientation_knows_no_sides(tmp_path: Path) -> None:
    import nibabel as nib

    image = nib.Nifti1Image(HEAD.astype(np.int16), None)
    nib.save(image, tmp_path / "head.nii")
    slices = list(read_slices(tmp_path / "head.nii"))
    assert not any(one.info.sides_known for one in slices)
    assert slices[0].info.plane is None and "orientation" in slices[0].info.notes[0]


@pytest.mark.parametrize(
    ("shape", "spacing", "axis"),
    [
        ((64, 64, 64), (1, 1, 2), 2),
        ((64, 64, 64), (2, 1, 1), 2),  # twice the spacing in plane: still axial
        ((64, 64, 64), (2.1, 1, 1), 0),  # a little more: as acquired
        ((64, 64, 20), (1, 1, 6), 2),
        ((64, 20, 64), (1, 6, 1), 1),
        ((64, 1, 64), (1, 1, 1), 1),  # one coronal slice: no axial one can be cut from it
        ((12, 64, 64), (1, 1, 1), 0),  # axial slices would be too narrow
    ],
)
def test_the_plane_follows_spacing_and_size(shape, spacing, axis) -> None:
    assert choose_axis(shape, Grid(np.zeros(3), np.diag(np.array(spacing, float))), 16) == axis


def test_arranging_makes_views() -> None:
    arranged = arrange(HEAD, Grid(np.zeros(3), np.eye(3)), 2)
    assert np.shares_memory(arranged.slices, HEAD)


@pytest.mark.parametrize(
    "steps", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones((3, 3)), np.eye(3) * (1, 1, 0)]
)
def test_a_grid_checks_itself(steps) -> None:
    with pytest.raises(ValueError):
        Grid(np.zeros(3), steps)


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1)])
@pytest.mark.parametrize("spacing", [THIN, (2, 2, 6)])
def test_a_point_of_a_slice_lies_where_it_lies_in_the_patient(
    tmp_path: Path, order, spacing
) -> None:
    """The mark, found in pixels and in millimetres, as stored and as cut anew."""
    volume, lps = builders.store_volume(HEAD, spacing, order, (1, -1, 1))
    place = np.argwhere(HEAD > 2000).mean(axis=0) * spacing
    builders.write_series(tmp_path / "series", volume, lps)
    nifti = builders.write_nifti(tmp_path / "head.nii", volume, lps)
    for path in (tmp_path / "series", nifti):
        points = [
            one.info.to_patient(x + 0.5, y + 0.5)
            for one in read_slices(path)
            for y, x in np.argwhere(one.pixels > 2000)
        ]
        assert np.mean(points, axis=0) == pytest.approx(place, abs=1e-4)
