"""What a watch needs to know of an image: whose it is, and whether it is to be judged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.access import open_file
from tumorlens.imaging.files.contents import DRAWN_BY, HEAD_BYTES, sniff
from tumorlens.imaging.files.limits import DEFAULT_LIMITS
from tumorlens.integration.pacs.study_queue import Arrival

__all__ = ["ImageHeader", "SeriesFilter", "is_uid", "make_arrival", "read_image_header"]

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Of one DICOM object.

    Attributes:
        study, series, instance: UIDs.
        modality: e.g. ``MR``.
        body_part: Body Part Examined.
        descriptions: of study and series, and the protocol.
        manufacturer: of the equipment; ``tumorlens`` for what this program wrote.
    """

    study: str
    series: str
    instance: str
    modality: str = ""
    body_part: str = ""
    descriptions: tuple[str, ...] = ()
    manufacturer: str = ""

    @property
    def is_own(self) -> bool:
        """Whether this program wrote it: it is never judged."""
        return self.manufacturer == DRAWN_BY


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which series of a study are judged.

    Attributes:
        modalities: in upper or lower case; empty for any.
        descriptions: patterns (``*``, ``?``) for the description of study or series, or the name of
            the protocol; one of them fits. Case does not matter. Empty for any.
        body_parts: Body Part Examined, in upper or lower case; empty for any. A series that states
            none does not pass a filter that names some.
    """

    modalities: tuple[str, ...] = ("MR",)
    descriptions: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("modalities", "descriptions", "body_parts"):
            if not all(one.strip() for one in getattr(self, name)):
                raise UsageError(f"`{name}=` holds an empty word")

    def passes(self, header: ImageHeader) -> bool:
        """Whether the image of this header is judged."""
        return (
            not header.is_own
            and _is_one_of(header.modality, self.modalities)
            and _is_one_of(header.body_part, self.body_parts)
            and self._is_described(header.descriptions)
        )

    def _is_described(self, descriptions: Iterable[str]) -> bool:
        if not self.descriptions:
            return True
        patterns = [one.upper() for one in self.descriptions]
        return any(fnmatch(one.upper(), pattern) for one in descriptions for pattern in patterns)


def _is_one_of(word: str, words: tuple[str, ...]) -> bool:
    return not words or word.upper() in map(str.upper, words)


def is_uid(text: str) -> bool:
    """Whether a text may be a UID, so that a file may be named after it."""
    return 0 < len(text) <= 64 and _UID.fullmatch(text) is not None


def make_arrival(study: str, instances: Iterable[str]) -> Arrival:
    """A study with the images that passed the filters."""
    known = sorted(set(instances))
    return Arrival(study, sha256("\n".join(known).encode()).hexdigest(), len(known))


def read_image_header(path: Path) -> ImageHeader | None:
    """The header of a file; None if it is no DICOM object, or names no study."""
    from tumorlens.imaging.dicom.datasets import read_attributes

    name = str(path)
    try:
        with open_file(path, name) as stream:
            if sniff(stream.read(HEAD_BYTES)) != "dicom":
                return None
            stream.seek(0)
            return describe_image(read_attributes(stream, name, DEFAULT_LIMITS))
    except InputError:
        return None


def describe_image(dataset: object) -> ImageHeader | None:
    """The header of a data set; None if its UIDs are none."""
    from tumorlens.imaging.dicom.elements import read_text

    def read(keyword: str) -> str:
        return read_text(dataset, keyword)

    study, series, instance = map(read, ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
    if not (is_uid(study) and is_uid(series) and is_uid(instance)):
        return None
    described = map(read, ("StudyDescription", "SeriesDescription", "ProtocolName"))
    return ImageHeader(
        study, series, instance, read("Modality"), read("BodyPartExamined"),
        tuple(filter(None, described)), read("Manufacturer"),
    )  # fmt: skip
