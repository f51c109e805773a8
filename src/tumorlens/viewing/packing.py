"""DICOM objects of a job, packed for a browser."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.errors import UsageError

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = ["pack_objects"]


def pack_objects(paths: tuple[str, ...], detector: Detector) -> bytes:
    """A zip archive of what ``predict --dicom-out`` writes for some files, which are judged again.

    Raises:
        UsageError: there is no DICOM study among them; says why, if the writer does.
        MissingExtra: the extra ``dicom`` is not installed.
    """
    from tumorlens.integration.dicom.object_writing import write_dicom

    told: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tumorlens-") as place:
        written = write_dicom(paths, Path(place) / "objects", model=detector, notice=told.append)
        if not written.files:
            raise UsageError("; ".join(["no DICOM object could be made", *told]))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in written.files:
                archive.write(file, file.relative_to(place))
    return packed.getvalue()
