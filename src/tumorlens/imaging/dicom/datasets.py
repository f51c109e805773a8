"""DICOM objects and series. With `decoding`, the only door to pydicom.

Pixels are the scanner's values, see `decoding`. A window is kept in ``info.window``, not applied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.imaging.dicom.completion import complete_pixels
from tumorlens.imaging.dicom.decoding import Frames, decode_frame
from tumorlens.imaging.dicom.elements import count_items, read_floats, read_text
from tumorlens.imaging.dicom.headers import FrameHeader, hash_patient, read_places
from tumorlens.imaging.dicom.objects import (
    count_frames,
    explain_no_picture,
    is_cut_short,
    is_mosaic,
)
from tumorlens.imaging.dicom.parsing import ADVICE, DAMAGED, PIXELS, name_syntax, parse
from tumorlens.imaging.files.access import Opener
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import listen, refuse
from tumorlens.imaging.files.shadows import hide_shadows
from tumorlens.imaging.files.stored_files import Source, StoredFile
from tumorlens.imaging.geometry import Grid, arrange
from tumorlens.imaging.pixels.voxels import clean_pixels
from tumorlens.imaging.series.cutting import read_stacks
from tumorlens.imaging.series.places import Place
from tumorlens.imaging.series.stacks import Stack, plan_stacks
from tumorlens.imaging.slices import Slice

with hide_shadows():
    from pydicom.dataset import Dataset
    from pydicom.multival import MultiValue
    from pydicom.uid import JPEGExtended12Bit

__all__ = [
    "SeriesHeader",
    "read_attributes",
    "read_dataset",
    "read_dicom",
    "read_directory",
    "read_header",
    "read_series",
]

_NO_PICTURE_ADVICE = "give the images of the series"
_ALONE = "one {} slice of a 3-D volume: name its folder to have axial slices cut"
_SMALLEST_FRAME = 8  # bytes: the header of a fragment, or 64 pixels of one bit
_HEADER_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "Manufacturer",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "FrameOfReferenceUID",
    "PatientID",
    "IssuerOfPatientID",
    "ImageType",
    "InstanceNumber",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "EchoNumbers",
    "EchoTime",
    "TriggerTime",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "SequenceName",
    "InversionTime",
    "FlipAngle",
    "AcquisitionTime",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PatientOrientation",
    "SliceLocation",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *((0x0019, element) for element in (0x0010, 0x100A)),
    *((0x0065, element) for element in (0x0010, 0x1050)),
    (0x0043, 0x102F),
]


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """What grouping and sorting of files needs.

    Attributes:
        series: Series Instance UID; empty if the file names none.
        origin: its study and a hash of its patient: no two of them share a series.
        instance: SOP Instance UID; empty if the file names none.
        places: of its frames; empty if only the whole file tells how many there are.
    """

    series: str
    origin: tuple[str, str]
    instance: str
    places: tuple[Place, ...]


def read_header(stream: BinaryIO, path: str, limits: Limits) -> SeriesHeader | str:
    """Header of a file, without its pixels; a phrase if it is no picture.

    Raises:
        InputError: it cannot be parsed, or holds pictures that cannot be read.
    """
    dataset = parse(stream, path, limits, stop_before_pixels=True, specific_tags=_HEADER_TAGS)
    if not len(dataset):  # nothing of what was asked for, or nothing at all
        stream.seek(0)
        dataset = parse(stream, path, limits, stop_before_pixels=True)
    with refuse(path, DAMAGED, ADVICE):
        reason = explain_no_picture(dataset)
        if reason and is_cut_short(dataset):
            raise InputError(path, reason, ADVICE)
        if reason and is_mosaic(dataset):
            raise InputError(path, reason, _NO_PICTURE_ADVICE)
        if reason:
            return reason
        count = count_frames(dataset)
        return SeriesHeader(
            read_text(dataset, "SeriesInstanceUID"),
            (read_text(dataset, "StudyInstanceUID"), hash_patient(dataset) or ""),
            read_text(dataset, "SOPInstanceUID"),
            tuple(read_places(dataset, count) if _is_told(dataset, count) else ()),
        )


def _is_told(dataset: Dataset, count: int) -> bool:
    """Whether the header has a group for each frame, so that the number is no mere promise."""
    return count in (1, count_items(dataset, "PerFrameFunctionalGroupsSequence"))


def read_attributes(stream: BinaryIO, path: str, limits: Limits) -> Dataset:
    """All elements of a file but its pixels.

    Raises:
        InputError: it cannot be parsed.
    """
    return parse(stream, path, limits, stop_before_pixels=True)


def read_directory(stream: BinaryIO, path: str, limits: Limits) -> list[tuple[str, ...]]:
    """Files that a DICOMDIR names (PS3.3, F.3), as folders and file name.

    Raises:
        InputError: it cannot be parsed, or is no directory.
    """
    dataset = parse(stream, path, limits)
    with refuse(path, "is a damaged DICOMDIR", "name the folder instead of the DICOMDIR"):
        records = dataset.DirectoryRecordSequence
        names = [record.get("ReferencedFileID") for record in records]
        return [_spell(name) for name in names if name]


def _spell(name: Any) -> tuple[str, ...]:
    """One value or several, as text whatever their representation was damaged to."""
    return tuple(map(str, name)) if isinstance(name, MultiValue) else (str(name),)


def read_dicom(stream: BinaryIO, path: str, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of one file; see `series.stacks` for their order and plane.

    Raises:
        InputError: it cannot be parsed, or is no picture.
    """
    with listen() as heard:
        dataset = parse(stream, path, limits)
    return read_dataset(dataset, path, limits, heard)


def read_dataset(
    dataset: Dataset, path: str, limits: Limits, heard: Sequence[str] = ()
) -> Iterator[Slice | InputError]:
    """Slices of a data set in memory.

    Args:
        dataset: with its pixels.
        path: names it.
        limits: for each frame.
        heard: notes on how it was parsed.

    Raises:
        InputError: it is no picture, or asks for too much.
    """
    with listen() as more, refuse(path, DAMAGED, ADVICE):
        dataset = complete_pixels(name_syntax(dataset, path))
        places = list(read_places(dataset, _check_pixels(dataset, path, limits)))
        stacks = plan_stacks(places, limits.smallest_side)
        if read_text(dataset, "MRAcquisitionType") == "3D":
            stacks = [_tell_alone(stack) for stack in stacks]
    pixels = _Pixels(dataset, path, limits, [*heard, *more])
    return read_stacks(stacks, pixels.load_until_error, path, limits)


def _tell_alone(stack: Stack) -> Stack:
    """Note that of a volume that would be cut into axial slices there is but one slice here."""
    if len(stack.members) > 1 or stack.plane in (None, "axial"):
        return stack
    return replace(stack, notes=(*stack.notes, _ALONE.format(stack.plane)))


def read_series(source: Source, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of a series of files; bad ones as errors.

    Args:
        source: with the places of its files.
        limits: for each file, and for the volume.
    """
    frames = [(part, place) for part, places in enumerate(source.places) for place in places]
    stacks = plan_stacks([place for _, place in frames], limits.smallest_side)
    noted = [replace(stack, notes=(*stack.notes, *source.notes)) for stack in stacks]
    with Opener(limits) as opener:
        files = _Files(source.parts, frames, opener, limits)
        items = read_stacks(noted, files.load, source.path, limits)
        nameless = source.is_series and not source.series_uid
        yield from (_name_series(item, source.path) if nameless else item for item in items)


def _name_series(item: Slice | InputError, path: str) -> Slice | InputError:
    if isinstance(item, InputError):
        return item
    return replace(item, info=replace(item.info, series_path=path))


class _Files:
    """Frames of several files, of which one is held at a time. A file has one error at most."""

    def __init__(
        self,
        parts: Sequence[StoredFile],
        frames: Sequence[tuple[int, Place]],
        opener: Opener,
        limits: Limits,
    ) -> None:
        self._parts, self._frames = parts, frames
        self._opener, self._limits = opener, limits
        self._held: tuple[int, _Pixels] | None = None
        self._failed: set[int] = set()

    def load(self, index: int, grid: Grid | None) -> Slice | InputError | None:
        """The frame ``index`` of all files, counted one file after the other."""
        number, place = self._frames[index]
        if number in self._failed:
            return None
        try:
            return self._open(number).load(place.frame, grid)
        except InputError as error:
            self._failed.add(number)
            return error

    def _open(self, number: int) -> _Pixels:
        if self._held is None or self._held[0] != number:
            self._held = None  # the one before may go before the next one comes
            part = self._parts[number]
            with listen() as heard:
                with self._opener.open(part) as stream:
                    dataset = parse(stream, part.path, self._limits)
                with refuse(part.path, DAMAGED, ADVICE):
                    dataset = complete_pixels(dataset)
                    _check_pixels(dataset, part.path, self._limits)
            self._held = (number, _Pixels(dataset, part.path, self._limits, heard))
        return self._held[1]


class _Pixels:
    """Frames of one data set. The first that cannot be decoded ends it.

    What is heard of its values is noted with each: pydicom reads a value once, and warns once.
    """

    def __init__(
        self, dataset: Dataset, path: str, limits: Limits, heard: Sequence[str] = ()
    ) -> None:
        self._dataset, self._path = dataset, path
        self._frames = Frames(dataset, path, limits)
        self._failed = False
        self._heard = list(heard)

    def load_until_error(self, index: int, grid: Grid | None) -> Slice | InputError | None:
        """Like `load`, with the error in the place of the frame, and nothing after it."""
        if self._failed:
            return None
        try:
            return self.load(index, grid)
        except InputError as error:
            self._failed = True
            return error

    def load(self, index: int, grid: Grid | None) -> Slice | InputError:
        """One frame, turned for display by ``grid``.

        Raises:
            InputError: it cannot be decoded.
        """
        with listen() as heard:
            item = self._load(index, grid)
        self._heard = list(dict.fromkeys((*self._heard, *heard)))
        if isinstance(item, InputError) or not self._heard:
            return item
        return replace(item, info=replace(item.info, notes=(*item.info.notes, *self._heard)))

    def _load(self, index: int, grid: Grid | None) -> Slice | InputError:
        header = FrameHeader(self._dataset, index)
        syntax = header.dataset.file_meta.TransferSyntaxUID.name
        with refuse(self._path, f"has pixels that cannot be decoded as {syntax}", ADVICE):
            values = decode_frame(header, self._frames, self._path)
        try:
            return _place(values, header, grid, self._path)
        except InputError as error:  # a frame of NaN alone, among others
            return error


def _check_pixels(dataset: Dataset, path: str, limits: Limits) -> int:
    """Refuse what holds no pixels, or too many; else the number of frames."""
    reason = explain_no_picture(dataset)
    if reason:
        raise InputError(path, reason, _NO_PICTURE_ADVICE)
    if not any(dataset.get(key) for key in PIXELS):
        encrypted = "EncryptedAttributesSequence" in dataset
        raise InputError(path, "has encrypted pixels" if encrypted else "has no pixels", ADVICE)
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), count_frames(dataset)
    limits.check_slice(path, rows, columns)
    if dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit and dataset.BitsStored > 8:
        reason = "is a 12-bit JPEG, which no freely licensed decoder reads"
        raise InputError(path, reason, "convert it to an uncompressed DICOM file")
    if count > _most_frames(dataset):
        raise InputError(path, f"is cut short: it states {count} frames", ADVICE)
    return count


def _most_frames(dataset: Dataset) -> float:
    """How many frames, the last of them perhaps cut short, the pixels of a data set can hold."""
    held = sum(len(dataset.get(key) or b"") for key in PIXELS)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return held / _SMALLEST_FRAME
    bits = [read_floats(dataset, key, 1) for key in ("BitsAllocated", "SamplesPerPixel")]
    each = math.prod(value[0] for value in bits if value) / 8
    each *= float(dataset.Rows) * float(dataset.Columns)
    return held / max(each, _SMALLEST_FRAME) + 1


def _place(values: npt.NDArray[Any], header: FrameHeader, grid: Grid | None, path: str) -> Slice:
    """Turn a frame for display, where the file tells how it lies."""
    pixels, notes = clean_pixels(values, path)
    if grid is None:
        if header.has_orientation:
            notes = (*notes, "orientation makes no sense: shown as stored")
        return Slice(pixels, header.describe(path, notes, position_mm=header.location))
    arranged = arrange(pixels[np.newaxis], grid, 0)
    info = header.describe(
        path,
        notes,
        position_mm=header.location if header.origin is None else arranged.position_mm(0),
        lps_mm=None if header.origin is None else arranged.lps_mm(0),
        spacing_mm=arranged.spacing_mm if header.spacing else None,
        plane=arranged.plane,
        sides_known=arranged.sides_known,
    )
    return Slice(np.ascontiguousarray(arranged.slices[0]), info)
