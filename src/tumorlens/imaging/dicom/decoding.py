"""One frame of a DICOM object becomes an array. With `dicom`, the only door to pydicom.

Values are those after the modality rescale (per frame where the object says so); MONOCHROME1 is
inverted, so that larger is brighter everywhere; palettes and colors become luma; padding pixels
become background.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.imaging.codecs.apart import decode_frames
from tumorlens.imaging.codecs.codestreams import read_codestream_header
from tumorlens.imaging.codecs.sandbox import Lost
from tumorlens.imaging.dicom.completion import count_bits_below
from tumorlens.imaging.dicom.headers import FrameHeader
from tumorlens.imaging.dicom.objects import count_frames
from tumorlens.imaging.files.limits import BYTES_PER_PIXEL, Limits
from tumorlens.imaging.files.refusal import tell
from tumorlens.imaging.files.shadows import hide_shadows
from tumorlens.imaging.pixels.voxels import to_luminance

with hide_shadows():
    from pydicom.encaps import generate_frames
    from pydicom.pixels import apply_color_lut, apply_modality_lut, as_pixel_options, pixel_array

__all__ = ["Frames", "decode_frame"]

Pixels = npt.NDArray[Any]
_OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
_JPEG = "1.2.840.10008.1.2.4."
_SYNTAXES = {
    "JPEG": ("50", "51"),
    "lossless JPEG": ("70", "57"),
    "JPEG-LS": ("80", "81"),
    "JPEG 2000": ("90", "91", "92", "93", "201", "202", "203"),
}
"""How a codestream is compressed -> ends of the transfer syntaxes that say so; PS3.5, A.4."""
_MOST, _AT_ONCE = 64, 32 * 2**20
"""Frames, and bytes that decoding them takes, in one question to a helper process."""


class Frames:
    """The frames of a data set as they are stored, each to be taken once.

    Compressed ones are decoded several at a time, and found once for all: where no table tells
    their places, all fragments have to be looked through to find one frame.

    Args:
        dataset: with its pixels.
        path: names the file in errors.
        limits: what decoding may cost.
    """

    def __init__(self, dataset: Any, path: str, limits: Limits) -> None:
        self._dataset, self._path, self._limits = dataset, path, limits
        self._count = count_frames(dataset)
        self._most = _MOST
        self._last: int | None = None
        self._found: Iterator[tuple[int, bytes]] = iter(())
        self._passed = self._count
        self._waiting: dict[int, bytes] = {}
        self._kept = 0
        self._decoded: dict[int, Pixels] = {}

    def take(self, index: int) -> Pixels:
        """Values of a frame: (rows, columns), or (rows, columns, samples).

        Raises:
            InputError: it contradicts the data set, or asks for too much.
            Exception: whatever the decoder raises.
        """
        if not self._dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            with self._limits.reserve(self._path, self._needed):
                return self._take_plain(index)
        if index not in self._decoded:
            self._decoded = self._decode(index)
        self._last = index
        self._kept -= len(self._waiting.pop(index, b""))
        return self._decoded.pop(index)

    def _take_plain(self, index: int) -> Pixels:
        """An uncompressed frame; bits below and above its values are left out."""
        dataset, below = self._dataset, count_bits_below(self._dataset)
        if "PixelData" not in dataset:
            floats: Pixels = pixel_array(dataset, index=index)  # all of their bits count
            return floats
        allocated, stored = (int(dataset.get(key) or 0) for key in ("BitsAllocated", "BitsStored"))
        if below:
            raised: Pixels = pixel_array(dataset, index=index, bits_stored=stored + below)
            if not _lies_low(raised, stored, below):
                return raised >> below
            tell("High Bit contradicts the pixels: it is ignored")
        if not 0 < stored < allocated:
            values: Pixels = pixel_array(dataset, index=index)
            return values
        whole: Pixels = pixel_array(dataset, index=index, bits_stored=allocated)
        return _leave_out_above(whole, stored, allocated - stored)

    @property
    def _needed(self) -> int:
        """Bytes that decoding a frame may take."""
        return BYTES_PER_PIXEL * math.prod(_shape(self._dataset))

    def _decode(self, index: int) -> dict[int, Pixels]:
        """A frame, and those that will be asked for next."""
        codestreams = self._gather(index)
        options = as_pixel_options(self._dataset, number_of_frames=1, pixel_keyword="PixelData")
        options.pop("extended_offsets", None)
        syntax = _find_syntax(self._dataset, codestreams[index])
        try:
            values = decode_frames(
                list(codestreams.values()),
                syntax,
                options,
                self._needed,
                path=self._path,
                limits=self._limits,
            )
        except Lost:
            if len(codestreams) == 1:
                raise
            self._most = 1  # the frames before the one that did it are good
            return self._decode(index)
        return dict(zip(codestreams, values, strict=False))

    def _gather(self, index: int) -> dict[int, bytes]:
        """Codestreams of frames; all but the first are sound as far as can be seen."""
        first, *others = self._guess(index)
        gathered = {first: self._find(first)}
        if reason := _contradict(self._dataset, gathered[first]):
            raise InputError(self._path, reason, "export it anew")
        for other in others:
            try:
                one = self._find(other)
            except Exception:  # in its turn
                break
            if _contradict(self._dataset, one) or sum(map(len, gathered.values())) > _AT_ONCE:
                break
            gathered[other] = one
        return gathered

    def _guess(self, index: int) -> Sequence[int]:
        """A frame and those after it, in steps as before."""
        step = (index - self._last if self._last is not None else 0) or 1
        if self._last is None and index == self._count - 1:
            step = -1  # from the last to the first
        room = min(_AT_ONCE, self._limits.memory_bytes // 2) // max(1, self._needed)
        most = max(1, min(room, self._most))
        return range(index, self._count if step > 0 else -1, step)[:most]

    def _find(self, index: int) -> bytes:
        """A frame, its fragments joined; frames that are passed on the way wait for their turn."""
        if index not in self._waiting and index < self._passed:
            self._found, self._passed = enumerate(_generate(self._dataset)), 0
        while index not in self._waiting:
            place, frame = next(self._found, (-1, b""))
            if place < 0:
                raise EOFError(f"frame {index} is missing")
            if self._kept > self._limits.memory_bytes // 4:
                self._waiting, self._kept = {}, 0  # and look for them again
            self._waiting[place], self._passed = frame, place + 1
            self._kept += len(frame)
        return self._waiting[index]


def decode_frame(header: FrameHeader, frames: Frames, path: str) -> Pixels:
    """A frame of ``frames`` as (rows, columns): the scanner's values, or luma of colors.

    Raises:
        InputError: the frame contradicts the data set, or asks for too much.
        Exception: whatever the decoder raises.
    """
    dataset, values = header.dataset, frames.take(header.index)
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


def _lies_low(values: Pixels, stored: int, below: int) -> bool:
    """Whether values do not use the bits that High Bit names, and use those below."""
    fits = -(2 ** (stored - 1)) <= values.min() and values.max() < 2**stored
    return bool(fits and (values & (2**below - 1)).any())


def _leave_out_above(values: Pixels, stored: int, above: int) -> Pixels:
    """Values without their highest bits, unless they are part of them: then they lie smoother.

    By the standard (PS3.5, 8.1.1) these bits mean nothing, and old files keep overlays in them.
    Some files state too few Bits Stored, and white becomes black where the bits are left out.
    """
    kept: Pixels = (values << above) >> above
    if np.array_equal(kept, values):
        return kept
    if _vary(values) < _vary(kept):
        tell("the pixels use more bits than Bits Stored says: all are read")
        return values
    if values.min() < 0 or values.max() >= 2**stored:  # else it is a sign that ends there
        tell("bits above Bits Stored hold something else, such as an overlay: they are left out")
    return kept


def _vary(values: Pixels) -> float:
    """Sum of the steps between neighbours in a row."""
    return float(np.abs(np.diff(values.astype(np.float64), axis=1)).sum())


def _generate(dataset: Any) -> Iterator[bytes]:
    tables = [dataset[key].value for key in _OFFSETS if key in dataset]
    frames: Iterator[bytes] = generate_frames(
        dataset.PixelData,
        number_of_frames=count_frames(dataset),
        extended_offsets=(tables[0], tables[1]) if len(tables) == 2 else None,
    )
    return frames


def _find_syntax(dataset: Any, codestream: bytes) -> str:
    """The transfer syntax, as the frame itself says where the data set says otherwise."""
    stated, header = dataset.file_meta.TransferSyntaxUID, read_codestream_header(codestream)
    ends = _SYNTAXES.get(header.kind, ()) if header else ()
    if not ends or stated.removeprefix(_JPEG) in ends:
        return str(stated)
    tell(f"the pixels are {header.kind if header else ''}, not what the transfer syntax says")
    return _JPEG + ends[0]


def _contradict(dataset: Any, codestream: bytes) -> str:
    """How a frame contradicts its data set, in a phrase: decoders trust the data set."""
    shape, stated = _shape(dataset)[:2], read_codestream_header(codestream)
    if stated is None:
        return ""
    if stated[:2] != shape:
        return (
            f"holds {stated.columns} x {stated.rows} pixels where {shape[1]} x {shape[0]} are "
            "stated"
        )
    if stated.bits > dataset.BitsAllocated:
        return f"holds pixels of {stated.bits} bits where {dataset.BitsAllocated} are stated"
    return ""


def _shape(dataset: Any) -> tuple[int, int, int]:
    """Rows, columns, samples."""
    return int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel") or 1)


def _check_slope(values: Pixels, header: FrameHeader, path: str) -> None:
    """Refuse a slope of 0 over pixels that differ: it would show one grey."""
    if header.rescale[0] == 0 and values.size and values.min() < values.max():
        raise InputError(
            path,
            "states a Rescale Slope of 0, which makes all its pixels one value",
            "mend or remove the Rescale Slope (0028,1053), or export it again",
        )


def _rescale(values: Pixels, header: FrameHeader) -> Pixels:
    """Modality LUT or rescale (PS3.3, C.11.1), then MONOCHROME1 turned to larger = brighter."""
    dataset = header.dataset
    slope, intercept = header.rescale
    if dataset.get("ModalityLUTSequence"):
        values = apply_modality_lut(values, dataset)
        slope, intercept = 1.0, 0.0
    elif (slope, intercept) != (1.0, 0.0):
        if slope < 0:
            tell("a negative Rescale Slope swaps dark and bright")
        values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
        values = values * values.dtype.type(slope) + values.dtype.type(intercept)
    if dataset.PhotometricInterpretation != "MONOCHROME1":
        return values
    # Mirrored in the range of the stored bits, not of this frame: all slices stay comparable.
    ends = -1 if dataset.PixelRepresentation else 2**dataset.BitsStored - 1
    return np.float32(slope * ends + 2 * intercept) - values.astype(np.float32)
