"""What a data set lacks to be decoded, filled in where only one value makes sense.

These elements are required (PS3.3, C.7.6.3), and decoders ask for them. Files of converters and of
anonymisers leave some out, and viewers show them all the same.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

from tumorlens.imaging.dicom.elements import DataSet, read_floats, read_text
from tumorlens.imaging.dicom.objects import count_frames
from tumorlens.imaging.files.refusal import tell

__all__ = ["complete_pixels", "count_bits_below", "is_plain", "is_wrapped"]

_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLORS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "YBR_PARTIAL_420")
_SPELLINGS = {re.sub(r"\W|_", "", name): name for name in (*_GREY, *_COLORS)}
"""Photometric interpretations (PS3.3, C.7.6.3.1.2), by their letters and digits."""

_ITEM, _END = b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0"  # (FFFE,E000) and (FFFE,E0DD), little endian
_SIZES = (8, 16, 32)  # bits of a stored pixel


def complete_pixels(dataset: DataSet) -> DataSet:
    """The data set itself, or a copy with what it lacks; what was filled in is noted.

    Args:
        dataset: with its pixels; one without Rows shows no picture, and stays as it is.
    """
    missing = dict(_find_missing(dataset)) if "Rows" in dataset else {}
    if not missing:
        return dataset
    completed = copy.deepcopy(dataset)  # the caller may go on with his own
    for keyword, value in missing.items():
        setattr(completed, keyword, value)
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword)
        tell(f"the header states no valid {name}: taken as {value}")
    return completed


def is_plain(dataset: DataSet) -> bool:
    """Whether the pixels are not compressed, though the transfer syntax says so.

    Programs that unpack an image do not always say it. Compressed pixels are items (PS3.5, A.4).
    """
    pixels = dataset.get("PixelData")
    return bool(pixels and _is_packed(dataset) and pixels[:4] != _ITEM)


def is_wrapped(dataset: DataSet) -> bool:
    """Whether the pixels are items, as compressed ones, though no transfer syntax says so.

    Anonymisers and archives lose or replace it. What follows the first item tells the tags from
    pixels that have their values by chance.
    """
    pixels = dataset.get("PixelData")
    if not pixels or pixels[:4] != _ITEM or _is_packed(dataset):
        return False
    behind = 8 + int.from_bytes(pixels[4:8], "little")
    return pixels[behind : behind + 4] in (_ITEM, _END)


def count_bits_below(dataset: DataSet) -> int:
    """Bits of a stored pixel below the lowest that belongs to its value; 0 as a rule.

    High Bit is Bits Stored - 1 by today's standard. Older files have their values further up.
    """
    numbers = [read_floats(dataset, key, 1) for key in ("BitsAllocated", "BitsStored", "HighBit")]
    if None in numbers:
        return 0
    allocated, stored, high = (int(number[0]) for number in numbers if number)
    return high + 1 - stored if 0 < stored <= high < allocated else 0


def _find_missing(dataset: DataSet) -> Iterator[tuple[str, str | int]]:
    stated = read_text(dataset, "PhotometricInterpretation")
    colors = _SPELLINGS.get(re.sub(r"\W|_", "", stated.upper()))
    samples = _read_number(dataset, "SamplesPerPixel")
    if not samples:
        samples = 3 if colors in _COLORS else 1
        yield "SamplesPerPixel", samples
    if not stated:
        colors = _guess_colors(dataset, samples)
    if colors == "YBR_FULL_422" and _has_all_colors(dataset):
        colors = "YBR_FULL"
    if colors and colors != stated:
        yield "PhotometricInterpretation", colors
    if samples > 1 and _read_number(dataset, "PlanarConfiguration") is None:
        yield "PlanarConfiguration", 0
    count = count_frames(dataset)
    if count > 1 and _read_number(dataset, "NumberOfFrames") != count:
        yield "NumberOfFrames", count
    if "PixelData" in dataset:
        yield from _find_missing_bits(dataset, samples)


def _guess_colors(dataset: DataSet, samples: int) -> str:
    if samples > 1:
        return "RGB"
    palette = "RedPaletteColorLookupTableDescriptor" in dataset
    return "PALETTE COLOR" if palette else "MONOCHROME2"


def _has_all_colors(dataset: DataSet) -> bool:
    """Whether each pixel has colors of its own; of those that share them there are a third less."""
    size = [_read_number(dataset, keyword) or 0 for keyword in ("Rows", "Columns")]
    whole = 3 * size[0] * size[1] * count_frames(dataset)
    return len(dataset.get("PixelData") or b"") in (whole, whole + 1) and not _is_packed(dataset)


def _is_packed(dataset: DataSet) -> bool:
    stated = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    return bool(stated and stated.is_encapsulated)


def _find_missing_bits(dataset: DataSet, samples: int) -> Iterator[tuple[str, int]]:
    allocated = _read_number(dataset, "BitsAllocated")
    if not allocated:
        allocated = _guess_bits(dataset, samples)
        if allocated:
            yield "BitsAllocated", allocated
    if allocated and not _read_number(dataset, "BitsStored"):
        yield "BitsStored", allocated
    if _read_number(dataset, "PixelRepresentation") is None:
        yield "PixelRepresentation", 0


def _guess_bits(dataset: DataSet, samples: int) -> int | None:
    """Bits of a stored pixel, where the length of uncompressed pixel data tells."""
    size = [_read_number(dataset, keyword) or 0 for keyword in ("Rows", "Columns")]
    count = size[0] * size[1] * samples * count_frames(dataset)
    length = len(dataset.get("PixelData") or b"")
    fits = (bits for bits in _SIZES if length - 1 <= count * bits // 8 <= length)
    return next(fits, None) if count else None


def _read_number(dataset: DataSet, keyword: str) -> int | None:
    values = read_floats(dataset, keyword, 1)
    return int(values[0]) if values else None
