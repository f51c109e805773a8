"""DICOM objects and series. With `decoding`, the only door to pydicom.

Pixels are the scanner's values, see `decoding`. A window is kept in ``info.window``, not applied.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
)

from tumorlens.errors import InputError
from tumorlens.imaging.decoding import decode_frame
from tumorlens.imaging.filemeta import check_inflated
from tumorlens.imaging.geometry import arrange
from tumorlens.imaging.headers import FrameHeader, count_frames, explain_no_picture, read_place
from tumorlens.imaging.limits import Limits
from tumorlens.imaging.parts import Opener, Part
from tumorlens.imaging.refusal import refuse
from tumorlens.imaging.series import Place, Placed, cut_series, order_places
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.voxels import clean_pixels

__all__ = [
    "SeriesHeader",
    "read_dataset",
    "read_dicom",
    "read_directory",
    "read_header",
    "read_series",
]

_DAMAGED = "is a damaged DICOM file"
_ADVICE = "export it anew"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SMALLEST_FRAME = 8  # bytes: the header of a fragment, or 64 pixels of one bit
_HEADER_TAGS = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "PixelSpacing",
    "PatientOrientation",
    "NumberOfFrames",
    "Rows",
    "Columns",
]


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """What grouping and sorting of files needs.

    Attributes:
        series: Series Instance UID; empty if the file names none.
        place: of its first frame.
        frames: number of frames.
    """

    series: str
    place: Place
    frames: int


def read_header(stream: BinaryIO, path: str, limits: Limits) -> SeriesHeader | str:
    """Header of a file, without its pixels; a phrase if it is no picture.

    Raises:
        InputError: it cannot be parsed.
    """
    dataset = _parse(stream, path, limits, stop_before_pixels=True, specific_tags=_HEADER_TAGS)
    with refuse(path, _DAMAGED, _ADVICE):
        reason = explain_no_picture(dataset)
        if reason:
            return reason
        header = FrameHeader(dataset, 0)
        uid = str(dataset.get("SeriesInstanceUID") or "")
        return SeriesHeader(uid, read_place(header), count_frames(dataset))


def read_directory(stream: BinaryIO, path: str, limits: Limits) -> list[tuple[str, ...]]:
    """Files that a DICOMDIR names (PS3.3, F.3), as folders and file name.

    Raises:
        InputError: it cannot be parsed, or is no directory.
    """
    dataset = _parse(stream, path, limits)
    with refuse(path, "is a damaged DICOMDIR", "name the folder instead of the DICOMDIR"):
        records = dataset.DirectoryRecordSequence
        names = [record.get("ReferencedFileID") for record in records]
        return [(name,) if isinstance(name, str) else tuple(name) for name in names if name]


def read_dicom(stream: BinaryIO, path: str, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of one file, sorted by position; see `series.cut_series` for the plane.

    Raises:
        InputError: it cannot be parsed, or is no picture.
    """
    return read_dataset(_parse(stream, path, limits), path, limits)


def read_dataset(dataset: Dataset, path: str, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of a data set in memory.

    Raises:
        InputError: it is no picture, or asks for too much.
    """
    with refuse(path, _DAMAGED, _ADVICE):
        dataset = _name_syntax(dataset)
        count = count_frames(dataset)
    return cut_series(_read_frames(dataset, path, limits), path, count, limits)


def read_series(parts: Sequence[Part], path: str, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of the files of a series, in the order given; bad ones as errors.

    Args:
        parts: the files, sorted.
        path: names slices that are cut from the volume of all files.
        limits: for each file, and for the volume.
    """
    return cut_series(_read_parts(parts, limits), path, len(parts), limits)


def _read_parts(parts: Sequence[Part], limits: Limits) -> Iterator[Placed | InputError]:
    with Opener(limits) as opener:
        for part in parts:
            try:
                with opener.open(part) as stream:
                    dataset = _parse(stream, part.path, limits)
                yield from _read_frames(dataset, part.path, limits)
            except InputError as error:
                yield error


def _parse(stream: BinaryIO, path: str, limits: Limits, **options: Any) -> Dataset:
    with refuse(path, _DAMAGED, _ADVICE):
        check_inflated(stream, path, limits)
        return _name_syntax(pydicom.dcmread(stream, force=True, **options))


def _name_syntax(dataset: Dataset) -> Dataset:
    """The data set itself, or a shallow copy with the plain syntax it was written in."""
    if "TransferSyntaxUID" in getattr(dataset, "file_meta", {}):
        return dataset
    implicit, little = dataset.original_encoding
    plain = ExplicitVRBigEndian if little is False else ExplicitVRLittleEndian
    named = copy.copy(dataset)
    named.file_meta = FileMetaDataset()
    named.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    return named


def _read_frames(dataset: Dataset, path: str, limits: Limits) -> Iterator[Placed | InputError]:
    """Frames in the order of their places; the first that fails ends the file."""
    with refuse(path, _DAMAGED, _ADVICE):
        count = _check_pixels(dataset, path, limits)
        headers = [FrameHeader(dataset, index) for index in range(count)]
        order = order_places([read_place(header) for header in headers]) if count > 1 else [0]
        syntax = dataset.file_meta.TransferSyntaxUID.name
    for header in map(headers.__getitem__, order):
        with refuse(path, f"has pixels that cannot be decoded as {syntax}", _ADVICE):
            values = decode_frame(header, path, limits)
        try:
            placed = _place(values, header, path)
        except InputError as error:  # a frame of NaN alone, among others
            yield error
        else:
            yield placed


def _check_pixels(dataset: Dataset, path: str, limits: Limits) -> int:
    """Refuse what holds no pixels, or too many; else the number of frames."""
    reason = explain_no_picture(dataset)
    if reason:
        raise InputError(path, reason, "give the images of the series")
    if not any(key in dataset for key in _PIXELS):
        encrypted = "EncryptedAttributesSequence" in dataset
        raise InputError(path, "has encrypted pixels" if encrypted else "has no pixels", _ADVICE)
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), count_frames(dataset)
    limits.check_slice(path, rows, columns)
    if dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit and dataset.BitsStored > 8:
        reason = "is a 12-bit JPEG, which no freely licensed decoder here reads"
        raise InputError(path, reason, "convert it to an uncompressed DICOM file")
    if count * _SMALLEST_FRAME > sum(len(dataset.get(key) or b"") for key in _PIXELS):
        raise InputError(path, f"is cut short: it promises {count} frames", _ADVICE)
    return count


def _place(values: npt.NDArray[Any], header: FrameHeader, path: str) -> Placed:
    """Turn a frame for display, where the file tells how it lies."""
    pixels, notes = clean_pixels(values, path)
    grid = header.grid
    if grid is None:
        if header.has_orientation:
            notes = (*notes, "orientation makes no sense: shown as stored")
        position = header.location
        return Placed(Slice(pixels, header.describe(path, notes, position_mm=position)), None)
    arranged = arrange(pixels[np.newaxis], grid, 0)
    info = header.describe(
        path,
        notes,
        position_mm=arranged.position_mm(0) if header.has_position else header.location,
        spacing_mm=arranged.spacing_mm if header.spacing else None,
        plane=arranged.plane,
        sides_known=arranged.sides_known,
    )
    return Placed(Slice(np.ascontiguousarray(arranged.slices[0]), info), arranged.grid)
