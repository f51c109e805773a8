"""Where a training picture shows brain, as far as it is known, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from tumorlens.data.rows import Row
from tumorlens.errors import InputError
from tumorlens.imaging.pixels.voxels import BLANK
from tumorlens.imaging.preprocess import Prepared, place
from tumorlens.imaging.readers import read_mask
from tumorlens.training.rows.codes import BRAIN_NONE, BRAIN_SHOWN, BRAIN_UNKNOWN, TUMOR_MASK

__all__ = ["find_brain"]

ByteImage = npt.NDArray[np.uint8]

_TISSUE = 10  # of 255: what is darker, in a picture of a brain that was cut out, lies outside
_EMPTY = 5  # of 255: darker pixels are air
_GAP = 0.028  # share of the side that is closed inside of a brain: ventricles and grooves
_FAR = 0.075  # share of the side around air that must be air, too, to lie outside of the head


def find_brain(
    row: Row, prepared: Prepared, image: ByteImage, annotation: ByteImage, shape: tuple[int, ...]
) -> ByteImage:
    """Codes of the brain, (S, S) uint8.

    A mask of the brain tells every pixel, and so does a picture whose skull was cut away. Elsewhere
    it is known only that tumors lie in the brain and that the air around the head does not.

    Args:
        row: what is known of the slice.
        prepared: the slice as the network takes it.
        image: the same, 0 to 255.
        annotation: (S, S), codes of the tumor.
        shape: of the slice, in pixels.

    Raises:
        InputError: the mask cannot be read, or has another size than the slice.
    """
    if row.brain is not None:
        drawn = _read_mask(row.brain, row.brain_frame, shape) > 0
        inside = place(drawn.astype(np.uint8), prepared) > 0
        return np.where(inside, BRAIN_SHOWN, BRAIN_NONE).astype(np.uint8)
    if row.skull == "off":
        tissue = _close(Image.fromarray(((image > _TISSUE) * 255).astype(np.uint8)))
        return np.where(tissue, BRAIN_SHOWN, BRAIN_NONE).astype(np.uint8)
    brain = np.full(image.shape, BRAIN_UNKNOWN, np.uint8)
    brain[_find_air(image)] = BRAIN_NONE
    brain[annotation == TUMOR_MASK] = BRAIN_SHOWN
    return brain


def _read_mask(file: Path, frame: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    try:
        return read_mask(file, frame, shape).pixels
    except InputError as error:
        if error.reason != BLANK:
            raise
        return np.zeros(shape, np.float32)  # a slice without brain has an empty mask


def _close(picture: Image.Image) -> npt.NDArray[np.bool_]:
    window = 2 * round(_GAP * picture.width) + 1
    grown = picture.filter(ImageFilter.MaxFilter(window))
    closed: npt.NDArray[np.bool_] = np.asarray(grown.filter(ImageFilter.MinFilter(window))) > 0
    return closed


def _find_air(image: ByteImage) -> npt.NDArray[np.bool_]:
    bright = Image.fromarray(((image > _EMPTY) * 255).astype(np.uint8))
    blurred = bright.filter(ImageFilter.BoxBlur(round(_FAR * bright.width)))
    air: npt.NDArray[np.bool_] = np.asarray(blurred) == 0
    return air
