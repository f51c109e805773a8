"""NIfTI-1, NIfTI-2 and Analyze volumes. The only door to nibabel.

nibabel reads the headers; the voxels are read here, one time point at a time and never more than
the file holds, so that a header that promises gigabytes costs nothing.
"""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.contents import is_file, open_file
from tumorlens.imaging.geometry import Grid, arrange, choose_axis
from tumorlens.imaging.limits import Limits
from tumorlens.imaging.refusal import refuse
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.voxels import clean_pixels, to_luminance

__all__ = ["find_half", "read_image", "read_nifti"]

Bytes = BinaryIO | gzip.GzipFile

_BROKEN = "has a broken NIfTI header"
_DAMAGED = "is a damaged volume"
_UNORIENTED = "the header states no orientation: left and right unknown"
_CONTRADICTION = "sform and qform disagree: the sform is used, left and right are not sure"
_ADVICE = "check the file with nib-ls, or export it anew"
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
_SAME_DIRECTION = 0.5  # cosine between an axis of the sform and of the qform: 60 degrees
_LARGEST_OFFSET = 64 * 1024**2  # bytes of header extensions before the voxels
_STEP = 1024**2
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


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What a header says of its voxels.

    Attributes:
        shape: (X, Y, Z) of one volume.
        volumes: number of volumes: time points, echoes, directions.
        dtype: of one voxel as stored.
        offset: bytes before the first voxel.
        scale: (slope, intercept) that make values of stored numbers.
        grid: places of the voxels.
        notes: on the orientation, where the header states none or contradicts itself.
        sequence: where the name of the file says it.
    """

    shape: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[Any]
    offset: int
    scale: tuple[float, float]
    grid: Grid
    notes: tuple[str, ...]
    sequence: str | None

    @property
    def oriented(self) -> bool:
        """Whether the header states an orientation."""
        return _UNORIENTED not in self.notes

    @property
    def volume_bytes(self) -> int:
        """Size of one volume as stored."""
        return math.prod(self.shape) * self.dtype.itemsize


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
        with refuse(path, _DAMAGED, _ADVICE):
            voxels = _unzip(data)
            _check_length(voxels, layout, path)
            limits.check_memory(path, layout.volume_bytes)
            _skip(voxels, layout.offset)
        for index in range(layout.volumes):
            with refuse(path, _DAMAGED, _ADVICE):
                volume = _read_volume(voxels, layout)
                if index == layout.volumes - 1:
                    _check_sum(voxels)
            yield from _cut(volume, layout, index, path, limits)


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
        with refuse(path, _DAMAGED, _ADVICE):
            volume = _pick_volume(image.dataobj, index, len(image.shape)).reshape(shape, order="F")
        yield from _cut(volume, layout, index, path, limits)


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
        return (_UNORIENTED,)
    if not (header.get("sform_code", 0) and header.get("qform_code", 0)):
        return ()
    with suppress(HeaderDataError):  # a senseless qform contradicts nothing
        both = (header.get_sform()[:3, :3], header.get_qform()[:3, :3])
        first, second = (steps / np.linalg.norm(steps, axis=0) for steps in both)
        if ((first * second).sum(axis=0) < _SAME_DIRECTION).any():
            return (_CONTRADICTION,)
    return ()


def _check_length(stream: Bytes, layout: Layout, path: str) -> None:
    """Refuse a plain file that is shorter than its header says; a zipped one tells on reading."""
    if isinstance(stream, gzip.GzipFile):
        return
    size, needed = stream.seek(0, 2), layout.offset + layout.volumes * layout.volume_bytes
    stream.seek(0)
    if size < needed:
        raise InputError(path, f"is cut short: {size:,} bytes of {needed:,}", "copy it anew")


def _skip(stream: Bytes, count: int) -> None:
    while count > 0 and (read := len(stream.read(min(count, _STEP)))):
        count -= read


def _read_volume(stream: Bytes, layout: Layout) -> npt.NDArray[Any]:
    """One volume, in steps: pages that the file cannot fill are never touched."""
    raw = np.empty(layout.volume_bytes, np.uint8)
    at = 0
    while at < raw.size:
        step = stream.read(min(_STEP, raw.size - at))
        if not step:
            raise EOFError(f"cut short: {at:,} of {raw.size:,} bytes of a volume")
        raw[at : at + len(step)] = np.frombuffer(step, np.uint8)
        at += len(step)
    return raw.view(layout.dtype).reshape(layout.shape, order="F")


def _check_sum(stream: Bytes) -> None:
    """Let gzip compare its checksum, which it does at the end; what may follow is let pass."""
    try:
        stream.read(1)
    except EOFError:
        return
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" not in str(error):
            raise


def _pick_volume(data: Any, index: int, dimensions: int) -> npt.NDArray[Any]:
    if dimensions <= 3:
        return np.asarray(data)
    return np.asarray(data[(..., *np.unravel_index(index, data.shape[3:], order="F"))])


def _cut(
    volume: npt.NDArray[Any], layout: Layout, index: int, path: str, limits: Limits
) -> Iterator[Slice | InputError]:
    through = choose_axis(layout.shape, layout.grid, limits.smallest_side)
    arranged = arrange(volume, layout.grid, through)
    count, rows, columns = arranged.slices.shape
    limits.check_slice(path, rows, columns)
    for number, values in enumerate(arranged.slices):
        info = SliceInfo(
            path=path,
            frame=index * count + number,
            position_mm=arranged.position_mm(number) if layout.oriented else None,
            spacing_mm=arranged.spacing_mm,
            sequence=layout.sequence,
            plane=arranged.plane if layout.oriented else None,
            sides_known=arranged.sides_known and not layout.notes,
            notes=layout.notes,
        )
        try:
            pixels, notes = clean_pixels(_scale(values, layout), path)
        except InputError as error:
            yield error
        else:
            yield Slice(pixels, replace(info, notes=info.notes + notes))


def _scale(values: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Stored numbers as the header's values; colors as luma."""
    if values.dtype.names:
        return to_luminance(np.stack([values[name] for name in values.dtype.names], axis=-1))
    slope, intercept = layout.scale
    if (slope, intercept) == (1.0, 0.0):
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32) * np.float32(slope) + np.float32(intercept)
