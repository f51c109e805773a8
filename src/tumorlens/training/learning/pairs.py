"""Counterfactual pairs: images edited so that the source does not predict the label.

A tumor on one side is covered by the mirrored other side: the image is then an example without
tumor. A tumor is copied into an image without one, or painted in the shape of another patient's
tumor. A decoy has the same editing artefacts without a change of label. All edits use prepared
images, in which heads are centred in the same way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from tumorlens.training.rows.codes import TUMOR_MASK, TUMOR_NONE, TUMOR_UNKNOWN

__all__ = ["heal", "leave_decoy", "paint", "paste"]

ByteImage = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]

_HEAD = 20  # of 255: brighter pixels belong to the head
_ALIKE = 0.55  # correlation of the two sides that a mirrored patch needs


def heal(image: ByteImage, annotation: ByteImage, rng: np.random.Generator) -> ByteImage | None:
    """Cover a lateral tumor by the mirrored other side.

    Args:
        image: (S, S), 0 to 255.
        annotation: (S, S), codes of the annotation.
        rng: chooses how far the patch reaches beyond the tumor.

    Returns:
        The picture without tumor, or None where the tumor crosses the midline, is too large,
        or the two sides are too unlike (sagittal slices, tilted heads).
    """
    tumor = annotation != TUMOR_NONE
    area = np.count_nonzero(tumor)
    if not 0 < area < 0.15 * tumor.size or (annotation == TUMOR_UNKNOWN).any():
        return None
    mirrored, mirrored_tumor = _mirror(image, tumor)
    if np.count_nonzero(tumor & mirrored_tumor) > 0.02 * area:
        return None
    if _correlate(image, mirrored, ~(tumor | mirrored_tumor)) < _ALIKE:
        return None
    return _blend(image, mirrored, _feather(tumor, grow=int(rng.integers(4, 9))))


def paste(
    image: ByteImage, donor: ByteImage, donor_annotation: ByteImage, rng: np.random.Generator
) -> tuple[ByteImage, ByteImage] | None:
    """Copy a donor's tumor into a picture without one, near the place where it stood.

    Returns:
        The picture with the tumor, and its annotation; None where the place lies outside the head.
    """
    shift = rng.integers(-8, 9, 2)
    flip = bool(rng.random() < 0.5)
    moved, tumor = _move(donor, shift, flip), _move(donor_annotation, shift, flip) == TUMOR_MASK
    area = np.count_nonzero(tumor)
    if not 0 < area < 0.2 * tumor.size or np.mean(image[tumor] > _HEAD) < 0.9:
        return None
    edited = _blend(image, moved, _feather(tumor, grow=int(rng.integers(1, 5))))
    return edited, np.where(tumor, TUMOR_MASK, TUMOR_NONE).astype(np.uint8)


def paint(
    image: ByteImage, shape: npt.NDArray[np.bool_], dark: bool, rng: np.random.Generator
) -> tuple[ByteImage, ByteImage] | None:
    """Paint a lesion into a picture without one, in the shape of another picture's tumor.

    Few tumors without enhancement stand in public T1 slices: a patch of smoothly uneven tissue,
    darker or brighter than what it replaces, stands for them; a third has a bright rim.

    Args:
        image: (S, S), 0 to 255.
        shape: (S, S), outline of the tumor.
        dark: whether the lesion is darker than tissue, as on T1, or brighter, as on FLAIR.
        rng: chooses place, level, unevenness and rim.

    Returns:
        The picture with the lesion, and its annotation; None where the place lies outside the head.
    """
    tumor = _move(shape.astype(np.uint8), rng.integers(-12, 13, 2), bool(rng.random() < 0.5)) > 0
    area = np.count_nonzero(tumor)
    if not 0 < area < 0.15 * tumor.size or np.mean(image[tumor] > _HEAD) < 0.95:
        return None
    weights = _feather(tumor, grow=1)
    level = float(np.median(image[tumor])) * rng.uniform(*((0.4, 0.85) if dark else (1.25, 2.0)))
    uneven = Image.fromarray(rng.uniform(0.8, 1.2, (7, 7)).astype(np.float32))
    texture = np.asarray(uneven.resize(image.shape[::-1], Image.Resampling.BICUBIC))
    target = image.astype(np.float32)
    target += rng.uniform(0.55, 0.95) * weights * (level * texture - target)
    if rng.random() < 1 / 3:
        rim = np.clip(weights * (1 - weights) * 4, 0, 1)
        target += rng.uniform(0.3, 1.0) * rim * (255 - target) * 0.7
    edited = np.clip(np.rint(target), 0, 255).astype(np.uint8)
    return edited, np.where(tumor, TUMOR_MASK, TUMOR_NONE).astype(np.uint8)


def leave_decoy(
    image: ByteImage, annotation: ByteImage, shape: npt.NDArray[np.bool_], rng: np.random.Generator
) -> ByteImage:
    """Replace a patch by the mirrored other side, away from any tumor; the label stays.

    Args:
        image, annotation: of the picture.
        shape: (S, S), outline of the patch: that of another picture's tumor.
    """
    moved = _move(shape.astype(np.uint8), rng.integers(-20, 21, 2), bool(rng.random() < 0.5))
    patch = moved > 0
    weights = _feather(patch, grow=int(rng.integers(1, 7)))
    weights *= 1 - _feather(annotation != TUMOR_NONE, grow=6)
    mirrored, mirrored_tumor = _mirror(image, annotation != TUMOR_NONE)
    weights *= 1 - _feather(mirrored_tumor, grow=6)
    return _blend(image, mirrored, weights)


def _mirror(
    image: ByteImage, tumor: npt.NDArray[np.bool_]
) -> tuple[ByteImage, npt.NDArray[np.bool_]]:
    """Both mirrored about the column through the middle of the head."""
    columns = np.flatnonzero((image > _HEAD).sum(axis=0) > 0.1 * image.shape[0])
    middle = (columns[0] + columns[-1]) if columns.size else image.shape[1] - 1
    shift = int(middle) - (image.shape[1] - 1)
    return np.roll(image[:, ::-1], shift, axis=1), np.roll(tumor[:, ::-1], shift, axis=1)


def _move(plane: ByteImage, shift: npt.NDArray[np.int64], flip: bool) -> ByteImage:
    """The image shifted by (rows, columns), and mirrored if ``flip``."""
    turned = plane[:, ::-1] if flip else plane
    return np.roll(turned, (int(shift[0]), int(shift[1])), axis=(0, 1))


def _feather(region: npt.NDArray[np.bool_], grow: int) -> Weights:
    """Weight 1 inside the region grown by ``grow`` pixels, falling smoothly to 0 around it."""
    if not region.any():
        return np.zeros(region.shape, np.float32)
    picture = Image.fromarray(region.astype(np.uint8) * 255)
    # A box blur is above 0 exactly where the region grown by a square reaches, and much faster
    # than a maximum filter.
    picture = picture.filter(ImageFilter.BoxBlur(grow)).point(lambda value: 255 * (value > 0))
    picture = picture.filter(ImageFilter.GaussianBlur(max(1.0, grow / 2)))
    weights: Weights = np.asarray(picture, np.float32) / np.float32(255)
    return weights


def _blend(image: ByteImage, patch: ByteImage, weights: Weights) -> ByteImage:
    """Lay ``patch`` over ``image``, with equal brightness at its border."""
    rim = (weights > 0.02) & (weights < 0.6)
    lift = float(image[rim].mean() - patch[rim].mean()) if rim.any() else 0.0
    target = image.astype(np.float32)
    target += weights * (patch.astype(np.float32) + lift - target)
    return np.clip(np.rint(target), 0, 255).astype(np.uint8)


def _correlate(first: ByteImage, second: ByteImage, where: npt.NDArray[np.bool_]) -> float:
    a, b = first[where].astype(np.float32), second[where].astype(np.float32)
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / max(1e-6, float(np.sqrt((a @ a) * (b @ b)))))
