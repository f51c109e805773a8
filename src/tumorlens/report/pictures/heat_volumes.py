"""The evidence of a series as a NIfTI volume, for any viewer that lays one over another."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tumorlens.finding import Finding
from tumorlens.imaging.slices import Slice
from tumorlens.report.pictures.heat import spread_evidence
from tumorlens.report.pictures.heatmaps import name_series
from tumorlens.study_finding import SeriesFinding
from tumorlens.writing import make_folder

__all__ = ["EvidenceVolumes"]


@dataclass(slots=True)
class EvidenceVolumes:
    """Gathers the evidence of slices, and writes a volume a series when it ends.

    Voxels are 0 to 100: the percentage that the model's cells give, on the grid of the slices as
    they were judged. Slices that were not judged are 0.

    Attributes:
        folder: made if it is not there; volumes in it are replaced.
    """

    folder: Path
    _planes: dict[tuple[str, int], npt.NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        make_folder(self.folder)

    def keep(self, slice_: Slice, finding: Finding) -> None:
        """Take the evidence of a slice."""
        height, width = slice_.pixels.shape
        plane = np.zeros((height, width), np.uint8)
        if finding.verdict != "not_judged":
            share = spread_evidence(finding, (height, width)).astype(np.float32)
            plane = np.rint(share * np.float32(100 / 255)).astype(np.uint8)
        self._planes[finding.info.place()] = plane

    def settle(self, series: SeriesFinding) -> str:
        """Write the volume of a series that has ended.

        Returns:
            Why none was written, in a sentence; empty if one was.
        """
        from tumorlens.imaging.volumes.nifti_writing import write_volume

        infos = [one.info for one in series.findings if one.error is None]
        kept = [(info, self._planes.pop(info.place(), None)) for info in infos]
        places = [info.lps_mm for info, plane in kept if plane is not None and info.lps_mm]
        planes = [plane for info, plane in kept if plane is not None and info.lps_mm]
        if not planes or len(planes) < len(kept):
            return f"{series.path}: no evidence volume, for its place in the patient is not known"
        try:
            write_volume(self.place(series), planes, places)
        except ValueError as error:
            return f"{series.path}: no evidence volume, for {error}"
        return ""

    def place(self, series: SeriesFinding) -> Path:
        """Where the volume of a series goes: named after it, told from others by a digest."""
        return self.folder / f"{name_series(series)}.evidence.nii.gz"
