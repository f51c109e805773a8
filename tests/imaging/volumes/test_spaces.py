"""NIfTI headers whose orientations make no sense, contradict themselves or each other."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

import builders
from tumorlens.imaging.readers import read_object, read_slices
from tumorlens.imaging.volumes.spaces import find_space

VOLUME = np.random.default_rng(0).integers(0, 900, (20, 24, 18)).astype(np.int16)
AFFINE = np.array([[-0.9, 0, 0, 10], [0, 0.9, 0, -20], [0, 0, 5, -30], [0, 0, 0, 1.0]])
ZERO, NAN = np.zeros(4), np.full(4, np.nan)
SIZES = [1, 0.9, 0.9, 5, 0, 0, 0, 0]  # pixdim
HAND = -1  # of the axes of AFFINE: pixdim[0], which the qform heeds


def write(path, **fields):
    """A file with a sound sform and qform, then the fields of the header changed."""
    image = nib.Nifti1Image(VOLUME, AFFINE)
    image.header.set_sform(AFFINE, 1)
    image.header.set_qform(AFFINE, 1)
    nib.save(image, path)
    block = bytearray(path.read_bytes())
    header = np.frombuffer(bytes(block[:348]), nib.Nifti1Header.template_dtype).copy()
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.tobytes() + block[348:])
    return path


def rows(x, y, z):
    return {"srow_x": x, "srow_y": y, "srow_z": z}


SENSELESS = {
    "zero": rows(ZERO, ZERO, ZERO),
    "not a number": rows(NAN, NAN, NAN),
    "infinite": rows(*np.where(AFFINE[:3] != 0, np.inf, 0)),
    "flat": rows(AFFINE[0], AFFINE[1], ZERO),
    "two axes alike": rows(AFFINE[0], AFFINE[0], AFFINE[2]),
}


def sound(tmp_path):
    return list(read_slices(write(tmp_path / "sound.nii")))


@pytest.mark.parametrize("broken", SENSELESS)
def test_the_qform_serves_where_the_sform_makes_no_sense(tmp_path, broken) -> None:
    slices = list(read_slices(write(tmp_path / "a.nii", **SENSELESS[broken])))
    for one, other in zip(slices, sound(tmp_path), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.info.position_mm == pytest.approx(other.info.position_mm)
        assert one.info.spacing_mm == pytest.approx(other.info.spacing_mm)
        assert one.info.sides_known and one.info.plane == "axial"
        assert one.info.notes == ("the sform makes no sense: the qform is used",)


@pytest.mark.parametrize(("shift", "told"), [(0.4, True), (0.05, False)])
def test_axes_that_are_not_at_right_angles_are_told(tmp_path, shift, told) -> None:
    skewed = rows([-0.9, shift, 0, 10], AFFINE[1], AFFINE[2])
    one = next(read_slices(write(tmp_path / "a.nii", **skewed)))
    assert any("not at right angles" in note for note in one.info.notes) == told


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({**SENSELESS["zero"], "qform_code": 0}, "the sform makes no sense"),
        ({**SENSELESS["zero"], "quatern_b": np.nan}, "the sform and the qform make no sense"),
        ({"sform_code": 0, "quatern_b": np.nan}, "the qform makes no sense"),
        ({"sform_code": 0, "quatern_b": 2}, "the qform makes no sense"),
        ({"sform_code": 0, "qform_code": 0}, "the header states no orientation"),
    ],
)
def test_without_any_the_order_is_kept_and_no_side_is_known(tmp_path, fields, lost) -> None:
    slices = list(read_slices(write(tmp_path / "a.nii", **fields)))
    assert len(slices) == 18
    assert {one.info.notes for one in slices} == {(f"{lost}: left and right unknown",)}
    assert not any(one.info.sides_known for one in slices)
    assert slices[0].info.spacing_mm == pytest.approx((0.9, 0.9))
    assert slices[0].info.plane is None and slices[0].info.position_mm is None


def test_a_senseless_qform_takes_nothing_from_a_sound_sform(tmp_path) -> None:
    for index, fields in enumerate(({"quatern_c": np.nan}, {"qoffset_x": np.nan})):
        one = next(read_slices(write(tmp_path / f"{index}.nii", **fields)))
        assert one.info.sides_known and not one.info.notes


@pytest.mark.parametrize("offset", [np.nan, np.inf, 1e20, -1e7])
def test_a_senseless_place_of_the_first_voxel_costs_no_side(tmp_path, offset) -> None:
    path = write(tmp_path / "a.nii", srow_z=[0, 0, 5, offset])
    slices = list(read_slices(path))
    assert [one.info.position_mm for one in slices] == [5.0 * one.info.frame for one in slices]
    assert slices[0].info.sides_known and "positions count from it" in slices[0].info.notes[0]


@pytest.mark.parametrize("missed", [0, np.nan, np.inf])
def test_sizes_that_the_qform_needs_and_the_header_lacks_are_1_mm(tmp_path, missed) -> None:
    pixdim = [HAND, 0.9, missed, 5, 0, 0, 0, 0]
    one = next(read_slices(write(tmp_path / "a.nii", sform_code=0, pixdim=pixdim)))
    assert one.info.spacing_mm == pytest.approx((1, 0.9)) and one.info.sides_known
    assert one.info.notes == ("no voxel size along axis 2: 1 mm is assumed",)
    one = next(read_slices(write(tmp_path / "b.nii", pixdim=pixdim)))
    assert one.info.spacing_mm == pytest.approx((0.9, 0.9)) and not one.info.notes


def test_negative_sizes_leave_the_sides_open_unless_the_sform_serves(tmp_path) -> None:
    pixdim = [HAND, -0.9, 0.9, 5, 0, 0, 0, 0]
    one = next(read_slices(write(tmp_path / "a.nii", sform_code=0, pixdim=pixdim)))
    assert one.info.spacing_mm == pytest.approx((0.9, 0.9)) and not one.info.sides_known
    assert "voxel sizes are negative" in one.info.notes[0]
    assert next(read_slices(write(tmp_path / "b.nii", pixdim=pixdim))).info.sides_known


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_negative_sizes_of_other_formats_keep_their_length(tmp_path, name) -> None:
    """They were taken for 1 mm, which cuts a thick volume anew."""
    volume = np.random.default_rng(0).integers(0, 900, (20, 24, 18)).astype(np.int16)
    if name.endswith(".mha"):
        fields = {"ElementSpacing": "0.9 0.9 -5"}
        path = builders.write_metaimage(tmp_path / name, volume, fields=fields)
    else:
        without, lines = ("space", "space directions", "space origin"), ("spacings: 0.9 0.9 -5",)
        path = builders.write_nrrd(tmp_path / name, volume, lines=lines, without=without)
    slices = list(read_slices(path))
    assert len(slices) == 18 and not slices[0].info.sides_known
    assert slices[0].info.spacing_mm == pytest.approx((0.9, 0.9))
    assert any("voxel sizes are negative" in note for note in slices[0].info.notes)


def test_a_hand_that_is_not_stated_is_the_right_one(tmp_path) -> None:
    """By the standard a pixdim[0] of 0 counts 1."""
    pictures = [
        next(read_slices(write(tmp_path / f"{hand}.nii", sform_code=0, pixdim=[hand, *SIZES[1:]])))
        for hand in (0, 1, -1)
    ]
    np.testing.assert_array_equal(pictures[0].pixels, pictures[1].pixels)
    assert (pictures[0].pixels != pictures[2].pixels).any()


def test_unknown_codes_of_an_orientation_count_as_codes(tmp_path) -> None:
    assert next(read_slices(write(tmp_path / "a.nii", sform_code=99))).info.sides_known


# Sizes of voxels that disagree


def test_an_sform_of_other_sizes_gives_way_to_a_qform_that_agrees(tmp_path) -> None:
    path = write(tmp_path / "a.nii", **rows(*(AFFINE[:3] * [[0.2, 0.2, 0.2, 1]])))
    one = next(read_slices(path))
    assert one.info.spacing_mm == pytest.approx((0.9, 0.9)) and one.info.sides_known
    assert one.info.notes == ("the sform has other voxel sizes than the header: the qform is used",)


def test_an_identity_as_sform_does_not_hide_how_the_head_lies(tmp_path) -> None:
    path = write(tmp_path / "a.nii", **rows(*np.eye(4)[:3]))
    slices = list(read_slices(path))
    assert slices[1].info.position_mm - slices[0].info.position_mm == pytest.approx(5)
    assert not slices[0].info.sides_known and "disagree" in slices[0].info.notes[1]


def test_sizes_of_the_header_serve_where_no_orientation_agrees(tmp_path) -> None:
    stretched = rows(*(AFFINE[:3] * [[1, 1, 0.1, 1]]))  # cubes of 0.9 x 0.9 x 0.5 mm
    one = next(read_slices(write(tmp_path / "a.nii", **stretched, qform_code=0)))
    assert one.info.plane == "axial" and one.info.sides_known
    assert (
        "the sform gives voxels of 0.9 x 0.9 x 0.5 mm, the sizes give 0.9 x 0.9 x 5 mm"
        in one.info.notes[0]
    )


@pytest.mark.parametrize("sizes", [[1, 1, 1], [0.8, 0.8, 4.5], [0, 0, 0]])
def test_an_sform_stands_where_the_sizes_tell_little_else(tmp_path, sizes) -> None:
    """1 mm throughout is what programs write that know no size; a standard head is stretched."""
    path = write(tmp_path / "a.nii", pixdim=[HAND, *sizes, 0, 0, 0, 0])
    slices = list(read_slices(path))
    assert slices[0].info.spacing_mm == pytest.approx((0.9, 0.9)) and not slices[0].info.notes
    assert slices[1].info.position_mm - slices[0].info.position_mm == pytest.approx(5)


def test_a_single_slice_has_no_size_that_could_disagree() -> None:
    lps = np.diag([0.5, 0.5, 7.0, 1])[:3]
    space = find_space({"sform": lps}, np.array([0.5, 0.5, 1]), (64, 64, 1), np.eye(3))
    assert space.sure and not space.notes


# Images in memory


def test_an_image_in_memory_with_a_senseless_affine_takes_its_qform() -> None:
    image = nib.Nifti1Image(VOLUME, AFFINE)
    image.set_qform(AFFINE, 1)
    image.affine[:] = np.nan
    one = next(iter(read_object(image)))
    assert one.info.sides_known and one.info.notes == (
        "the affine makes no sense: the qform is used",
    )
    image.header["qform_code"] = 0
    one = next(iter(read_object(image)))
    assert not one.info.sides_known and "left and right unknown" in one.info.notes[0]


# Scaling


@pytest.mark.parametrize(
    ("slope", "intercept", "note"),
    [
        (0, 5, None),
        (np.nan, 5, None),
        (np.inf, 0, "scl_slope is inf: not applied"),
        (1, np.nan, "scl_inter is nan: not applied"),
        (1, -np.inf, "scl_inter is -inf: not applied"),
    ],
)
def test_scaling_that_makes_no_sense_is_not_applied(tmp_path, slope, intercept, note) -> None:
    path = write(tmp_path / "a.nii", scl_slope=slope, scl_inter=intercept)
    one, other = next(read_slices(path)), sound(tmp_path)[0]
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.info.notes == (() if note is None else (note,))


@pytest.mark.parametrize("slope", [3e38, 1e-42])
def test_scaling_beyond_single_precision_keeps_the_picture(tmp_path, slope) -> None:
    one = next(read_slices(write(tmp_path / "a.nii", scl_slope=slope)))
    other = sound(tmp_path)[0]
    shown = one.pixels / one.pixels.max() * other.pixels.max()
    np.testing.assert_allclose(shown, other.pixels, rtol=1e-6)
    assert "to fit single precision" in one.info.notes[0]
