"""One contract over all readers, and what may be given instead of a path."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

import builders
from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import silence
from tumorlens.imaging.readers import read_object, read_slice, read_slices
from tumorlens.imaging.slices import Slice

GREY = (np.arange(32 * 40).reshape(32, 40) % 251).astype(np.uint8)


def write_all(folder: Path) -> dict[str, Path]:
    """One displayed picture in every format."""
    axial = {"ImageOrientationPatient": builders.AXIAL, "ImagePositionPatient": [0, 0, 0]}
    return {
        **{
            kind: builders.write_picture(folder / f"a.{kind}", GREY)
            for kind in ("png", "bmp", "tif")
        },
        "webp": builders.write_picture(
            folder / "a.webp", np.stack([GREY] * 3, axis=-1), lossless=True
        ),
        "dicom": builders.write_dicom(folder / "a.dcm", GREY.astype(np.uint16), **axial),
        "nifti": builders.write_nifti(folder / "a.nii.gz", GREY.T[..., None].astype(np.int16)),
        "nrrd": builders.write_nrrd(folder / "a.nrrd", GREY.T[..., None], encoding="gzip"),
        "mha": builders.write_metaimage(folder / "a.mha", GREY.T[..., None], zipped=True),
        "mgz": builders.write_mgh(folder / "a.mgz", GREY.T[..., None]),
        "zip": builders.write_zip(folder / "a.zip", {"a": folder / "a.dcm"}),
    }


def test_every_reader_gives_the_same_slice(tmp_path) -> None:
    for kind, path in write_all(tmp_path).items():
        (slice_,) = read_slices(path)
        assert isinstance(slice_, Slice), kind
        assert slice_.pixels.flags.c_contiguous and slice_.pixels.dtype == np.float32, kind
        np.testing.assert_array_equal(slice_.pixels, GREY, err_msg=kind)
        np.testing.assert_array_equal(read_slice(path).pixels, GREY, err_msg=kind)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"smallest_side": 33}, "at least 33"),
        ({"pixels_per_slice": 1000}, "1,000 allowed"),
        ({"memory_bytes": 1000}, "memory"),
    ],
)
def test_every_reader_keeps_to_the_limits(tmp_path, change, reason) -> None:
    for path in write_all(tmp_path).values():
        with pytest.raises(InputError, match=reason) as caught:
            list(read_slices(path, limits=Limits(**change)))
        assert caught.value.path.startswith(str(path))


def test_every_reader_refuses_a_frame_that_is_not_there(tmp_path) -> None:
    for path in write_all(tmp_path).values():
        with pytest.raises(InputError):
            read_slice(path, 7)


def test_objects_in_memory(tmp_path) -> None:
    files = write_all(tmp_path)
    objects = {
        "array": GREY,
        "list of rows": np.asfortranarray(GREY),
        "float": GREY.astype(np.float64),
        "picture": Image.fromarray(GREY),
        "opened picture": Image.open(files["png"]),
        "dataset": pydicom.dcmread(files["dicom"]),
        "dataset in memory": builders.make_dataset(GREY.astype(np.uint16)),
        "nibabel": nib.load(files["nifti"]),
        "bytes": files["png"].read_bytes(),
        "dicom bytes": files["dicom"].read_bytes(),
        "nifti bytes": bytearray(files["nifti"].read_bytes()),
        "path": files["tif"],
        "text": str(files["bmp"]),
    }
    for name, x in objects.items():
        (slice_,) = read_object(x)
        np.testing.assert_array_equal(slice_.pixels, GREY, err_msg=name)


def test_arrays_of_three_dimensions() -> None:
    stack = np.stack([GREY + n for n in range(5)])
    slices = list(read_object(stack))
    assert [one.info.frame for one in slices] == [0, 1, 2, 3, 4]
    assert slices[0].info.plane == "axial"
    np.testing.assert_array_equal(slices[3].pixels, stack[3])
    (colors,) = read_object(np.stack([GREY, GREY, GREY], axis=-1))
    np.testing.assert_array_equal(colors.pixels, GREY)


COLORS = np.stack([GREY, GREY, GREY], axis=-1)


@pytest.mark.parametrize(
    ("array", "count"),
    [
        (GREY[..., np.newaxis], 1),
        (GREY[np.newaxis], 1),
        (GREY[np.newaxis, ..., np.newaxis], 1),
        (GREY[np.newaxis, np.newaxis], 1),
        (np.stack([GREY[..., np.newaxis]] * 2), 2),
        (np.stack([GREY[np.newaxis]] * 5), 5),
        (np.stack([COLORS] * 2), 2),
        (np.stack([np.moveaxis(COLORS, -1, 0)] * 2), 2),
    ],
    ids=["HW1", "1HW", "1HW1", "11HW", "NHW1", "N1HW", "NHW3", "N3HW"],
)
def test_channel_axes_of_keras_opencv_and_torch(array, count) -> None:
    slices = list(read_object(array))
    assert [one.info.frame for one in slices] == list(range(count))
    for one in slices:
        np.testing.assert_array_equal(one.pixels, GREY)
        assert one.info.notes == ()


class Tensor:
    """What NumPy takes for an array, as it does tensors of torch and arrays of xarray."""

    def __init__(self, reason: str = "") -> None:
        self._reason = reason

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        if self._reason:
            raise TypeError(self._reason)
        return GREY


def test_a_tensor_is_read_as_its_array() -> None:
    (slice_,) = read_object(Tensor())
    np.testing.assert_array_equal(slice_.pixels, GREY)
    with pytest.raises(InputError, match=r"<Tensor>: gives no array \(it is on cuda:0\)"):
        list(read_object(Tensor("it is on cuda:0")))


def test_an_image_of_complex_numbers_is_refused() -> None:
    image = nib.Nifti1Image(np.ones((20, 20, 4), np.complex64), np.eye(4))
    with pytest.raises(InputError, match="has complex64 voxels; store magnitudes"):
        list(read_object(image))


@pytest.mark.parametrize(
    ("shape", "step"),
    [
        ((3, 32, 40), 'axes="DHW"` for 3 slices, or `axes="CHW"` for one slice in colors'),
        ((64, 64, 20), 'axes="DHW"` if slices are first, or `axes="HWD"` if they are last'),
        ((64, 64, 40), 'axes="HWD"` if they are last'),
        ((64, 64, 64), 'axes="HWD"` if they are last'),
        ((182, 218, 182), 'axes="HWD"` if they are last'),
        ((64, 80, 10), 'axes="HWD"` if they are last'),
        ((64, 64, 20, 1), 'axes="HWDC"` if they are last'),
    ],
)
def test_a_shape_that_may_mean_two_things_is_refused(shape, step) -> None:
    with pytest.raises(InputError) as raised:
        list(read_object(np.ones(shape)))
    assert step in str(raised.value)


@pytest.mark.parametrize("shape", [(20, 64, 64), (155, 240, 240), (2, 32, 40), (24, 64, 80, 1)])
def test_a_shape_with_few_slices_tells_that_they_are_first(shape) -> None:
    array = np.random.default_rng(0).integers(0, 99, shape)
    slices = list(read_object(array))
    assert len(slices) == shape[0]
    assert all(one.info.notes == () for one in slices)


@pytest.mark.parametrize(
    "axes", ["DHW", "HWD", "DWH", "WDH", "DHWC", "DCHW", "CDHW", "HWDC", "CWHD"]
)
def test_named_axes_are_believed(axes) -> None:
    stack = np.stack([GREY + n for n in range(40)])[..., np.newaxis]
    sizes = ["DHWC".index(letter) for letter in axes]
    array = stack.transpose(sizes + [3] * ("C" not in axes))
    array = array if "C" in axes else array[..., 0]
    slices = list(read_object(array, axes=axes))
    assert [one.info.frame for one in slices] == list(range(40))
    np.testing.assert_array_equal(slices[7].pixels, GREY + 7)
    assert slices[7].info.plane == "axial"


def test_one_slice_in_colors_may_have_them_first() -> None:
    (one,) = read_object(np.stack([GREY, GREY, GREY]), axes="CHW")
    np.testing.assert_array_equal(one.pixels, GREY)
    assert one.info.plane is None


@pytest.mark.parametrize(
    ("axes", "error", "reason"),
    [
        ("DH", UsageError, "must name H"),
        ("DHWW", UsageError, "each once"),
        ("XHW", UsageError, "must name H"),
        ("HW", UsageError, r"names 2 axes, but the array has shape \(6, 32, 40\)"),
        ("CHW", InputError, "has 6 channels; 1 \\(grey\\), 3 or 4"),
    ],
)
def test_axes_that_do_not_fit_the_array(axes, error, reason) -> None:
    with pytest.raises(error, match=reason):
        list(read_object(np.ones((6, 32, 40)), axes=axes))


def test_a_slice_is_no_view_of_the_callers_array() -> None:
    array = GREY.astype(np.float32)
    (slice_,) = read_object(array)
    array[:] = 0
    np.testing.assert_array_equal(slice_.pixels, GREY)


def test_four_dimensional_image_in_memory() -> None:
    volume = np.random.default_rng(0).integers(0, 99, (20, 22, 18, 2)).astype(np.int16)
    slices = list(read_object(nib.Nifti1Image(volume, np.diag([-1.0, -1, 1, 1]))))
    assert len(slices) == 36
    np.testing.assert_array_equal(slices[20].pixels, volume[:, :, 2, 1].T)


def test_an_image_of_a_format_without_codes_is_read_by_its_affine() -> None:
    volume = np.random.default_rng(0).integers(0, 99, (20, 22, 18)).astype(np.int16)
    image = nib.spatialimages.SpatialImage(volume, np.diag([-1.0, -1, 2, 1]))
    first, *_ = slices = list(read_object(image))
    assert (len(slices), first.info.plane, first.info.sides_known) == (18, "axial", True)
    np.testing.assert_array_equal(first.pixels, volume[:, :, 0].T)


def test_a_dataset_without_syntax_is_read_and_left_alone() -> None:
    dataset = builders.make_dataset(GREY.astype(np.uint16))
    del dataset.file_meta
    (slice_,) = read_object(dataset)
    np.testing.assert_array_equal(slice_.pixels, GREY)
    assert not hasattr(dataset, "file_meta")


@pytest.mark.parametrize(
    "x", [None, 7, [1, 2], object(), pydicom.Sequence([pydicom.Dataset()]), nib.GiftiImage()]
)
def test_other_objects_are_a_mistake_of_the_call(x) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        list(read_object(x))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (GREY.astype(complex), "complex"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 40)), "shape"),
        (np.zeros((2, 5, 32, 40)), "shape"),
        (np.zeros((1, 1, 1, 32, 40)), "shape"),
        (np.zeros((4, 4)), "only 4 x 4"),
        (np.zeros((32, 40)), "constant"),
        (np.full((32, 40), np.nan), "finite"),
        (np.array([["a"] * 20] * 20), "<U1"),
    ],
)
def test_arrays_that_show_nothing(array, reason) -> None:
    with pytest.raises(InputError, match=reason):
        list(read_object(array))


def test_pictures_load_neither_pydicom_nor_nibabel(tmp_path) -> None:
    path = write_all(tmp_path)["png"]
    code = (
        "import sys; from tumorlens.imaging.readers import read_slices, read_object\n"
        f"list(read_slices({str(path)!r})); list(read_slices({str(tmp_path)!r} + '/*.tif'))\n"
        "print([name for name in ('pydicom', 'nibabel', 'gdcm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_silence_leaves_the_filters_as_they_were() -> None:
    """Threads enter and leave in any order; the list of filters comes back in the end."""
    before = list(warnings.filters)
    inside, leave = threading.Barrier(2), threading.Event()

    def long() -> None:
        with silence():
            inside.wait()
            leave.wait()

    thread = threading.Thread(target=long)
    with silence():
        thread.start()
        inside.wait()
    leave.set()
    thread.join()
    assert list(warnings.filters) == before


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_stack_of_color_pictures_is_read_one_by_one(kind) -> None:
    colors = np.stack([np.stack([GREY] * 3, axis=-1), np.stack([GREY[::-1]] * 3, axis=-1)])
    first, second = read_object(colors.astype(kind))
    np.testing.assert_allclose(first.pixels, GREY, atol=1)
    np.testing.assert_allclose(second.pixels, GREY[::-1], atol=1)
    assert second.info.frame == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_arrays_of_subclasses_are_read_as_plain_ones(dtype) -> None:
    for array in (np.ma.masked_array(GREY.astype(dtype)), GREY.astype(dtype).view(np.recarray)):
        (one,) = read_object(array)
        np.testing.assert_array_equal(one.pixels, GREY)
        assert type(one.pixels) is np.ndarray
    volume = np.ma.masked_invalid(np.stack([GREY.astype(np.float64)] * 3))
    assert len(list(read_object(volume, axes="DHW"))) == 3


def test_what_is_masked_is_not_looked_at() -> None:
    mask = np.zeros(GREY.shape, bool)
    mask[:5] = True
    (one,) = read_object(np.ma.masked_array(GREY, mask))
    np.testing.assert_array_equal(one.pixels[:5], 0)
    np.testing.assert_array_equal(one.pixels[5:], GREY[5:])
    assert one.info.notes
    with pytest.raises(InputError, match="no voxel is finite"):
        list(read_object(np.ma.masked_all((32, 32))))


def test_one_slice_is_asked_of_one_file(tmp_path):
    """A folder's or a pattern's first picture would be a slice that nobody named."""
    builders.write_picture(tmp_path / "a.png", GREY)
    with pytest.raises(InputError, match="is no regular file"):
        read_slice(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_slice(tmp_path / "*.png")


@pytest.mark.parametrize("scale", [1e-60, 1e-300, 1e60, 1e300])
def test_doubles_that_no_float_can_hold_keep_their_picture(scale) -> None:
    (slice_,) = read_object(GREY * scale)
    np.testing.assert_allclose(slice_.pixels / slice_.pixels.max() * 250, GREY, atol=1e-4)
    assert "to fit single precision" in slice_.info.notes[0]
