"""pydicom's side of a compressed frame: one codestream in, its values out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.imaging.files.shadows import hide_shadows

with hide_shadows():
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder
    from pydicom.uid import (
        JPEG2000,
        ExplicitVRLittleEndian,
        JPEG2000Lossless,
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        RLELossless,
    )

__all__ = ["decode"]

# This decoder writes to the terminal otherwise; what it says comes in the error anyway.
logging.getLogger("openjpeg").addHandler(logging.NullHandler())

_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
"""Encapsulated Uncompressed Explicit VR Little Endian: wrapped as compressed frames are."""

_PLUGINS = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "gdcm",
    JPEGLSNearLossless: "gdcm",
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    RLELossless: "pylibjpeg",
}
"""One decoder a transfer syntax, so that a file gives the same pixels everywhere."""


def decode(syntax: str, options: Mapping[str, Any], codestream: bytes) -> npt.NDArray[Any]:
    """The values of a frame: (rows, columns), or (rows, columns, samples) for colors.

    Args:
        syntax: Transfer Syntax UID.
        options: what the data set says of its pixels, as pydicom names it.
        codestream: the frame, its fragments joined.
    """
    wrapped = syntax != _UNCOMPRESSED
    values, _ = get_decoder(syntax if wrapped else ExplicitVRLittleEndian).as_array(
        encapsulate([codestream]) if wrapped else codestream,
        index=0,
        decoding_plugin=_PLUGINS.get(syntax, ""),
        **{**options, "number_of_frames": 1},
    )
    return np.ascontiguousarray(values)
