"""Reading files and objects as slices. The first bytes of a file decide which reader is used.

Blank slices (one value throughout) of a file with several slices are left out, but ``frame`` counts
them. A file with only blank slices is an error.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from tumorlens.errors import InputError, UsageError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.dicom.filemeta import DIRECTORY, read_file_meta
from tumorlens.imaging.files.access import Opener, is_file, open_file
from tumorlens.imaging.files.contents import (
    DRAWN,
    HEAD_BYTES,
    VOLUMES,
    describe,
    is_drawn,
    sniff,
)
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.files.refusal import read_silently
from tumorlens.imaging.files.sources import find_sources, name_file
from tumorlens.imaging.files.stored_files import Found, Skipped, Source
from tumorlens.imaging.pixels.arrays import read_array
from tumorlens.imaging.pixels.voxels import BLANK, NOT_FINITE
from tumorlens.imaging.raster import convert_picture, read_picture, read_pictures
from tumorlens.imaging.slices import Slice, measure_offset

__all__ = [
    "find_inputs",
    "iterate_slices",
    "keep_visible",
    "read_input",
    "read_mask",
    "read_object",
    "read_slice",
    "read_slices",
]

Item = Slice | InputError
_FORMATS = "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI, NRRD, MetaImage and MGH are read"


def read_slices(
    source: Source | str | PathLike[str], *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Slice]:
    """Slices of a source, or of a path: a file, a folder, a pattern.

    Raises:
        InputError: at the first file or slice that cannot be read.
    """
    for item in iterate_slices(source, limits=limits):
        if isinstance(item, InputError):
            raise item
        yield item


def iterate_slices(
    source: Source | str | PathLike[str], *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Item]:
    """Like `read_slices`, but an error stands in the place of what could not be read.

    One bad file in a series does not end the series.
    """
    if isinstance(source, Source):
        yield from _guard(_read_source(source, limits), source.path)
    else:
        yield from _read_all(find_sources([source], limits=limits), fspath(source), limits)


def _read_all(sources: Iterable[Found], name: str, limits: Limits) -> Iterator[Item]:
    empty = True
    for found in sources:
        if isinstance(found, Source):
            yield from iterate_slices(found, limits=limits)
        elif isinstance(found, InputError):
            yield found
        empty = empty and isinstance(found, Skipped)
    if empty:
        yield InputError(name, "holds no image", _FORMATS)


def read_slice(
    path: str | PathLike[str],
    frame: int = 0,
    *,
    limits: Limits = DEFAULT_LIMITS,
    any_content: bool = False,
) -> Slice:
    """One slice: ``frame`` of the file ``path``, as `read_slices` counts them.

    ``path`` may be the folder of a DICOM series whose slices are cut from the volume of its files.
    A volume is read anew at each call: for many slices of one file use `read_slices`. With
    ``any_content`` label maps, and what else is no scan, are read, too.

    Raises:
        InputError: the file cannot be read, has no such frame, or nothing is to be seen on it; or
            several series lie in the folder.
    """
    name = fspath(path)
    if os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises where access is denied
        return _read_cut(name, frame, limits)
    if is_file(Path(name)):
        with open_file(Path(name), name) as stream:
            if sniff(_peek(stream)) == "raster":
                return read_picture(stream, name, frame, limits)
    sources = (
        replace(found, any_content=any_content) if isinstance(found, Source) else found
        for found in name_file(Path(name), name, limits)
    )
    for item in _read_all(sources, name, limits):
        if isinstance(item, InputError):
            raise item
        if item.info.frame == frame:
            return item
    raise InputError(name, f"has no frame {frame} with anything to see", "count frames from 0")


def read_mask(
    file: Path, frame: int, shape: tuple[int, ...] | None = None, info: SliceInfo | None = None
) -> Slice:
    """A mask that is drawn on an image.

    Args:
        file: of the mask.
        frame: index inside it.
        shape: (H, W) of the image; None leaves it unchecked.
        info: where the image lies; None leaves it unchecked.

    Raises:
        InputError: the mask cannot be read, has another size, or lies elsewhere.
    """
    mask = read_slice(file, frame, any_content=True)
    if shape is not None and mask.pixels.shape != shape:
        size, wanted = (f"{width} x {height}" for height, width in (mask.pixels.shape, shape))
        reason = f"mask of {size} pixels on a slice of {wanted}"
        raise InputError(str(file), reason, "give masks the size of their slices")
    if info is not None and (apart := measure_offset(mask, info)):
        reason = f"mask that lies {apart:.0f} mm away from its picture"
        advice = "save it with the orientation (affine) of the picture"
        raise InputError(str(file), reason, advice)
    return mask


def _read_cut(name: str, frame: int, limits: Limits) -> Slice:
    """A slice that is cut from a series of files: nothing but its folder names it."""
    found = find_sources([name], limits=limits)
    series = [one for one in found if isinstance(one, Source) and one.is_series]
    if not series:
        raise InputError(name, "is no regular file, and no folder of a series", "name a file")
    if len(series) > 1:
        raise InputError(name, f"holds {len(series)} series", "put each into a folder of its own")
    for item in (item for one in series for item in iterate_slices(one, limits=limits)):
        if isinstance(item, Slice) and item.info.place() == (name, frame):
            return item
    raise InputError(name, f"has no frame {frame} cut from a series", "name a file")


def find_inputs(inputs: Any, limits: Limits = DEFAULT_LIMITS) -> Iterator[Any]:
    """What `read_input` takes one by one.

    Args:
        inputs: an input, or a list or an iterator of inputs, or a column of paths (an array or
            a Series of pandas). An iterator is waited for: the files of a series that it names are
            not put together.
        limits: what one file may cost.

    Returns:
        Sources, or the errors of finding them, for runs of paths; anything else as it is.
    """
    if _is_column(inputs):
        inputs = inputs.tolist()
    # An open file is an iterator, too: over its lines, which are no inputs.
    many = isinstance(inputs, (list, tuple, Iterator)) and not isinstance(inputs, io.IOBase)
    together = not isinstance(inputs, Iterator)
    for are_paths, group in groupby(inputs if many else (inputs,), _is_path):
        found_all = find_sources(group, limits=limits, together=together)
        for found in found_all if are_paths else group:
            if not isinstance(found, Skipped):
                yield found


def read_input(x: Any, limits: Limits = DEFAULT_LIMITS, axes: str | None = None) -> Iterator[Item]:
    """Slices of one input of `find_inputs`; an error ends it and stands in its place.

    Args:
        x: a source, a slice, an error, or what `read_object` takes.
        limits: what one file may cost.
        axes: what the axes of an array are.
    """
    try:
        if isinstance(x, (Slice, InputError)):
            yield x
        elif isinstance(x, Source):
            yield from iterate_slices(x, limits=limits)
        else:
            yield from read_object(x, limits=limits, axes=axes)
    except InputError as error:
        yield error
    except (MemoryError, OSError, ValueError) as error:
        # The last net under the readers: one strange file never stops a run over thousands.
        name = x.path if isinstance(x, Source) else f"<{type(x).__name__}>"
        reason = f"cannot be read ({type(error).__name__}: {error})"
        yield InputError(name, reason, "check that the file opens in another viewer")


def _is_column(x: Any) -> bool:
    """Whether an array, or a column of a table, holds texts or other objects, one after another."""
    return getattr(x, "ndim", 0) == 1 and getattr(x.dtype, "kind", "") in ("O", "U")


def _is_path(x: Any) -> bool:
    return isinstance(x, (str, PathLike))


def read_object(
    x: Any, *, limits: Limits = DEFAULT_LIMITS, axes: str | None = None
) -> Iterator[Slice]:
    """Slices of an object in memory.

    Args:
        x: bytes of a file; an ndarray as `arrays.read_array` takes it, or what NumPy makes one
            of (a tensor); a PIL image; a pydicom ``Dataset``; a nibabel image; or a path.
        limits: what one file may cost.
        axes: what the axes of an array are; see `arrays.read_array`.

    Raises:
        InputError: it holds nothing that can be read; named ``<bytes>``, ``<array>``, ….
        UsageError: an object of another kind.
    """
    for item in _guard(_read_any(x, limits, axes), "<object>"):
        if isinstance(item, InputError):
            raise item
        yield item


def _guard(items: Iterator[Item], path: str) -> Iterator[Item]:
    """Errors raised on the way stand in the stream; blank slices are left out of it."""

    def caught() -> Iterator[Item]:
        try:
            yield from read_silently(items)
        except InputError as error:
            yield error

    return keep_visible(caught(), path)


def keep_visible(items: Iterable[Item], path: str) -> Iterator[Item]:
    """Leave out blank slices, of which skull-stripped volumes have many.

    It is an error if all are blank. The last slice that is kept says how many were left out,
    because the number is known only then.
    """
    held: list[Item] = []  # the newest slice, and errors that came after it
    why, blank, count = InputError(path, BLANK), 0, 0
    for item in items:
        count += 1
        if isinstance(item, InputError):
            if item.reason == NOT_FINITE:
                why, blank = item, blank + 1
            else:
                held.append(item)
        elif item.is_blank:
            blank += 1
        else:
            yield from held
            held = [item]
    if blank and held and isinstance(held[0], Slice):
        verb = "is" if blank == 1 else "are"
        held[0] = _annotate(held[0], f"{blank} of {count} slices {verb} blank and left out")
    yield from held or (why,)


def _annotate(slice_: Slice, note: str) -> Slice:
    return replace(slice_, info=replace(slice_.info, notes=(*slice_.info.notes, note)))


def _read_source(source: Source, limits: Limits) -> Iterator[Item]:
    if source.places:
        from tumorlens.imaging.dicom.datasets import read_series

        yield from read_series(source, limits)
        return
    part = source.parts[0]
    with Opener(limits) as opener, opener.open(part) as stream:
        file = None if part.member else part.file
        yield from _read_stream(stream, part.path, limits, file, any_content=source.any_content)


def _read_stream(
    stream: BinaryIO,
    path: str,
    limits: Limits,
    file: Path | None = None,
    *,
    any_content: bool = False,
) -> Iterator[Item]:
    head = _peek(stream)
    kind = sniff(head)
    if kind in VOLUMES or _is_half(file):
        from tumorlens.imaging.volumes.reading import read_volume_file

        yield from read_volume_file(kind, stream, path, limits, file, any_content=any_content)
    elif kind == "raster":
        yield from read_pictures(stream, path, limits, any_content=any_content)
    elif kind == "dicom":
        if read_file_meta(stream).sop_class == DIRECTORY:
            raise InputError(path, "is a DICOMDIR", "name it, or its folder, as a path")
        from tumorlens.imaging.dicom.datasets import read_dicom

        yield from read_dicom(stream, path, limits)
    else:
        raise refuse_content(path, head)


def _is_half(file: Path | None) -> bool:
    """Bare voxels of a pair, which may begin with any bytes: the header beside them tells."""
    if file is None or not file.name.lower().endswith((".img", ".img.gz")):
        return False
    from tumorlens.imaging.volumes.nifti import find_half

    try:
        return is_file(find_half(file, "", ".hdr"))
    except InputError:
        return False


def refuse_content(path: str, head: bytes) -> InputError:
    """The error for a file that no reader takes."""
    if sniff(head) == "secure":
        return InputError(path, "is an encrypted DICOM file", "decrypt it first")
    if is_drawn(head):
        return InputError(path, f"is {DRAWN}", "give the scan itself")
    return InputError(path, f"is {describe(head)}", _FORMATS)


def _read_any(x: Any, limits: Limits, axes: str | None) -> Iterator[Item]:
    if isinstance(x, (str, PathLike)):
        yield from iterate_slices(x, limits=limits)
    elif isinstance(x, (bytes, bytearray, memoryview)):
        yield from _read_stream(io.BytesIO(x), "<bytes>", limits)
    elif isinstance(x, np.ndarray):
        yield from read_array(x, limits, axes)
    elif isinstance(x, Image.Image):
        yield convert_picture(x, getattr(x, "filename", "") or "<picture>", limits)
    elif _is_a(x, "pydicom", "Dataset"):
        from tumorlens.imaging.dicom.datasets import read_dataset

        yield from read_dataset(x, str(getattr(x, "filename", None) or "<dataset>"), limits)
    elif _is_a(x, "nibabel", "SpatialImage"):
        from tumorlens.imaging.volumes.nifti import read_image

        yield from read_image(x, x.get_filename() or "<image>", limits)
    elif hasattr(x, "__array__"):
        yield from read_array(_as_array(x), limits, axes)
    else:
        raise UsageError(
            f"cannot read a {type(x).__name__}; give a path, bytes, an ndarray, a PIL image, "
            "a pydicom Dataset or a nibabel image (of SimpleITK: `GetArrayFromImage(image)` with "
            "`axes='DHW'`, or the file)"
        )


def _as_array(x: Any) -> np.ndarray[Any, Any]:
    """The array that an object of another library stands for, such as a tensor."""
    try:
        return np.asarray(x)
    except Exception as error:  # on a GPU, or part of a gradient: each library has its own
        reason = f"gives no array ({' '.join(str(error).split())})"
        advice = "give a NumPy array; of torch, tensor.detach().cpu().float().numpy()"
        raise InputError(f"<{type(x).__name__}>", reason, advice) from error


def _peek(stream: BinaryIO) -> bytes:
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    return head


def _is_a(x: Any, library: str, name: str) -> bool:
    """Whether ``x`` is of that class of the library; asks without importing it."""
    kinds = ((kind.__module__.partition(".")[0], kind.__name__) for kind in type(x).__mro__)
    return (library, name) in kinds
