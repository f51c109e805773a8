"""NIfTI-1, NIfTI-2 and Analyze volumes. The only door to nibabel.

nibabel reads the headers, `layout` the voxels.
"""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from tumorlens.errors import InputError
from tumorlens.imaging.contents import is_file, open_file
from tumorlens.imaging.geometry import Grid
from tumorlens.imaging.limits import Limits
from tumorlens.imaging.refusal import refuse
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.volumes.layout import (
    DAMAGED,
    UNORIENTED,
    Bytes,
    Layout,
    cut_volume,
    read_volumes,
)

__all__ = ["find_half", "read_image", "read_nifti"]

_BROKEN = "has a broken NIfTI header"
_CONTRADICTION = "sform and qform disagree: the sform is used, left and right are not sure"
_ADVICE = "check the file with nib-ls, or export it anew"
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
_SAME_DIRECTION = 0.5  # cosine between an axis of the sform and of the qform: 60 degrees
_LARGEST_OFFSET = 64 * 1024**2  # bytes of header extensions before the voxels
_SEVERE = 40  # of nibabel's header checks: what makes the voxels unreadable
_HEADERS = (
    nib.Nifti1Image.header_class,
    nib.Nifti1Pair.header_class,
    nib.Nifti2Image.header_class,
    nib.Nifti2Pair.header_class,
    nib.Spm2AnalyzeImage.header_class,
    nib.Spm99AnalyzeImage.header_class,
    nib.AnalyzeImage.header_class,
)
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())
_log.propagate = False


def read_nifti(
    stream: BinaryIO, path: str, limits: Limits, file: Path | None = None
) -> Iterator[Slice | InputError]:
    """Slices of a NIfTI or Analyze file, volume by volume.

    Args:
        stream: the file, gzipped or not: a single file, or either half of a pair.
        path: how the caller named it.
        limits: a volume above them is refused before it is read.
        file: where it lies on disk, to find the other half of a pair.

    Raises:
        InputError: broken, cut short or too large.
    """
    is_voxels = file is not None and file.name.lower().endswith((".img", ".img.gz"))
    head = open_file(find_half(file, path, ".hdr"), path) if is_voxels else nullcontext(stream)
    with refuse(path, _BROKEN, _ADVICE), head as block:
        header, single = _parse_header(_unzip(block), path)
        layout = _lay_out(header, path, single=single)
    with _open_voxels(stream, path, file, here=single or is_voxels) as data:
        yield from read_volumes(_unzip(data), layout, path, limits, _ADVICE)


def read_image(image: Any, path: str, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of a nibabel image in memory.

    Raises:
        InputError: it has no volume, or asks for too much.
    """
    with refuse(path, "is no volume that can be read", _ADVICE):
        shape, volumes = _split_shape(image.shape, path)
        codes = [image.header.get(key, 1) for key in ("sform_code", "qform_code")]
        grid, oriented = _place(image.affine, image.header, oriented=any(codes))
        dtype = np.dtype(image.get_data_dtype())
        notes = _note(image.header, oriented=oriented)
        layout = Layout(shape, volumes, dtype, 0, (1.0, 0.0), grid, notes, None)
        limits.check_memory(path, layout.volume_bytes)
    for index in range(volumes):
        with refuse(path, DAMAGED, _ADVICE):
            volume = _pick_volume(image.dataobj, index, len(image.shape)).reshape(shape, order="F")
        yield from cut_volume(volume, layout, index, path, limits)


def find_half(file: Path | None, path: str, suffix: str) -> Path:
    """The other half of a pair: NAME.hdr or NAME.img, in the same case, gzipped or not.

    Raises:
        InputError: it is not there.
    """
    if file is not None:
        stem = file.with_suffix("") if file.suffix.lower() == ".gz" else file
        for ending in (suffix, suffix.upper(), f"{suffix}.gz"):
            if is_file(half := stem.with_suffix(ending)):
                return half
    raise InputError(path, f"is half of a pair, its {suffix} file is missing", "put it beside it")


def _open_voxels(
    stream: BinaryIO, path: str, file: Path | None, *, here: bool
) -> AbstractContextManager[BinaryIO]:
    return nullcontext(stream) if here else open_file(find_half(file, path, ".img"), path)


def _unzip(stream: BinaryIO) -> Bytes:
    stream.seek(0)
    magic = stream.read(2)
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream) if magic == b"\x1f\x8b" else stream


def _parse_header(stream: Bytes, path: str) -> tuple[Any, bool]:
    """nibabel's header, checked, and whether the voxels follow it in the same file."""
    block = stream.read(_HEADERS[2].sizeof_hdr)
    kind = next((kind for kind in _HEADERS if kind.may_contain_header(block)), None)
    if kind is None:
        raise InputError(path, _BROKEN, _ADVICE)
    header = kind(block[: kind.sizeof_hdr], check=False)
    header.check_fix(logger=_log, error_level=_SEVERE)
    single = "magic" in header and header["magic"].item().startswith(b"n+")
    return header, single


def _lay_out(header: Any, path: str, *, single: bool) -> Layout:
    shape, volumes = _split_shape(header.get_data_shape(), path)
    oriented = bool(header.get("sform_code", 0) or header.get("qform_code", 0))
    grid, oriented = _place(header.get_best_affine() if oriented else None, header, oriented)
    dtype, offset = header.get_data_dtype(), header.get_data_offset()
    if dtype.kind not in "iufV":
        raise InputError(path, f"has {dtype.name} voxels", "store magnitudes as float32")
    if not (header.single_vox_offset if single else 0) <= offset <= _LARGEST_OFFSET:
        raise InputError(path, f"{_BROKEN} (voxels at byte {offset})", _ADVICE)
    slope, intercept = header.get_slope_inter()
    scale = (1.0 if slope is None else float(slope), float(intercept or 0.0))
    sequence = guess_sequence(path.replace("\\", "/").rpartition("/")[2])
    notes = _note(header, oriented=oriented)
    return Layout(shape, volumes, dtype, offset, scale, grid, notes, sequence)


def _split_shape(shape: tuple[int, ...], path: str) -> tuple[tuple[int, int, int], int]:
    """(X, Y, Z), and the number of such volumes."""
    sizes = [int(size) for size in shape]
    if len(sizes) < 2 or min(sizes) < 1:
        raise InputError(path, f"{_BROKEN} (shape {' x '.join(map(str, sizes))})", _ADVICE)
    x, y, z = (*sizes, 1)[:3]
    return (x, y, z), math.prod(sizes[3:])


def _place(affine: Any, header: Any, oriented: bool) -> tuple[Grid, bool]:
    """The grid; without a stated orientation the radiological order that Analyze assumes."""
    if oriented:
        lps = _RAS_TO_LPS[:, np.newaxis] * np.asarray(affine, np.float64)[:3]
        return Grid(lps[:, 3], lps[:, :3]), True
    zooms = np.resize(np.array([*header.get_zooms()[:3], 1.0], np.float64), 3)
    zooms = np.where(np.isfinite(zooms) & (zooms > 0), zooms, 1.0)
    return Grid(np.zeros(3), np.diag(zooms * (1, -1, 1))), False


def _note(header: Any, *, oriented: bool) -> tuple[str, ...]:
    """What is doubtful about the orientation."""
    if not oriented:
        return (UNORIENTED,)
    if not (header.get("sform_code", 0) and header.get("qform_code", 0)):
        return ()
    with suppress(HeaderDataError):  # a senseless qform contradicts nothing
        both = (header.get_sform()[:3, :3], header.get_qform()[:3, :3])
        first, second = (steps / np.linalg.norm(steps, axis=0) for steps in both)
        if ((first * second).sum(axis=0) < _SAME_DIRECTION).any():
            return (_CONTRADICTION,)
    return ()


def _pick_volume(data: Any, index: int, dimensions: int) -> npt.NDArray[Any]:
    if dimensions <= 3:
        return np.asarray(data)
    return np.asarray(data[(..., *np.unravel_index(index, data.shape[3:], order="F"))])
