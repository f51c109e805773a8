"""Bytes become a data set: pydicom's parser, and what it needs where files break the standard."""

from __future__ import annotations

import copy
import threading
from typing import Any, BinaryIO

from tumorlens.errors import InputError
from tumorlens.imaging.dicom.completion import is_plain, is_wrapped
from tumorlens.imaging.dicom.filemeta import check_inflated
from tumorlens.imaging.dicom.objects import may_be_image
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import refuse, tell
from tumorlens.imaging.files.shadows import hide_shadows

with hide_shadows():
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        UID,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        RLELossless,
    )

__all__ = ["ADVICE", "DAMAGED", "PIXELS", "name_syntax", "parse"]

DAMAGED = "is a damaged DICOM file"
ADVICE = "export it anew"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

_ODD_TYPE = "an element has a type that does not exist: read as text"
_one_at_a_time = threading.Lock()


class _OffInThisThread:
    """A setting of pydicom that is off in the thread that makes it; others see what it was."""

    def __init__(self, before: bool) -> None:
        self._thread, self._before = threading.get_ident(), before

    def __bool__(self) -> bool:
        return bool(self._before) and threading.get_ident() != self._thread


def parse(stream: BinaryIO, path: str, limits: Limits, **options: Any) -> Dataset:
    """The data set of a file, with a transfer syntax.

    Args:
        stream: the file, at its start.
        path: names it.
        limits: what may be inflated.
        options: of `pydicom.dcmread`.

    Raises:
        InputError: it cannot be parsed, or nobody knows how its pixels are encoded.
    """
    with refuse(path, DAMAGED, ADVICE):
        check_inflated(stream, path, limits)
        dataset = pydicom.dcmread(stream, force=True, **options)
        if _may_have_lost_its_way(dataset, header="stop_before_pixels" in options):
            dataset = _parse_anew(stream, dataset, options)
        dataset.buffer = None  # pydicom keeps the stream, and with it all that was unpacked
        return name_syntax(dataset, path)


def _may_have_lost_its_way(dataset: Dataset, *, header: bool) -> bool:
    """Whether a data set that states types lacks the picture, or the pixels, of its class."""
    if dataset.original_encoding[0] is not False or "DirectoryRecordSequence" in dataset:
        return False
    if "Rows" not in dataset:
        return may_be_image(dataset)
    return not (header or any(key in dataset for key in PIXELS))


def _parse_anew(stream: BinaryIO, dataset: Dataset, options: dict[str, Any]) -> Dataset:
    """The data set as it is where no element is taken for one without a type.

    Some programs write ``??``, ``--`` or zeros as the type (VR) of elements that they do not know.
    pydicom takes such an element for one of an implicit encoding, and its length for four bytes:
    that of all that follows.
    """
    stream.seek(0)
    with _one_at_a_time:
        before = pydicom.config.assume_implicit_vr_switch
        pydicom.config.assume_implicit_vr_switch = _OffInThisThread(before)
        try:
            anew = pydicom.dcmread(stream, force=True, **options)
        except Exception:  # it was lost in another way
            return dataset
        finally:
            pydicom.config.assume_implicit_vr_switch = before
    if len(anew) <= len(dataset) or "Rows" not in anew:
        return dataset
    tell(_ODD_TYPE)
    return anew


def name_syntax(dataset: Dataset, path: str) -> Dataset:
    """The data set itself, or a shallow copy with the syntax that its pixels have.

    Raises:
        InputError: its pixels are encoded in a transfer syntax that is not known.
    """
    _refuse_unknown(dataset, path)
    if is_wrapped(dataset):
        tell("the pixels are compressed, though the transfer syntax does not say so")
        return _name(dataset, RLELossless)  # what each frame says of itself comes first
    if is_plain(dataset):
        tell("the pixels are not compressed, though the transfer syntax says so")
    elif getattr(dataset, "file_meta", {}).get("TransferSyntaxUID"):
        return dataset
    implicit, little = dataset.original_encoding
    plain = ExplicitVRBigEndian if little is False else ExplicitVRLittleEndian
    return _name(dataset, ImplicitVRLittleEndian if implicit else plain)


def _name(dataset: Dataset, syntax: str) -> Dataset:
    named = copy.copy(dataset)
    named.file_meta = FileMetaDataset()
    named.file_meta.TransferSyntaxUID = syntax
    return named


def _refuse_unknown(dataset: Dataset, path: str) -> None:
    """Refuse pixels in a transfer syntax that pydicom does not know, such as a vendor's own."""
    stated = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if not isinstance(stated, UID) or not stated.is_valid or stated.is_transfer_syntax:
        return
    if any(key in dataset for key in PIXELS):
        raise InputError(
            path,
            f"is written in the transfer syntax {stated}, which is not known",
            "convert it to an uncompressed DICOM file with the program that wrote it",
        )
