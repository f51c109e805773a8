"""One frame of a DICOM object becomes an array. With `dicom`, the only door to pydicom.

Values are those after the modality rescale (per frame where the object says so); MONOCHROME1 is
inverted, so that larger is brighter everywhere; palettes and colors become luma; padding pixels
become background.
"""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tumorlens.errors import InputError
from tumorlens.imaging.codestreams import read_size
from tumorlens.imaging.headers import FrameHeader
from tumorlens.imaging.limits import Limits
from tumorlens.imaging.objects import count_frames
from tumorlens.imaging.sandbox import Sandbox, serve
from tumorlens.imaging.voxels import to_luminance

__all__ = ["decode_frame", "main"]

Pixels = npt.NDArray[Any]

# This decoder writes to the terminal otherwise; what it says comes in the error anyway.
logging.getLogger("openjpeg").addHandler(logging.NullHandler())

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
"""One decoder a transfer syntax. GDCM, the only one for lossless JPEG and JPEG-LS, aborts the whole
process on some damaged frames and so runs in a sandbox; the others raise, and are preferred."""
_PIXEL_KEYWORDS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_RLE_GROWTH = 128 // 2
"""Two bytes of RLE make at most 128: PS3.5, G.3.2."""
_gdcm = Sandbox("tumorlens.imaging.decoding")


def decode_frame(header: FrameHeader, path: str, limits: Limits) -> Pixels:
    """One frame as (rows, columns): the scanner's values, or luma of colors.

    Raises:
        InputError: the compressed frame contradicts the data set, or asks for too much.
        Exception: whatever the decoder raises.
    """
    dataset = header.dataset
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_codestream(header, path, limits)
    values = _decompress(header)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return to_luminance(apply_color_lut(values, dataset))
    if values.ndim == 3:
        return to_luminance(values)
    _check_slope(values, header, path)
    grey = _rescale(values, header)
    if header.padding is None:
        return grey
    outside = (values >= header.padding[0]) & (values <= header.padding[1])
    inside = np.where(outside, np.float32(np.inf), grey).min()
    return np.where(outside, min(np.float32(0), inside), grey) if np.isfinite(inside) else grey


def _decompress(header: FrameHeader) -> Pixels:
    plugin = _PLUGINS.get(header.dataset.file_meta.TransferSyntaxUID, "")
    if plugin == "gdcm":
        return _decode_apart(header)
    values: Pixels = pixel_array(header.dataset, index=header.index, decoding_plugin=plugin)
    return values


def _check_codestream(header: FrameHeader, path: str, limits: Limits) -> None:
    """Refuse a compressed frame that states another size than the data set: decoders trust it."""
    dataset = header.dataset
    frame = get_frame(dataset.PixelData, header.index, number_of_frames=count_frames(dataset))
    shape, size = (dataset.Rows, dataset.Columns), read_size(frame)
    if size is not None and size != shape:
        found, expected = f"{size[1]} x {size[0]}", f"{shape[1]} x {shape[0]}"
        raise InputError(
            path, f"holds {found} pixels where {expected} are stated", "export it anew"
        )
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        limits.check_memory(path, _RLE_GROWTH * len(frame))


def _decode_apart(header: FrameHeader) -> Pixels:
    """A frame decoded by GDCM, in its own process."""
    whole, alone = header.dataset, Dataset()
    for keyword in _PIXEL_KEYWORDS:
        if keyword in whole:
            setattr(alone, keyword, whole[keyword].value)
    frame = get_frame(whole.PixelData, header.index, number_of_frames=count_frames(whole))
    alone.PixelData = encapsulate([frame])
    alone["PixelData"].is_undefined_length = True
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = whole.file_meta.TransferSyntaxUID
    request = io.BytesIO()
    pydicom.dcmwrite(request, alone)
    pixels: Pixels = np.load(io.BytesIO(_gdcm.call(request.getvalue())), allow_pickle=False)
    return pixels


def _decode_request(request: bytes) -> bytes:
    """A data set of one frame in, its pixels out, as `numpy.save` writes them."""
    dataset = pydicom.dcmread(io.BytesIO(request), force=True)
    answer = io.BytesIO()
    np.save(answer, pixel_array(dataset, index=0, decoding_plugin="gdcm"), allow_pickle=False)
    return answer.getvalue()


def main() -> None:
    """What runs in the sandbox."""
    serve(_decode_request)


def _check_slope(values: Pixels, header: FrameHeader, path: str) -> None:
    """Refuse a slope of 0 over pixels that differ: it would show one grey."""
    if header.rescale[0] == 0 and values.size and values.min() < values.max():
        raise InputError(
            path,
            "states a Rescale Slope of 0, which makes all its pixels one value",
            "mend or remove the Rescale Slope (0028,1053), or export it anew",
        )


def _rescale(values: Pixels, header: FrameHeader) -> Pixels:
    """Modality LUT or rescale (PS3.3, C.11.1), then MONOCHROME1 turned to larger = brighter."""
    dataset = header.dataset
    slope, intercept = header.rescale
    if dataset.get("ModalityLUTSequence"):
        values = apply_modality_lut(values, dataset)
        slope, intercept = 1.0, 0.0
    elif (slope, intercept) != (1.0, 0.0):
        values = values.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    if dataset.PhotometricInterpretation != "MONOCHROME1":
        return values
    # Mirrored in the range of the stored bits, not of this frame: all slices stay comparable.
    ends = -1 if dataset.PixelRepresentation else 2**dataset.BitsStored - 1
    return np.float32(slope * ends + 2 * intercept) - values.astype(np.float32)
