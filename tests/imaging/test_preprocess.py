"""`prepare`: golden values, the way back, and what must not change it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from builders import AXIAL, write_dicom, write_nifti, write_picture
from painter import paint_slice
from tumorlens.finding import SliceInfo
from tumorlens.imaging.pixels.head import scale_values
from tumorlens.imaging.preprocess import PreprocessSpec, place, prepare
from tumorlens.imaging.readers import read_slices
from tumorlens.imaging.slices import Slice

SPEC = PreprocessSpec(size=64)
PAGE = Path(__file__).resolve().parents[2] / "docs/preprocess.md"


def make_slice(pixels, spacing=None):
    return Slice(np.asarray(pixels, np.float32), SliceInfo("painted", spacing_mm=spacing))


def prepare_pixels(pixels, spacing=None, spec=SPEC):
    return prepare(make_slice(pixels, spacing), spec)


# The vectors of docs/preprocess.md


def paint_vector(name):
    """The slices that the page describes, and their spacing."""
    y, x = np.indices((100, 80))
    head = np.where(
        25 * (2 * x - 79) ** 2 + 16 * (2 * y - 99) ** 2 < 100_000, 100 + (7 * x + 3 * y) % 50, 0
    )
    if name == "framed":
        return np.pad(head, 12, constant_values=255), None
    if name == "labelled":
        lengthened = np.pad(head, ((0, 20), (0, 0)))
        lengthened[108:114, 2:22] = 250
        return lengthened, None
    if name == "tall":
        return head, (2.0, 1.0)
    if name == "large":
        return head.repeat(3, 0).repeat(3, 1), None
    if name == "soft":
        return np.maximum(0, 240 - (25 * (2 * x - 79) ** 2 + 16 * (2 * y - 99) ** 2) // 500), None
    if name in ("faint", "huge"):
        return head * {"faint": 1e-12, "huge": 1e36}[name], None
    if name == "bright":
        return 500 - 2 * head, None
    return head, None


VECTORS = json.loads(re.search(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.S)[1])


NAMES = ["head", "framed", "labelled", "tall", "large", "bright", "faint", "huge", "soft"]
NAMES += ["second", "second large", "second soft", "dimmed"]


@pytest.mark.parametrize("name", NAMES)
def test_golden_values_of_the_page(name):
    vector = VECTORS[name]
    spec = PreprocessSpec(version=vector.get("version", 1), size=64)
    slice_ = make_slice(*paint_vector(vector.get("slice", name)))
    prepared = prepare(replace(slice_, contrast=vector.get("contrast")), spec)
    np.testing.assert_allclose(prepared.to_pixels, vector["to_pixels"], atol=1e-9)
    assert prepared.image.mean() == pytest.approx(vector["mean"], abs=2e-5)
    for x, y, value in vector["values"]:
        assert prepared.image[0, y, x] == pytest.approx(value, abs=2e-5)


def test_every_vector_of_the_page_is_tested():
    assert set(VECTORS) == set(NAMES)


# The head is found


def head_of(prepared):
    """Bounding box, in pixels of the slice, of what the image shows within its margin."""
    return [
        prepared.to_pixels @ (corner, corner, 1)
        for corner in (prepared.image.shape[-1] * 0.037, prepared.image.shape[-1] * 0.963)
    ]


@pytest.mark.parametrize("border", [0, 255], ids=["black", "white"])
@pytest.mark.parametrize("width", [1, 10, 40])
def test_a_border_moves_the_crop_and_leaves_the_image(border, width):
    plain = prepare_pixels(paint_slice(0, tumor=True, size=192).pixels)
    pixels = np.pad(paint_slice(0, tumor=True, size=192).pixels, width, constant_values=border)
    framed = prepare_pixels(pixels)
    # The thumbnail's factor may change with the size: its blocks are up to three pixels wide.
    np.testing.assert_allclose(framed.to_pixels[:, 2] - width, plain.to_pixels[:, 2], atol=6)
    np.testing.assert_allclose(framed.to_pixels[0, 0], plain.to_pixels[0, 0], rtol=0.06)
    assert abs(framed.image - plain.image).mean() < 0.05


def test_two_frames_inside_each_other_fall_away():
    pixels = paint_slice(1, tumor=False, size=192).pixels
    framed = np.pad(np.pad(pixels, 8, constant_values=255), 8, constant_values=0)
    plain = prepare_pixels(pixels)
    np.testing.assert_allclose(
        prepare_pixels(framed).to_pixels[:, 2] - 16, plain.to_pixels[:, 2], atol=4
    )


def test_text_beside_the_head_is_left_outside():
    pixels = np.pad(paint_slice(2, tumor=False, size=160).pixels, ((0, 0), (0, 90)))
    plain = prepare_pixels(pixels)
    pixels[10:20, 200:245] = 255
    pixels[140:150, 200:230:3] = 255
    np.testing.assert_allclose(prepare_pixels(pixels).to_pixels, plain.to_pixels, atol=1e-9)


def test_thin_lines_that_leave_the_head_do_not_widen_the_crop():
    pixels = np.pad(paint_slice(2, tumor=False, size=64).pixels, ((0, 0), (0, 32)))
    plain = prepare_pixels(pixels)
    for row in (20, 31, 42):
        pixels[row : row + 2, 40:92] = 170
    assert prepare_pixels(pixels).to_pixels[0, 0] < 1.25 * plain.to_pixels[0, 0]


def test_a_blank_slice_gives_an_image_without_an_error():
    image = prepare_pixels(np.full((64, 48), 7.0)).image
    assert image.max() == 0


def test_pixels_that_are_not_square_become_square():
    """A round head scanned with rows three times as far apart as columns is round again."""
    y, x = np.ogrid[:50, :150]
    round_in_mm = (((x - 75) ** 2 + (3 * (y - 25)) ** 2) < 60**2) * 100.0
    prepared = prepare_pixels(round_in_mm, spacing=(3.0, 1.0))
    shown = prepared.image[0] > 0.5
    assert shown.any(axis=0).sum() == pytest.approx(shown.any(axis=1).sum(), abs=2)
    assert prepared.to_pixels[0, 0] == pytest.approx(3 * prepared.to_pixels[1, 1])
    squeezed = prepare_pixels(round_in_mm).image[0] > 0.5
    assert squeezed.any(axis=0).sum() > 2 * squeezed.any(axis=1).sum()


# The way back


@given(
    x=st.integers(60, 130),
    y=st.integers(45, 140),
    spacing=st.sampled_from([None, (1.0, 1.0), (2.0, 1.0), (0.5, 0.8)]),
)
def test_a_mark_is_found_again_at_its_pixel(x, y, spacing):
    rows, columns = np.ogrid[:192, :192]
    head = (((columns - 95) / 70) ** 2 + ((rows - 95) / 88) ** 2 < 1) * 200.0
    head[y : y + 3, x : x + 3] = 0
    prepared = prepare_pixels(head, spacing, PreprocessSpec(size=160))
    centres = np.indices((160, 160))[::-1].reshape(2, -1) + 0.5
    places = prepared.to_pixels @ np.vstack([centres, np.ones(160 * 160)])
    inside = ((places[0] - 95) / 70) ** 2 + ((places[1] - 95) / 88) ** 2 < 0.85
    place_x, place_y = places[:, inside][:, prepared.image[0].ravel()[inside].argmin()]
    assert abs(place_x - (x + 1.5)) < 2.2
    assert abs(place_y - (y + 1.5)) < 2.2


def test_a_mask_is_placed_where_its_lesion_is():
    painting = paint_slice(3, tumor=True, size=256)
    prepared = prepare_pixels(painting.pixels, spec=PreprocessSpec(size=160))
    placed = place(painting.mask, prepared) > 0
    shown = prepared.image[0] > 0.8
    assert (placed & shown).sum() > 0.9 * placed.sum()
    inside = placed.sum() * np.prod(np.diag(prepared.to_pixels[:, :2]))
    assert inside == pytest.approx((painting.mask > 0).sum(), rel=0.15)


# What must not change it


def test_prepare_is_pure():
    slice_ = make_slice(paint_slice(4, tumor=True).pixels)
    before = slice_.pixels.copy()
    one, other = prepare(slice_, SPEC), prepare(slice_, SPEC)
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.to_pixels, other.to_pixels)
    np.testing.assert_array_equal(slice_.pixels, before)
    assert one.image.dtype == np.float32
    assert one.image.shape == (1, 64, 64)


@given(scale=st.floats(0.01, 1000), offset=st.floats(-2000, 2000), seed=st.integers(0, 5))
def test_scale_and_offset_of_intensities_do_not_matter(scale, offset, seed):
    pixels = paint_slice(seed, tumor=True).pixels.astype(np.float64)
    plain = prepare_pixels(pixels)
    changed = prepare_pixels((pixels + offset) * scale)
    np.testing.assert_allclose(changed.to_pixels, plain.to_pixels, atol=1e-9)
    np.testing.assert_allclose(changed.image, plain.image, atol=2e-3)


@pytest.mark.parametrize("power", [-44, -38, -20, -12, -9, -6, -3, 3, 20, 36])
def test_the_unit_of_intensities_does_not_matter(power):
    pixels = np.pad(paint_slice(1, tumor=True).pixels, ((20, 70), (40, 30))).astype(np.float64)
    plain, changed = prepare_pixels(pixels), prepare_pixels(pixels * 10.0**power)
    np.testing.assert_allclose(changed.to_pixels, plain.to_pixels, atol=1e-9)
    # Below 1e-38 float32 has few digits left; at 1e-44 the values are whole steps of 1.4e-45.
    np.testing.assert_allclose(changed.image, plain.image, atol=5e-2 if power == -44 else 2e-5)


def test_ordinary_values_are_not_touched():
    slice_ = make_slice(paint_slice(1, tumor=True).pixels)
    assert scale_values(slice_) is slice_.pixels
    assert scale_values(make_slice(np.zeros((2, 2)))).max() == 0


def test_one_displayed_slice_prepares_alike_from_png_dicom_and_nifti(tmp_path):
    painting = paint_slice(5, tumor=True, size=120).pixels
    twelve_bits = painting.astype(np.uint16) * 16
    png = write_picture(tmp_path / "slice.png", painting)
    dicom = write_dicom(
        tmp_path / "slice.dcm",
        twelve_bits,
        ImageOrientationPatient=list(AXIAL),
        ImagePositionPatient=[0, 0, 0],
        PixelSpacing=[0.9, 0.9],
        RescaleSlope=0.5,
        RescaleIntercept=-100,
    )
    nifti = write_nifti(
        tmp_path / "slice.nii.gz", twelve_bits.T[:, :, None], np.diag([0.9, 0.9, 5, 1])
    )
    assert nib.load(nifti).shape == (120, 120, 1)
    prepared = []
    for file in (png, dicom, nifti):
        (slice_,) = read_slices(file)
        prepared.append(prepare(slice_, SPEC))
    for other in prepared[1:]:
        np.testing.assert_allclose(other.to_pixels, prepared[0].to_pixels, atol=1e-9)
        np.testing.assert_allclose(other.image, prepared[0].image, atol=1e-4)


SHAPES = st.tuples(st.integers(16, 130), st.integers(16, 130))
VALUES = st.floats(
    width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**100), max_value=2.0**100
)


@given(pixels=SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=VALUES)))
def test_any_finite_slice_gives_a_finite_image(pixels):
    check_image(prepare_pixels(pixels))


@given(
    shape=SHAPES,
    seed=st.integers(0, 2**32 - 1),
    power=st.integers(-30, 30),
    spacing=st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)),
)
def test_noise_of_any_size_and_spacing_gives_a_finite_image(shape, seed, power, spacing):
    noise = np.random.default_rng(seed).normal(0, 10.0**power, shape)
    check_image(prepare_pixels(noise, spacing))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (16, 4000)])
def test_strips_and_dots_give_an_image(shape):
    check_image(prepare_pixels(np.random.default_rng(0).random(shape)))


def test_the_largest_floats_give_a_finite_image():
    huge = np.finfo(np.float32).max * np.random.default_rng(0).choice([-1.0, 1.0], (40, 50))
    check_image(prepare_pixels(huge))


def check_image(prepared):
    assert prepared.image.shape == (1, 64, 64)
    assert np.isfinite(prepared.image).all()
    assert prepared.image.min() >= 0
    assert prepared.image.max() <= 1
    assert np.isfinite(prepared.to_pixels).all()
    assert (np.diag(prepared.to_pixels[:, :2]) > 0).all()


# The spec


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": 3}, "preprocess version 3 is unknown here"),
        ({"size": 100}, "size must be a multiple of 32, got 100"),
        ({"size": 0}, "size must be a multiple of 32"),
    ],
)
def test_spec_refuses(fields, words):
    with pytest.raises(ValueError, match=words):
        PreprocessSpec(**fields)
