"""What a header says about its voxels, and reading them: one volume at a time.

Never more is read than the file holds, so that a header that promises gigabytes costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.dicom.modality import doubt_extent
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.geometry import Arranged, arrange, choose_axis
from tumorlens.imaging.pixels.contrast import choose_evenly, measure_contrast
from tumorlens.imaging.pixels.voxels import choose_window, clean_pixels, to_luminance
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.volumes.content import LABELS, is_label_map, refuse_content
from tumorlens.imaging.volumes.spaces import Space
from tumorlens.imaging.volumes.streams import Bytes, check_end, is_plain, seek_voxels

__all__ = [
    "DAMAGED",
    "LARGEST_OFFSET",
    "Layout",
    "base_name",
    "color_type",
    "cut_volume",
    "find_content",
    "read_volumes",
]

LARGEST_OFFSET = 64 * 1024**2
"""Bytes that may come before the first voxel: extensions of a header."""

DAMAGED = "is a damaged volume"
_ADVICE = "copy or export it again"
_STEP = 1024**2
_PART = 128 * 1024  # voxels that are looked at in turn
_SINGLE = (1e-20, 1e20)  # slopes that single precision bears


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What a header says of its voxels.

    Attributes:
        shape: (X, Y, Z) of one volume.
        volumes: number of volumes: time points, echoes, directions.
        dtype: of one voxel as stored.
        offset: bytes before the first voxel, of what is left after unzipping.
        scale: (slope, intercept) that make values of stored numbers.
        space: where its voxels lie.
        notes: what else the header says that had to be mended.
        sequence: where the name of the file says it.
        content: what the header says the voxels are, if no scan, such as "a label map".
        interleaved: number of volumes that lie voxel by voxel; ``volumes`` is a multiple of it.
    """

    shape: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[Any]
    offset: int
    scale: tuple[float, float]
    space: Space
    notes: tuple[str, ...]
    sequence: str | None
    content: str = ""
    interleaved: int = 1

    @property
    def block_bytes(self) -> int:
        """Size of what is read at once: a volume, or those that lie voxel by voxel."""
        return self.interleaved * math.prod(self.shape) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Size of all volumes as stored."""
        return self.volumes // self.interleaved * self.block_bytes


def color_type(dtype: np.dtype[Any], channels: int) -> np.dtype[Any]:
    """Type of a voxel of 3 or 4 colors that lie side by side."""
    return np.dtype([(name, dtype) for name in "RGBA"[:channels]])


def base_name(path: str) -> str:
    """Name of a file without its folders, which may be those of Windows."""
    return path.replace("\\", "/").rpartition("/")[2]


def read_volumes(
    stream: Bytes, layout: Layout, path: str, limits: Limits, *, any_content: bool = False
) -> Iterator[Slice | InputError]:
    """Slices of the voxels in a stream, volume by volume.

    Args:
        stream: at its start, unzipped on the way.
        layout: of its voxels.
        path: how the caller named the file.
        limits: a volume above them is refused before it is read.
        any_content: read label maps, and what else is no scan, too.

    Raises:
        InputError: cut short, damaged, too large or no scan.
    """
    with refuse(path, DAMAGED, _ADVICE):
        _check_length(stream, layout, path)
        limits.check_memory(path, layout.block_bytes)
        seek_voxels(stream, layout.offset)
    for first in range(0, layout.volumes, layout.interleaved):
        with refuse(path, DAMAGED, _ADVICE):
            block = _read_block(stream, layout)
            if first + layout.interleaved == layout.volumes:
                check_end(stream)
            if first == 0 and not any_content:
                _check_content(block[0], layout, path)
        for index, volume in enumerate(block, start=first):
            yield from cut_volume(volume, layout, index, path, limits)


def find_content(stream: Bytes, layout: Layout, path: str) -> str:
    """What the voxels in a stream are, if no scan; empty if they may be one.

    Reads in steps, and no further than it must to tell.
    """
    if layout.content or layout.dtype.names:
        return layout.content
    seek_voxels(stream, layout.offset)
    return LABELS if is_label_map(_read_parts(stream, layout), base_name(path)) else ""


def _check_content(volume: npt.NDArray[Any], layout: Layout, path: str) -> None:
    content = layout.content
    if not (content or layout.dtype.names):
        flat = volume.ravel(order="F")
        parts = (flat[start : start + _PART] for start in range(0, flat.size, _PART))
        content = LABELS if is_label_map(parts, base_name(path)) else ""
    if content:
        raise refuse_content(path, content)


def _read_parts(stream: Bytes, layout: Layout) -> Iterator[npt.NDArray[Any]]:
    """The voxels of the first volume, some at a time, as far as the file holds them."""
    left, size = layout.block_bytes, layout.interleaved * layout.dtype.itemsize
    rest = b""
    while left > 0 and (part := stream.read(min(left, _PART * size))):
        left -= len(part)
        part = rest + part
        whole = len(part) // size * size
        rest = part[whole:]
        if whole:
            yield np.frombuffer(part[:whole], layout.dtype)[:: layout.interleaved]


def cut_volume(
    volume: npt.NDArray[Any], layout: Layout, index: int, path: str, limits: Limits
) -> Iterator[Slice | InputError]:
    """Slices of volume number ``index``, values as the header scales them; bad ones as errors."""
    space = layout.space
    through = choose_axis(layout.shape, space.grid, limits.smallest_side)
    arranged = arrange(volume, space.grid, through)
    count, rows, columns = arranged.slices.shape
    limits.check_slice(path, rows, columns)
    window = _window_of(volume, layout)
    notes = space.notes + layout.notes
    if space.used and space.grid.spacing[through] < 0.999 * space.grid.spacing.max():
        notes = (*notes, f"cut anew as {arranged.plane} slices, not across its widest spacing")
    if space.used and (doubt := doubt_extent((rows, columns), arranged.spacing_mm)):
        notes = (*notes, doubt)
    contrast = _measure_contrast(arranged, layout)
    for number, values in enumerate(arranged.slices):
        info = SliceInfo(
            path=path,
            frame=index * count + number,
            position_mm=arranged.position_mm(number) if space.used else None,
            lps_mm=arranged.lps_mm(number) if space.used else None,
            spacing_mm=arranged.spacing_mm,
            sequence=layout.sequence,
            plane=arranged.plane if space.used else None,
            window=window,
            sides_known=arranged.sides_known and space.sure,
            notes=notes,
        )
        try:
            pixels, mended = clean_pixels(_scale(values, layout), path)
        except InputError as error:
            yield error
        else:
            yield Slice(pixels, replace(info, notes=notes + mended), contrast)


def _measure_contrast(arranged: Arranged, layout: Layout) -> float | None:
    """What is typical of the volume; None for a slice alone."""
    places = choose_evenly(len(arranged.slices))
    sample = []
    for values in (arranged.slices[place] for place in places):
        with suppress(InputError):  # a slice without a finite value
            sample.append(Slice(clean_pixels(_scale(values, layout), "")[0], SliceInfo("")))
    return measure_contrast(sample) if len(places) > 1 else None


def _check_length(stream: Bytes, layout: Layout, path: str) -> None:
    """Refuse a plain file that is shorter than its header says; a zipped one tells on reading."""
    if not is_plain(stream):
        return
    size, needed = stream.seek(0, 2), layout.offset + layout.total_bytes
    if size < needed:
        raise InputError(path, f"is cut short: {size:,} bytes of {needed:,}", "copy it anew")


def _read_block(stream: Bytes, layout: Layout) -> npt.NDArray[Any]:
    """One block, in steps: pages that the file cannot fill are never touched."""
    raw = np.empty(layout.block_bytes, np.uint8)
    at = 0
    while at < raw.size:
        step = stream.read(min(_STEP, raw.size - at))
        if not step:
            raise EOFError(f"cut short: {at:,} of {raw.size:,} bytes of a volume")
        raw[at : at + len(step)] = np.frombuffer(step, np.uint8)
        at += len(step)
    shape = (layout.interleaved, *layout.shape)
    return raw.view(layout.dtype).reshape(shape, order="F")


def _window_of(volume: npt.NDArray[Any], layout: Layout) -> tuple[float, float] | None:
    """One (center, width) for all slices, in the header's values; None for colors."""
    window = None if volume.dtype.names else choose_window(volume)
    if window is None:
        return None
    slope, intercept = layout.scale
    return window[0] * slope + intercept, window[1] * abs(slope)


def _scale(values: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Stored numbers as the header's values; colors as luma."""
    if values.dtype.names:
        return to_luminance(np.stack([values[name] for name in values.dtype.names], axis=-1))
    slope, intercept = layout.scale
    if (slope, intercept) == (1.0, 0.0):
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        if values.dtype.itemsize <= 2 and _SINGLE[0] < abs(slope) < _SINGLE[1]:
            return values.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        return values.astype(np.float64) * slope + intercept
