"""Prepares the images of rows, and stores them on disk.

Each row goes once through the same `prepare` that `predict` uses; the result lies in memory-mapped
files, so that memory does not grow with the number of pictures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tumorlens.data.pictures import read_row
from tumorlens.data.rows import Manifest, Row
from tumorlens.data.scans import group_series
from tumorlens.errors import DataError, InputError
from tumorlens.imaging.pixels.contrast import choose_evenly, typical_contrast
from tumorlens.imaging.pixels.fingerprint import fingerprint_slice
from tumorlens.imaging.preprocess import PreprocessSpec, find_gain, place, prepare
from tumorlens.imaging.readers import read_mask
from tumorlens.imaging.slices import Slice, find_marked
from tumorlens.model.contract import LOOKS
from tumorlens.training.rows.brains import find_brain
from tumorlens.training.rows.codes import TUMOR_BOX, TUMOR_MASK, TUMOR_NONE, TUMOR_UNKNOWN
from tumorlens.training.rows.prepared_rows import PLANES, PreparedRows
from tumorlens.training.rows.store import PreparedRow, Store

__all__ = ["Unreadable", "prepare_rows"]

Progress = Callable[[int, int], None]
ByteImage = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row whose picture or mask could not be read."""

    row: Row
    reason: str


def prepare_rows(
    manifest: Manifest,
    spec: PreprocessSpec,
    folder: Path,
    *,
    types: Sequence[str],
    store: Store | None = None,
    progress: Progress | None = None,
) -> tuple[PreparedRows, list[Unreadable]]:
    """Prepare every row of a manifest into ``folder``; rows that cannot be read are listed.

    Args:
        manifest: labelled rows.
        spec: how slices are prepared.
        folder: for the memory-mapped files.
        types: tumor types, in the order of the network's classes.
        store: rows that were prepared before. Rows prepared now are added.
        progress: called with (done, all).

    Raises:
        DataError: the disk is full.
    """
    rows: list[Row] = []
    unreadable: list[Unreadable] = []
    fingerprints: list[bytes] = []
    contrasts: list[float] = []
    shape = (len(manifest), spec.size, spec.size)
    try:
        planes = {name: _open_plane(folder / f"{name}.npy", shape) for name in PLANES}
        for done, row in enumerate(manifest.rows, 1):
            try:
                one = _prepare_row(row, spec, store)
            except InputError as error:
                unreadable.append(Unreadable(row, str(error)))
            else:
                for name, plane in zip(planes, (one.image, one.annotation, one.brain), strict=True):
                    planes[name][len(rows)] = plane
                contrasts.append(one.contrast)
                rows.append(row)
                fingerprints.append(one.fingerprint)
            if progress is not None:
                progress(done, len(manifest))
    except OSError as error:
        raise DataError(
            f"{folder}: prepared pictures cannot be written ({error.strerror}); "
            f"{len(PLANES) * np.prod(shape) / 2**20:.0f} MiB are needed: free space or "
            "choose another `output=`"
        ) from None
    index = {name: number for number, name in enumerate(types)}
    prepared = PreparedRows(
        rows=tuple(rows),
        **{name: plane[: len(rows)] for name, plane in planes.items()},
        gains=_find_gains(rows, contrasts),
        looks=np.array([_tell_looks(row) for row in rows], np.int64).reshape(-1, len(LOOKS)),
        tumor=np.array([row.label == "tumor" for row in rows], np.float32),
        kinds=np.array([index.get(row.tumor_class, -1) for row in rows], np.int64),
        sources=np.unique([row.source for row in rows], return_inverse=True)[1].astype(np.int64),
        fingerprints=tuple(fingerprints),
    )
    return prepared, unreadable


def _find_gains(rows: list[Row], contrasts: list[float]) -> npt.NDArray[np.float32]:
    """As `prepare` dims the slices of a series that it is told about."""
    gains = np.ones(len(rows), np.float32)
    for series in group_series(rows):
        typical = typical_contrast(contrasts[series[place]] for place in choose_evenly(len(series)))
        for index in series:
            gains[index] = find_gain(contrasts[index], typical)
    return gains


def _tell_looks(row: Row) -> list[int]:
    told = (row.plane, row.sequence, row.skull)
    return [
        words.index(word) if word in words else -1
        for word, words in zip(told, LOOKS.values(), strict=True)
    ]


def _open_plane(path: Path, shape: tuple[int, ...]) -> ByteImage:
    """Make a memory-mapped file of that shape, and reserve its space on the disk at once.

    If the disk is full, a later write into the map would end the program without a message.
    """
    plane = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return plane


def _prepare_row(row: Row, spec: PreprocessSpec, store: Store | None) -> PreparedRow:
    if store is not None and (known := store.get(row)) is not None:
        return known
    slice_ = read_row(row)
    prepared = prepare(slice_, spec)
    image = np.rint(prepared.image[0] * 255).astype(np.uint8)
    shape = slice_.pixels.shape
    annotation = place(_read_annotation(row, slice_), prepared)
    brain = find_brain(row, prepared, image, annotation, shape)
    made = PreparedRow(image, annotation, brain, prepared.contrast, fingerprint_slice(slice_))
    if store is not None:
        store.put(row, made)
    return made


def _read_annotation(row: Row, slice_: Slice) -> ByteImage:
    """Codes of the annotation in pixels of the slice."""
    shape = slice_.pixels.shape
    if row.label != "tumor":
        return np.full(shape, TUMOR_NONE, np.uint8)
    if row.mask is not None:
        mask = find_marked(read_mask(row.mask, row.mask_frame, shape, slice_.info))
        return np.where(mask, TUMOR_MASK, TUMOR_NONE).astype(np.uint8)
    if not row.boxes:
        return np.full(shape, TUMOR_UNKNOWN, np.uint8)
    picture = Image.new("L", (shape[1], shape[0]), TUMOR_NONE)
    draw = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in row.boxes:
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=TUMOR_BOX)
    return np.asarray(picture)
