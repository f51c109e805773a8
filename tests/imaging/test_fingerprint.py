"""Descriptors and fingerprints: the same for a copy, another for another head."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from brains import as_slice, paint_brain
from tumorlens.imaging.pixels.fingerprint import (
    FINGERPRINT_BYTES,
    SEEN_LIMIT,
    _smoothing,
    compare_fingerprint,
    cosine_basis,
    describe_frame,
    describe_head,
    fingerprint_descriptors,
    fingerprint_slice,
    is_seen,
    turn_descriptors,
)

TURNS = [
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_180,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
]


def test_turning_a_descriptor_is_turning_the_picture():
    picture = Image.fromarray(paint_brain(1))
    ways = turn_descriptors(describe_frame(as_slice(picture)))
    for way, turn in zip(ways, TURNS, strict=True):
        turned = picture if turn is None else picture.transpose(turn)
        np.testing.assert_allclose(describe_frame(as_slice(turned)), way, atol=1e-4)


def test_a_descriptor_has_length_one_and_a_blank_picture_none():
    assert np.linalg.norm(describe_head(as_slice(paint_brain(2)))) == pytest.approx(1)
    assert not describe_frame(as_slice(np.full((40, 40), 7, np.uint8))).any()


def test_a_program_may_let_numpy_raise():
    """The smoothing of a picture underflows at its rim, in single precision, and may."""
    slice_ = as_slice(np.pad(np.full((40, 40), 7, np.uint8), 40))
    with np.errstate(all="raise"):
        assert len(fingerprint_slice(slice_)) == FINGERPRINT_BYTES
        assert _smoothing().sum(1) == pytest.approx(1)


@pytest.mark.parametrize("describe", [describe_head, describe_frame])
def test_a_copy_in_another_unit_has_the_same_descriptor(describe):
    slice_ = as_slice(paint_brain(2))
    tiny = replace(slice_, pixels=slice_.pixels * np.float32(1e-12))
    np.testing.assert_allclose(describe(tiny), describe(slice_), atol=1e-4)


def test_the_basis_is_orthonormal():
    basis = cosine_basis(((np.arange(48) + 0.5) / 48).astype(np.float32))
    np.testing.assert_allclose(basis.T @ basis, np.eye(24), atol=1e-5)


@pytest.fixture(scope="module")
def fingerprints():
    prints = [fingerprint_slice(as_slice(paint_brain(seed))) for seed in range(200)]
    assert {len(one) for one in prints} == {FINGERPRINT_BYTES}
    return np.frombuffer(b"".join(prints), np.uint8).reshape(-1, FINGERPRINT_BYTES)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        ImageOps.mirror,
        ImageOps.flip,
        lambda p: p.resize((80, 80)),
        lambda p: p.transpose(Image.Transpose.ROTATE_90),
        lambda p: p.point([v // 2 for v in range(256)]),
    ],
)
def test_a_copy_was_seen(fingerprints, change):
    picture = as_slice(change(Image.fromarray(paint_brain(7))))
    assert compare_fingerprint(picture, fingerprints).argmin() == 7
    assert is_seen(picture, fingerprints)


def test_another_head_was_not_seen(fingerprints):
    picture = as_slice(paint_brain(1000))
    assert compare_fingerprint(picture, fingerprints).min() > SEEN_LIMIT
    assert not is_seen(picture, fingerprints)
    assert not is_seen(picture, fingerprints[:0])


def test_fingerprints_of_many_are_those_of_each():
    descriptors = np.stack([describe_head(as_slice(paint_brain(seed))) for seed in range(3)])
    for layout in (descriptors, np.asfortranarray(descriptors), descriptors.astype(np.float16)):
        together = fingerprint_descriptors(layout)
        assert together.flags.c_contiguous
        assert [one.tobytes() for one in together] == [
            fingerprint_slice(as_slice(paint_brain(seed))) for seed in range(3)
        ]
