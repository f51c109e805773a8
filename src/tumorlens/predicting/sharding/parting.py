"""Which inputs belong to which shard of a run.

The series that an input belongs to decides, and nothing else: no list of all inputs is kept, and
their order does not matter. Where studies are judged, the study decides.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePath
from typing import Any

from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.access import Opener
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.files.sources import Found, Skipped, Source
from tumorlens.shards import DIGEST_BYTES, Shard, digest_identity
from tumorlens.studies.assembling import FolderRule, find_study_of_path

__all__ = ["Parting", "Sameness", "take_part"]


@dataclass(frozen=True, slots=True)
class Sameness:
    """When two inputs must be in one shard.

    Attributes:
        series_from, study_from: ``folder`` where the caller says that folders are such.
        whole_studies: all series of a study are judged together.
        limits: for headers that are read.
    """

    series_from: FolderRule = None
    study_from: FolderRule = None
    whole_studies: bool = False
    limits: Limits = DEFAULT_LIMITS

    def identify(self, found: Found) -> str:
        """The series (or study) of an input; equal for inputs that must stay together."""
        path = os.path.normpath(found.path)
        if not isinstance(found, Source):
            return f"path {path}"
        if found.kind == "dicom":
            series, study = self._read_uids(found)
            if self.whole_studies and study:
                return f"study {study}"
            if series and not self.whole_studies:
                return f"series {series}"
            named = f"series {series}" if series else f"path {path}"
        else:
            named = f"path {path}"
        if self.series_from == "folder" and not found.is_series and found.kind != "volume":
            path = str(PurePath(path).parent)
            named = f"folder {path}" if named.startswith("path ") else named
        if self.whole_studies:
            return find_study_of_path(path, self.study_from) or named
        return named

    def _read_uids(self, source: Source) -> tuple[str, str]:
        """Series and Study Instance UID of a DICOM file or series; empty where it has none."""
        if source.series_uid and not self.whole_studies:
            return source.series_uid, ""
        from tumorlens.imaging.dicom.datasets import read_header

        part = source.parts[0]
        try:
            with Opener(self.limits) as opener, opener.open(part, ahead=False) as stream:
                header = read_header(stream, part.path, self.limits)
        except (InputError, OSError):
            return source.series_uid or "", ""  # its reader reports the fault
        if isinstance(header, str):
            return "", ""
        return source.series_uid or header.series, header.origin[0]


class Parting:
    """Counts the inputs of a run, and tells which of them are of its shard.

    Args:
        shard: None for a run that is not parted.
        sameness: what must stay together.

    Attributes:
        shard: as given.
        count: inputs that were seen, of all shards.
        place: of the records that are written now, in the order of all shards. What is written at
            the end of a series stands half a step behind its last input.
    """

    def __init__(self, shard: Shard | None, sameness: Sameness) -> None:
        self.shard = shard
        self.sameness = sameness
        self.count = 0
        self.place: float = 0
        self._sum = 0
        self._order = blake2b(digest_size=DIGEST_BYTES)

    def take(self, found: Found) -> bool:
        """Whether an input is of the shard. Call it once for each input, in their order."""
        if self.shard is None:
            return True
        identity = self.sameness.identify(found)
        if not isinstance(found, Skipped):
            self.count += 1
            digest = digest_identity(identity)
            self._sum = (self._sum + int.from_bytes(digest)) % 2 ** (8 * DIGEST_BYTES)
            self._order.update(digest)
        return self.shard.holds(identity)

    @property
    def fingerprint(self) -> str:
        """Of all inputs, whatever their order."""
        return f"{self._sum:0{2 * DIGEST_BYTES}x}"

    @property
    def order(self) -> str:
        """Fingerprint of the order of all inputs."""
        return self._order.hexdigest()

    def leaves_gap(self, number: int) -> bool:
        """Whether inputs of other shards lie between the last one and this."""
        return self.shard is not None and number > self.place + 1

    def reach(self, number: int) -> None:
        """The records that follow are of this input."""
        self.place = number


def take_part(inputs: Iterator[Any], shard: Shard, limits: Limits) -> Iterator[Any]:
    """Those of the inputs of `find_inputs` that are of a shard.

    Raises:
        UsageError: an input is an object in memory, which other machines do not have.
    """
    sameness = Sameness(limits=limits)
    for found in inputs:
        if not isinstance(found, (Source, InputError)):
            raise UsageError(
                f"`shard={shard}` parts files and folders, and got an object of type "
                f"{type(found).__name__}; give paths"
            )
        if shard.holds(sameness.identify(found)):
            yield found
