from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.pixels.voxels import FAR_INTERCEPT
from tumorlens.imaging.readers import read_slice, read_slices

HEAD = builders.paint_head((20, 24, 18)).astype(np.int16)
FULL = (np.arange(20 * 24 * 18).reshape(20, 24, 18) % 1000).astype(np.int16)  # no blank slice


def show(volume: np.ndarray) -> np.ndarray:
    """[x, y, z] as axial slices: z, then rows to the back, columns to the left."""
    return volume.transpose(2, 1, 0).astype(np.float32)


def read_stack(path) -> np.ndarray:
    return np.stack([one.pixels for one in read_slices(path)])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.nii", nib.Nifti1Image),
        ("a.nii.gz", nib.Nifti1Image),
        ("a.nii", nib.Nifti2Image),
        ("a.img", nib.Nifti1Pair),
        ("a.hdr", nib.Nifti1Pair),
        ("a.img.gz", nib.Nifti1Pair),
        ("a.img", nib.Nifti2Pair),
    ],
)
def test_kinds(tmp_path, name, kind) -> None:
    path = builders.write_nifti(tmp_path / name, FULL, kind=kind)
    np.testing.assert_array_equal(read_stack(path), show(FULL))


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "<i2", ">i2", "<u2", "<i4", ">f4", "<f8", "<u4", "<i8"]
)
def test_number_types(tmp_path, dtype) -> None:
    volume = (FULL % 100).astype(dtype)
    header = nib.Nifti1Header(endianness=dtype[0] if dtype[0] in "<>" else "<")
    image = nib.Nifti1Image(volume, np.diag([-1.0, -1, 1, 1]), header)
    image.set_data_dtype(dtype)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_array_equal(read_stack(tmp_path / "a.nii"), show(FULL % 100))


def scale_file(path: Path, slope: float, intercept: float) -> Path:
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([slope, intercept], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(data)
    return path


def test_scaling_is_applied(tmp_path) -> None:
    path = scale_file(builders.write_nifti(tmp_path / "a.nii", FULL), 2.5, -10)
    np.testing.assert_array_equal(read_stack(path), show(FULL) * 2.5 - 10)


def test_a_picture_survives_an_intercept_that_single_precision_cannot_hold(tmp_path) -> None:
    path = scale_file(builders.write_nifti(tmp_path / "a.nii", FULL), 2, 1e12)
    np.testing.assert_array_equal(read_stack(path), show(FULL) * 2)
    assert FAR_INTERCEPT in next(iter(read_slices(path))).info.notes


def test_an_intercept_brings_back_large_stored_values(tmp_path) -> None:
    stored = FULL.astype(np.uint32) + 2**31
    path = scale_file(builders.write_nifti(tmp_path / "a.nii", stored), 1, -(2**31))
    np.testing.assert_array_equal(read_stack(path), show(FULL))


def test_four_dimensions_come_volume_by_volume(tmp_path) -> None:
    series = np.stack([FULL + t for t in range(3)], axis=-1)
    path = builders.write_nifti(tmp_path / "a.nii.gz", series)
    slices = list(read_slices(path))
    assert [one.info.frame for one in slices] == list(range(3 * 18))
    np.testing.assert_array_equal(slices[2 * 18 + 5].pixels, show(FULL)[5] + 2)
    np.testing.assert_array_equal(read_slice(path, 18).pixels, show(FULL)[0] + 1)


def test_colors_become_luma(tmp_path) -> None:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    volume = np.empty(FULL.shape, kind)
    for name in "RGB":
        volume[name] = FULL % 256
    nib.save(nib.Nifti1Image(volume, np.diag([-1.0, -1, 1, 1])), tmp_path / "a.nii")
    np.testing.assert_array_equal(read_stack(tmp_path / "a.nii"), show(FULL % 256))


def test_blank_slices_are_left_out_but_counted(tmp_path) -> None:
    path = builders.write_nifti(tmp_path / "a.nii", HEAD)
    frames = [one.info.frame for one in read_slices(path)]
    filled = np.flatnonzero(HEAD.any(axis=(0, 1))).tolist()
    assert frames == filled and len(filled) < 18
    assert read_slice(path, filled[0]).info.frame == filled[0]
    with pytest.raises(InputError, match="frame 0"):
        read_slice(path, 0)


def test_non_finite_voxels_become_background(tmp_path) -> None:
    volume = FULL.astype(np.float32) + 5
    volume[:, :, 3], volume[2, 2, 4] = np.nan, -np.inf
    slices = list(read_slices(builders.write_nifti(tmp_path / "a.nii", volume)))
    assert 3 not in [one.info.frame for one in slices]  # nothing left of it
    assert slices[3].pixels[2, 2] == 0 and "1 non-finite" in slices[3].info.notes[0]


def test_info(tmp_path) -> None:
    volume, lps = builders.store_volume(HEAD, (1, 1.5, 4), (0, 1, 2), (1, 1, 1))
    slices = list(read_slices(builders.write_nifti(tmp_path / "sub-01_FLAIR.nii", volume, lps)))
    info = slices[0].info
    assert info.spacing_mm == pytest.approx((1.5, 1)) and info.sequence == "FLAIR"
    assert info.position_mm == 4 * info.frame and info.patient is None


def test_the_other_half_of_a_pair_is_missed_by_name(tmp_path) -> None:
    path = builders.write_nifti(tmp_path / "a.img", FULL, kind=nib.Nifti1Pair)
    path.unlink()
    with pytest.raises(InputError, match=r"\.img file is missing"):
        list(read_slices(path.with_suffix(".hdr")))


def test_zipped_volume_that_ends_early(tmp_path) -> None:
    path = builders.write_nifti(tmp_path / "a.nii", FULL)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(path.read_bytes()[:-100]))
    with pytest.raises(InputError, match="cut short"):
        list(read_slices(tmp_path / "a.nii.gz"))


def test_complex_voxels_are_refused(tmp_path) -> None:
    path = builders.write_nifti(tmp_path / "a.nii", FULL.astype(np.complex64))
    with pytest.raises(InputError, match="complex64"):
        list(read_slices(path))


def write_header(path, volume=FULL, **changes):
    header = nib.Nifti1Header()
    header.set_data_dtype(volume.dtype)
    header.set_data_shape(volume.shape)
    header.set_sform(np.diag([-1.0, -1, 1, 1]), 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    for name, value in changes.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(4) + volume.tobytes(order="F"))
    return path


def test_an_axis_of_no_size_has_one(tmp_path) -> None:
    path = write_header(tmp_path / "a.nii", dim=[4, 20, 24, 18, 0, 1, 1, 1])
    np.testing.assert_array_equal(read_stack(path), show(FULL))


def test_sizes_of_axes_that_are_not_counted_are_told(tmp_path) -> None:
    path = write_header(tmp_path / "a.nii", dim=[2, 20, 24, 18, 1, 1, 1, 1])
    (one,) = read_slices(path)
    assert "the header counts 2 axes and states the sizes of more" in one.info.notes


@pytest.mark.parametrize("offset", [0])
def test_a_header_is_not_read_as_voxels(tmp_path, offset) -> None:
    path = write_header(tmp_path / "a.nii", vox_offset=offset)
    with pytest.raises(InputError, match=f"voxels at byte {offset}"):
        list(read_slices(path))


@pytest.mark.parametrize("magic", [b"", b"ni1", b"xyz"])
def test_a_single_file_without_its_magic_is_told(tmp_path, magic) -> None:
    path = write_header(tmp_path / "a.nii", magic=magic)
    with pytest.raises(InputError, match="without the magic of a single file"):
        list(read_slices(path))


def test_orientations_that_contradict_each_other_tell_no_sides(tmp_path) -> None:
    mirrored = {"qform_code": 1, "quatern_b": 0, "quatern_c": 0, "quatern_d": 0}
    path = write_header(tmp_path / "a.nii", pixdim=[1, 1, 1, 1, 0, 0, 0, 0], **mirrored)
    one = next(read_slices(path))
    assert not one.info.sides_known
    assert any("sform and qform disagree" in note for note in one.info.notes)
    same = {**mirrored, "quatern_d": 1}  # half a turn about the axis of the body
    one = next(read_slices(write_header(tmp_path / "b.nii", **same)))
    assert one.info.sides_known
    assert not one.info.notes


def test_a_zipped_volume_whose_checksum_fails_is_refused(tmp_path) -> None:
    whole = gzip.compress(write_header(tmp_path / "a.nii").read_bytes())
    path = tmp_path / "a.nii.gz"
    path.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    with pytest.raises(InputError, match="CRC"):
        list(read_slices(path))
    path.write_bytes(whole + b"what some tools leave behind")
    assert list(read_slices(path))
