"""NIfTI-1, NIfTI-2 and Analyze volumes. The only door to nibabel.

nibabel reads the headers, `layout` the voxels.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.imaging.files.access import is_file, open_file
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.files.shadows import hide_shadows
from tumorlens.imaging.pixels.voxels import FAR_INTERCEPT, is_out_of_reach
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.volumes.content import LABELS
from tumorlens.imaging.volumes.layout import (
    DAMAGED,
    LARGEST_OFFSET,
    Layout,
    base_name,
    cut_volume,
)
from tumorlens.imaging.volumes.spaces import (
    METRES,
    MICROMETRES,
    MILLIMETRES,
    RAS_TO_LPS,
    Space,
    doubt_signs,
    find_space,
    tell_missing,
)
from tumorlens.imaging.volumes.streams import Bytes, unzip

with hide_shadows():
    import nibabel as nib
    from nibabel.spatialimages import HeaderDataError

__all__ = ["find_half", "open_nifti", "read_image"]

Floats = npt.NDArray[np.float64]

_BROKEN = "has a broken NIfTI header"
_ORDER = np.diag([1.0, -1.0, 1.0])
"""Directions that Analyze takes: x to the patient's left, y to the front, z to the head."""
_MILLIMETRES = 2
_UNITS = {0: "", 1: METRES, 3: MICROMETRES}
"""Codes of ``xyzt_units``; others are millimetres, or no lengths."""

_UPSIDE_DOWN = "a negative scl_slope swaps dark and bright"
_ADVICE = "check the file with nib-ls, or export it again"
_INTENTS = (
    ((1002, 1003), LABELS),
    ((*range(2, 25), 1001), "a map of statistics"),
    ((*range(1004, 1011), *range(2006, 2010), *range(2016, 2019)), "a field of vectors"),
)
"""Intent codes of the NIfTI-1 header, and those of FSL, whose voxels are no scan."""

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


@contextmanager
def open_nifti(
    stream: BinaryIO, path: str, file: Path | None = None
) -> Iterator[tuple[Bytes, Layout]]:
    """The voxels of a NIfTI or Analyze file, and what its header says of them.

    Args:
        stream: the file, gzipped or not: a single file, or either half of a pair.
        path: how the caller named it.
        file: where it lies on disk, to find the other half of a pair.

    Raises:
        InputError: broken.
    """
    is_voxels = file is not None and file.name.lower().endswith((".img", ".img.gz"))
    head = open_file(find_half(file, path, ".hdr"), path) if is_voxels else nullcontext(stream)
    with refuse(path, _BROKEN, _ADVICE), head as block:
        header, raw, single = _parse_header(unzip(block), path)
        layout = _lay_out(header, raw, path, single=single)
    if not (single or is_voxels) and path.lower().endswith((".nii", ".nii.gz")):
        raise InputError(path, "has a NIfTI header without the magic of a single file", _ADVICE)
    with _open_voxels(stream, path, file, here=single or is_voxels) as data:
        yield unzip(data), layout


def read_image(image: Any, path: str, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of a nibabel image in memory.

    Raises:
        InputError: it has no volume, or asks for too much.
    """
    with refuse(path, "is no volume that can be read", _ADVICE):
        shape, volumes = _split_shape(image.shape, path)
        dtype = np.dtype(image.get_data_dtype())
        layout = Layout(
            shape, volumes, dtype, 0, (1.0, 0.0), _find_space_of_image(image, shape), (), None
        )
        limits.check_memory(path, layout.block_bytes)
    for index in range(volumes):
        with refuse(path, DAMAGED, _ADVICE):
            volume = _pick_volume(image.dataobj, index, len(image.shape)).reshape(shape, order="F")
            _check_kind(volume.dtype, path)
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


def _parse_header(stream: Bytes, path: str) -> tuple[Any, Any, bool]:
    """nibabel's header, checked and mended; as it was before that; and whether the voxels follow
    in the same file."""
    block = stream.read(_HEADERS[2].sizeof_hdr)
    kind = next((kind for kind in _HEADERS if kind.may_contain_header(block)), None)
    if kind is None:
        raise InputError(path, _BROKEN, _ADVICE)
    raw = kind(block[: kind.sizeof_hdr], check=False)
    header = raw.copy()
    header.check_fix(logger=_log, error_level=_SEVERE)
    single = "magic" in header and header["magic"].item().startswith(b"n+")
    return header, raw, single


def _lay_out(header: Any, raw: Any, path: str, *, single: bool) -> Layout:
    stated = header.get_data_shape()
    shape, volumes = _split_shape((*stated[:2], *(size or 1 for size in stated[2:])), path)
    space = _find_space(raw, shape)
    dtype, offset = header.get_data_dtype(), header.get_data_offset()
    _check_kind(dtype, path)
    if not (header.single_vox_offset if single else 0) <= offset <= LARGEST_OFFSET:
        raise InputError(path, f"{_BROKEN} (voxels at byte {offset})", _ADVICE)
    scale, notes = _read_scale(header)
    if max(header["dim"][len(stated) + 1 :], default=1) > 1:
        notes = (*notes, f"the header counts {len(stated)} axes and states the sizes of more")
    sequence = guess_sequence(base_name(path))
    content = _find_content(int(header.get("intent_code", 0)))
    return Layout(shape, volumes, dtype, offset, scale, space, notes, sequence, content)


def _check_kind(dtype: np.dtype[Any], path: str) -> None:
    if dtype.kind not in "biufV":
        raise InputError(path, f"has {dtype.name} voxels", "store magnitudes as float32")


def _find_content(intent: int) -> str:
    """What the voxels are, if no scan."""
    return next((what for codes, what in _INTENTS if intent in codes), "")


def _split_shape(shape: tuple[int, ...], path: str) -> tuple[tuple[int, int, int], int]:
    """(X, Y, Z), and the number of such volumes."""
    sizes = [int(size) for size in shape]
    if len(sizes) < 2 or min(sizes) < 1:
        raise InputError(path, f"{_BROKEN} (shape {' x '.join(map(str, sizes))})", _ADVICE)
    x, y, z = (*sizes, 1)[:3]
    return (x, y, z), math.prod(sizes[3:])


def _find_space(raw: Any, shape: tuple[int, ...]) -> Space:
    """The sform, else the qform, else the bare order of the voxels.

    Args:
        raw: nibabel's header as it stands in the file; its sizes are mended here.
        shape: (X, Y, Z).
    """
    sizes = np.array(raw["pixdim"][1:4], np.float64)
    stated = {}
    if raw.get("sform_code", 0) > 0:
        stated["sform"] = RAS_TO_LPS * raw.get_sform()[:3]
    if raw.get("qform_code", 0) > 0:
        stated["qform"] = RAS_TO_LPS * _read_qform(raw)
    space = find_space(stated, np.abs(sizes), shape, _ORDER, _read_unit(raw, 0))
    notes = tell_missing(np.abs(sizes), shape) if space.used == "qform" else ()
    noted = replace(space, notes=space.notes + notes)
    return noted if space.used == "sform" else doubt_signs(noted, sizes)


def _read_unit(header: Any, default: int) -> str:
    return _UNITS.get(int(header.get("xyzt_units", default)) & 7, MILLIMETRES)


def _find_space_of_image(image: Any, shape: tuple[int, ...]) -> Space:
    """The affine, unless a NIfTI header says that there is none; else the qform."""
    stated = {}
    header = image.header if hasattr(image.header, "get") else {}  # MINC's and others hold no more
    if image.affine is not None and any(header.get(key, 1) for key in ("sform_code", "qform_code")):
        stated["affine"] = RAS_TO_LPS * np.asarray(image.affine, np.float64)[:3]
    if header.get("qform_code", 0):
        stated["qform"] = RAS_TO_LPS * _read_qform(header.copy())
    sizes = np.resize(np.array([*image.header.get_zooms()[:3], np.nan], np.float64), 3)
    return find_space(stated, sizes, shape, _ORDER, _read_unit(header, _MILLIMETRES))


def _read_qform(header: Any) -> Floats:
    """(3, 4); NaN where the quaternion makes no sense. Sizes that are not stated count 1 mm."""
    handed, sizes = header["pixdim"][0], np.abs(header["pixdim"][1:4])
    header["pixdim"][0] = -1 if handed == -1 else 1
    header["pixdim"][1:4] = np.where(np.isfinite(sizes) & (sizes > 0), sizes, 1.0)
    try:
        return np.asarray(header.get_qform()[:3], np.float64)
    except (HeaderDataError, ValueError):
        return np.full((3, 4), np.nan)


def _read_scale(header: Any) -> tuple[tuple[float, float], tuple[str, ...]]:
    """(slope, intercept), and a note on what makes no sense. By the standard, 0 scales nothing."""
    slope = float(header.get("scl_slope", 0.0))
    intercept = float(header.get("scl_inter", 0.0))
    if slope == 0 or not np.isfinite(slope):
        notes = () if slope == 0 or np.isnan(slope) else (f"scl_slope is {slope}: not applied",)
        return (1.0, 0.0), notes
    if not np.isfinite(intercept):
        return (slope, 0.0), (f"scl_inter is {intercept}: not applied",)
    notes = (_UPSIDE_DOWN,) if slope < 0 else ()
    if is_out_of_reach(slope, intercept, 8 * header.get_data_dtype().itemsize):
        return (slope, 0.0), (*notes, FAR_INTERCEPT)
    return (slope, intercept), notes


def _pick_volume(data: Any, index: int, dimensions: int) -> npt.NDArray[Any]:
    if dimensions <= 3:
        return np.asarray(data)
    return np.asarray(data[(..., *np.unravel_index(index, data.shape[3:], order="F"))])
