"""`Scene`: what a viewer shows of one series or one picture, as files that it can load.

A scene shows the slices as they were judged, whatever files they came from: grey values and heat
are two NIfTI volumes on one grid, so that slice, verdict and evidence always belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.pixels.outline import outline_head
from tumorlens.imaging.pixels.voxels import find_range
from tumorlens.imaging.slices import Slice
from tumorlens.report.pictures.heat import level_heat
from tumorlens.report.pictures.markers import Markers, choose_markers
from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = ["Scene", "SceneKeeper"]

GAP_MM = 5.0
"""Between slices whose place is unknown, as `studies` takes them."""
HEAD_MM = 160.0
"""The largest extent of slices whose place is unknown."""
_SAMPLE = 250_000  # voxels by which the range of a volume is found

Placing = tuple[tuple[float, float, float], ...]
Plane = npt.NDArray[Any]
_Key = tuple[str, int, str | None]  # two series that are cut from one folder count frames alike


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One series, or one picture that belongs to none.

    Attributes:
        folder: holds ``scan.nii`` and ``heat.nii``, both (slices, H, W) on one grid. Slices that
            are smaller than others lie at the top left.
        findings: of the slices, with their maps.
        marks: boxes and strongest point of each slice, as an overlay shows them.
        series: of the slices; None for a picture that belongs to none.
        shape: (slices, H, W).
        dtype: of the grey values.
        affine: (4, 4), from (column, row, slice) to millimetres of the scene: along the axes of
            the patient as far as these are known, without a tilt.
        window: (lowest, highest) value that is shown, as the file proposes or the values give it.
        span: (lowest, highest) value that a person may choose.
        reason: why the slices are laid in a row, and not where the patient lay; empty if they lie
            there.
        contrast: typical range of intensities, as `Slice` has it.
    """

    folder: Path
    findings: tuple[Finding, ...]
    marks: tuple[Markers, ...]
    series: SeriesFinding | None
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    affine: npt.NDArray[np.float64]
    window: tuple[float, float]
    span: tuple[float, float]
    reason: str
    contrast: float | None = None

    @property
    def scan(self) -> Path:
        """Grey values: of the scanner, without a window."""
        return self.folder / "scan.nii"

    @property
    def heat(self) -> Path:
        """Levels of `heat.scale_colors`, 0 to 255."""
        return self.folder / "heat.nii"

    @property
    def info(self) -> SliceInfo:
        """Of the first slice."""
        return self.findings[0].info

    def read_slice(self, number: int) -> Slice:
        """One slice as it was judged."""
        from tumorlens.imaging.volumes.nifti_writing import OFFSET

        _, rows, columns = self.shape
        start = OFFSET + number * rows * columns * self.dtype.itemsize
        with self.scan.open("rb") as stream:
            stream.seek(start)
            values = np.fromfile(stream, self.dtype, rows * columns).reshape(rows, columns)
        return Slice(values.astype(np.float32), self.findings[number].info, self.contrast)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A slice that waits for its series to end."""

    start: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    marks: Markers
    finding: Finding
    contrast: float | None


@dataclass(slots=True)
class SceneKeeper:
    """Makes a scene of each series of a run, and at its end of each single picture.

    It is a `predicting.options.Taker`. Pixels wait in a file, so that memory stays flat.

    Attributes:
        folder: there already; each scene gets a folder in it.
        scenes: in the order in which series ended.
        slices: how many were taken.
    """

    folder: Path
    scenes: list[Scene] = field(default_factory=list)
    slices: int = 0
    _kept: dict[_Key, _Kept] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def keep(self, slice_: Slice, finding: Finding) -> None:
        """Take a slice; several threads call this, in any order."""
        outline = outline_head(slice_)
        rows, columns = slice_.pixels.shape
        heat = level_heat(finding, outline, (rows, columns))
        plane = _shrink(slice_.pixels)
        marks = choose_markers(finding, outline, (rows, columns))
        with self._lock, self._waiting.open("ab") as stream:
            kept = _Kept(
                stream.tell(), (rows, columns), plane.dtype, marks, finding, slice_.contrast
            )
            stream.write(plane.data)
            stream.write(heat.data)
            self._kept[_key(finding.info)] = kept
            self.slices += 1

    def settle(self, series: SeriesFinding) -> Iterator[str]:
        """Make the scene of a series that has ended."""
        findings = [one for one in series.findings if one.error is None]
        kept = [self._take(_key(one.info)) for one in findings]
        if kept:
            self._show(kept, series)
        yield from ()

    def finish(self, studies: Iterable[StudyFinding]) -> Iterator[str]:
        """What is left belongs to no series."""
        for key in list(self._kept):
            self._show([self._take(key)], None)
        self._waiting.unlink(missing_ok=True)
        yield from ()

    @property
    def _waiting(self) -> Path:
        return self.folder / "waiting"

    def _take(self, key: _Key) -> _Kept:
        with self._lock:
            return self._kept.pop(key)

    def _show(self, kept: Sequence[_Kept], series: SeriesFinding | None) -> None:
        from tumorlens.imaging.volumes.nifti_writing import write_planes

        folder = self.folder / str(len(self.scenes))
        folder.mkdir()
        affine, told = _place([one.finding.info for one in kept])
        rows, columns = (max(one.shape[axis] for one in kept) for axis in (0, 1))
        shape = (len(kept), rows, columns)
        dtype = np.result_type(*(one.dtype for one in kept))
        write_planes(folder / "scan.nii", self._read(kept, "scan", shape, dtype), shape, affine)
        heat = self._read(kept, "heat", shape, np.dtype(np.uint8))
        write_planes(folder / "heat.nii", heat, shape, affine)
        span, window = _find_window(folder / "scan.nii", shape, dtype, kept[0].finding.info)
        findings, marks = (one.finding for one in kept), (one.marks for one in kept)
        scene = Scene(
            folder, tuple(findings), tuple(marks), series, shape, dtype, affine, window, span, told,
            kept[0].contrast,
        )  # fmt: skip
        self.scenes.append(scene)

    def _read(
        self,
        kept: Sequence[_Kept],
        what: Literal["scan", "heat"],
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
    ) -> Iterator[Plane]:
        """Planes of one size and type."""
        with self._waiting.open("rb") as stream:
            for one in kept:
                count = one.shape[0] * one.shape[1]
                stream.seek(one.start + (count * one.dtype.itemsize if what == "heat" else 0))
                own = one.dtype if what == "scan" else np.dtype(np.uint8)
                values = np.fromfile(stream, own, count).reshape(one.shape).astype(dtype)
                missing = [
                    (0, whole - side) for whole, side in zip(shape[1:], one.shape, strict=True)
                ]
                yield np.pad(values, missing)


def _key(info: SliceInfo) -> _Key:
    return info.path, info.frame, info.series_instance_uid


def _shrink(pixels: npt.NDArray[np.float32]) -> Plane:
    """Whole numbers as such: half the size, and nothing is lost."""
    fits = pixels.min() >= -(2**15) and pixels.max() < 2**15 and (pixels == np.rint(pixels)).all()
    return np.ascontiguousarray(pixels, np.int16 if fits else np.float32)


def _place(infos: Sequence[SliceInfo]) -> tuple[npt.NDArray[np.float64], str]:
    """Where the voxels lie, and why that is not where the patient lay; empty if it is."""
    from tumorlens.imaging.volumes.nifti_writing import find_affine, straighten

    told = [info.lps_mm for info in infos if info.lps_mm is not None]
    try:
        if len(told) == len(infos):
            return straighten(find_affine(told)), ""
        reason = "the place of its slices in the patient is not known"
    except ValueError as error:
        reason = str(error)
    return find_affine(_lay_in_row(infos)), reason


def _lay_in_row(infos: Sequence[SliceInfo]) -> list[Any]:
    """Places of slices one above the other, as display would have them: radiological."""
    row, column = infos[0].spacing_mm or (1.0, 1.0)
    gap = max(min(GAP_MM, HEAD_MM / len(infos)), min(row, column))
    return [
        ((0.0, 0.0, number * gap), (column, 0.0, 0.0), (0.0, row, 0.0))
        for number in range(len(infos))
    ]


def _find_window(
    path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any], info: SliceInfo
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The span of the values, and the file's own window if it lies in it."""
    from tumorlens.imaging.volumes.nifti_writing import OFFSET

    values = np.memmap(path, dtype, "r", OFFSET, shape)
    step = max(1, round((values.size / _SAMPLE) ** (1 / 3)))
    sample = np.asarray(values[::step, ::step, ::step], np.float32)
    span = float(values.min()), float(values.max())
    low, high = find_range(sample)
    if info.window is not None:
        center, width = info.window
        first, last = center - width / 2, center + width / 2
        if width > 0 and first < high and last > low and width < 20 * (high - low):
            low, high = first, last
    return span, (low, high)
