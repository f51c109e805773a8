"""Augmentation: drawn first, then applied; annotation go where the picture goes."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from tumorlens.training.choices import AugmentationChoice
from tumorlens.training.learning.augment import apply_augmentations, draw_augmentation

EVERYTHING = AugmentationChoice(
    rotation=20, scale=0.15, stretch=0.1, shift=0.06, mirror=0.5, upside_down=0.3, gamma=0.6,
    brightness=0.1, contrast=0.15, bias_field=0.3, noise=0.04, blur=0.5, invert=0.3, erase=0.5,
)  # fmt: skip
NOTHING = draw_augmentation(np.random.default_rng(0), AugmentationChoice())


def draw(seed, choice=EVERYTHING):
    return draw_augmentation(np.random.default_rng(seed), choice)


def make_images(count=1, side=64):
    """A grey head with a bright square off the middle, and that square as annotation."""
    images, annotation = torch.zeros(count, 1, side, side), torch.zeros(count, 1, side, side)
    images[:, :, 8:56, 8:56] = 0.4
    images[:, :, 18:28, 34:46] = 0.9
    annotation[:, :, 18:28, 34:46] = 1
    return images, annotation


def test_a_draw_depends_on_its_generator_alone():
    for field in fields(draw(3)):
        np.testing.assert_array_equal(getattr(draw(3), field.name), getattr(draw(3), field.name))
    assert not np.array_equal(draw(3).affine, draw(4).affine)


def test_a_draw_can_be_replayed_on_other_pictures():
    images, annotation = make_images(2)
    changes = [draw(1), draw(2)]
    torch.manual_seed(0)
    once = apply_augmentations(images, annotation, changes)
    torch.manual_seed(99)
    again = apply_augmentations(images.clone(), annotation.clone(), changes)
    assert torch.equal(once[0], again[0])
    assert torch.equal(once[1], again[1])
    assert torch.equal(images, make_images(2)[0])  # what came in is left alone


def test_a_picture_does_not_depend_on_its_neighbours():
    images, annotation = make_images(3)
    changes = [draw(5), draw(6), draw(7)]
    together, _ = apply_augmentations(images, annotation, changes)
    for index, change in enumerate(changes):
        alone, _ = apply_augmentations(images[:1], annotation[:1], [change])
        torch.testing.assert_close(alone[0], together[index], atol=1e-6, rtol=0)


def test_an_empty_choice_changes_nothing():
    images, annotation = make_images()
    changed, moved = apply_augmentations(images, annotation, [NOTHING])
    torch.testing.assert_close(changed, images, atol=1e-5, rtol=0)
    assert torch.equal(moved, annotation)


@pytest.mark.parametrize("seed", range(40))
def test_images_stay_in_range_and_marks_keep_their_codes(seed):
    images, annotation = make_images()
    changed, moved = apply_augmentations(images, 3 * annotation, [draw(seed)])
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.isfinite(changed).all()
    assert set(moved.unique().tolist()) <= {0.0, 3.0}


@pytest.mark.parametrize("seed", range(10))
def test_marks_move_with_the_image(seed):
    choice = AugmentationChoice(
        rotation=30, scale=0.2, stretch=0.1, shift=0.05, mirror=0.5, upside_down=0.5
    )
    changed, moved = apply_augmentations(*make_images(), [draw(seed, choice)])
    bright, marked = changed[0, 0] > 0.65, moved[0, 0] == 1
    assert marked.sum() > 40
    assert (bright & marked).sum() > 0.85 * (bright | marked).sum()


def test_mirror_and_upside_down_are_exact():
    images, annotation = make_images()
    linear = {"mirror": (-1, 1), "upside": (1, -1)}
    for axis, (x, y) in zip((3, 2), linear.values(), strict=True):
        change = replace(NOTHING, affine=np.array([[x, 0, 0], [0, y, 0]], np.float32))
        changed, moved = apply_augmentations(images, annotation, [change])
        torch.testing.assert_close(changed, images.flip(axis), atol=1e-5, rtol=0)
        assert torch.equal(moved, annotation.flip(axis))


def test_intensity_changes_leave_the_background_black():
    images, annotation = make_images()
    change = replace(NOTHING, exponent=0.5, gain=1.2, lift=0.1)
    changed, _ = apply_augmentations(images, annotation, [change])
    assert (changed[images == 0] == 0).all()
    expected = (0.4**0.5 - 0.5) * 1.2 + 0.5 + 0.1
    assert changed[0, 0, 50, 30].item() == pytest.approx(expected, abs=1e-5)


def test_inversion_turns_contrast_around_inside_the_head():
    changed, _ = apply_augmentations(*make_images(), [replace(NOTHING, invert=True)])
    assert changed[0, 0, 0, 0] == 0
    assert changed[0, 0, 50, 30].item() == pytest.approx(0.65, abs=1e-5)
    assert changed[0, 0, 22, 40].item() == pytest.approx(0.15, abs=1e-5)


def test_an_erased_rectangle_has_one_value():
    change = replace(NOTHING, erased=(0.25, 0.0, 0.75, 0.125, 1.0))
    changed, moved = apply_augmentations(*make_images(), [change])
    assert (changed[0, 0, :8, 16:48] == 1).all()
    assert (changed[0, 0, 8:16, :8] == 0).all()
    assert torch.equal(moved, make_images()[1])


@pytest.mark.parametrize("seed", range(20))
def test_rectangles_lie_at_the_border_inside_the_picture(seed):
    erased = draw(seed, AugmentationChoice(erase=1.0)).erased
    x0, y0, x1, y1, value = erased
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1
    assert 0 <= value <= 1
    assert x0 == 0 or y0 == 0 or x1 == 1 or y1 == 1
