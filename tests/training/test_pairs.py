"""Edited pairs on painted heads: what heals, what does not, and what an edit must leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from painter import paint_slice
from tumorlens.training.learning.pairs import heal, leave_decoy, paste
from tumorlens.training.learning.pairs import paint as paint_lesion
from tumorlens.training.rows.codes import TUMOR_BOX, TUMOR_MASK, TUMOR_NONE, TUMOR_UNKNOWN


def paint(seed, *, tumor=True, place=0.45):
    painting = paint_slice(seed, tumor=tumor, size=128, place=place)
    annotation = np.where(painting.mask > 0, TUMOR_MASK, TUMOR_NONE).astype(np.uint8)
    return painting.pixels, annotation


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(6))
def test_heal_removes_a_lateral_tumor(seed):
    pixels, annotation = paint(seed)
    tumor = annotation > 0
    healed = heal(pixels, annotation, rng(seed))
    assert pixels[tumor].mean() > 215
    assert abs(healed[tumor].mean() - 90) < 8
    far = ~np.roll(tumor, 0) & (np.abs(np.indices(tumor.shape)[0] - 64) > 60)
    np.testing.assert_array_equal(healed[far], pixels[far])
    assert healed.dtype == np.uint8


def test_heal_refuses_a_tumor_across_the_midline():
    assert heal(*paint(0, place=0.05), rng()) is None


def test_heal_refuses_what_it_cannot_see():
    pixels, annotation = paint(0)
    assert heal(pixels, np.zeros_like(annotation), rng()) is None
    assert heal(pixels, np.full_like(annotation, TUMOR_UNKNOWN), rng()) is None
    assert heal(pixels, np.full_like(annotation, TUMOR_MASK), rng()) is None


def test_heal_refuses_sides_that_are_unlike():
    """A head that fills two quarters across: no side is the mirror of the other."""
    pixels, annotation = paint(0)[0].copy(), np.zeros((128, 128), np.uint8)
    annotation[40:52, 40:52] = TUMOR_MASK
    assert heal(pixels, annotation, rng()) is not None
    pixels[64:, :64] = pixels[:64, 64:] = 0
    assert heal(pixels, annotation, rng()) is None


def test_heal_works_from_boxes():
    painting = paint_slice(2, tumor=True, size=128)
    x0, y0, x1, y1 = painting.box
    annotation = np.zeros((128, 128), np.uint8)
    annotation[y0:y1, x0:x1] = TUMOR_BOX
    healed = heal(painting.pixels, annotation, rng())
    assert healed[painting.mask > 0].mean() < 110


@pytest.mark.parametrize("seed", range(6))
def test_paste_puts_a_tumor_and_its_marks(seed):
    pixels, _ = paint(100 + seed, tumor=False)
    edited, annotation = paste(pixels, *paint(seed), rng(seed))
    tumor = annotation == TUMOR_MASK
    assert tumor.sum() > 100
    assert edited[tumor].mean() > pixels[tumor].mean() + 80
    assert set(np.unique(annotation)) == {TUMOR_NONE, TUMOR_MASK}
    assert (edited != pixels).sum() < 5 * tumor.sum()


def test_paste_refuses_a_place_outside_of_the_head():
    assert paste(np.zeros((128, 128), np.uint8), *paint(0), rng()) is None


def test_paste_needs_a_mask():
    pixels, annotation = paint(0)
    boxed = np.where(annotation > 0, TUMOR_BOX, TUMOR_NONE).astype(np.uint8)
    assert paste(paint(1, tumor=False)[0], pixels, boxed, rng()) is None


@pytest.mark.parametrize("seed", range(12))
def test_a_decoy_leaves_the_tumor_alone(seed):
    pixels, annotation = paint(seed)
    other = paint(50 + seed)[1] > 0
    edited = leave_decoy(pixels, annotation, other, rng(seed))
    tumor = annotation > 0
    # The guard around a tumor falls off smoothly; two grey levels of it reach the rim.
    assert np.abs(edited[tumor].astype(int) - pixels[tumor]).max() <= 6
    mirrored = tumor[:, ::-1]
    assert edited[~tumor & ~mirrored].max() <= max(230, pixels[~tumor].max() + 20)


def test_a_decoy_changes_pictures_and_mirrors_no_tumor_into_them():
    pixels, annotation = paint(1)
    brain = np.zeros_like(annotation, bool)
    brain[40:90, 35:93] = True
    far = brain & (np.abs(np.indices(annotation.shape)[1] - np.nonzero(annotation)[1].mean()) > 30)
    changed = 0
    for seed in range(10):
        edited = leave_decoy(pixels, annotation, annotation[:, ::-1] > 0, rng(seed))
        changed += (edited != pixels).any()
        assert edited[far].max() < 150
    assert changed >= 6


def test_edits_repeat_with_their_generator_and_keep_what_they_are_given():
    pixels, annotation = paint(3)
    before = pixels.copy(), annotation.copy()
    np.testing.assert_array_equal(
        heal(pixels, annotation, rng(5)), heal(pixels, annotation, rng(5))
    )
    leave_decoy(pixels, annotation, annotation > 0, rng(5))
    paste(pixels, pixels, annotation, rng(5))
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(annotation, before[1])


@pytest.mark.parametrize("dark", [True, False])
def test_a_painted_lesion_is_darker_or_brighter_where_its_marks_are(dark):
    image, _ = paint(3, tumor=False)
    _, annotation = paint(4)
    found = [paint_lesion(image, annotation == TUMOR_MASK, dark, rng(seed)) for seed in range(12)]
    painted = [one for one in found if one is not None]
    assert painted
    for edited, made in painted:
        inside = made == TUMOR_MASK
        assert inside.any()
        np.testing.assert_array_equal(edited[~_near(inside)], image[~_near(inside)])
        assert (np.median(edited[inside]) < np.median(image[inside])) == dark


def test_no_lesion_is_painted_outside_of_the_head():
    image = np.zeros((64, 64), np.uint8)
    shape = np.zeros((64, 64), bool)
    shape[20:30, 20:30] = True
    assert paint_lesion(image, shape, True, rng()) is None


def _near(inside):
    """Inside, or within the reach of the feather."""
    padded = np.pad(inside, 8)
    shifted = [np.roll(padded, (y, x), (0, 1)) for y in range(-8, 9) for x in range(-8, 9)]
    return np.any(shifted, axis=0)[8:-8, 8:-8]
