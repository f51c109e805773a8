"""One run of predict over many files: what goes in, in which order records come out."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tumorlens.cli import words
from tumorlens.errors import InputError, UsageError
from tumorlens.finding import Finding, SeriesFinding
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.sources import Skipped, Source, find_sources
from tumorlens.report.records import RecordWriter, Written, key_of, name_place

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.report.heatmaps import HeatmapFolder

__all__ = ["Job"]

Judged = tuple[Slice | None, Finding]


@dataclass(slots=True)
class Job:
    """One run over many files: what goes in, what comes out, and what was counted."""

    detector: Detector
    paths: tuple[str, ...]
    place: str
    written: Written
    voice: words.Voice
    summary: bool
    pictures: HeatmapFolder | None
    counts: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    def __post_init__(self) -> None:
        self.counts.update(self.written.counts)

    def run(self, writer: RecordWriter, bar: words.Bar) -> None:
        """Judge all files and write their records.

        Raises:
            UsageError: there was no image at all.
        """
        trail = _Trail(bar.advance)
        series = _Series() if self.summary else None
        for slice_, finding in self._judge(self._find(trail, bar)):
            trail.follow(finding.info.path)
            if series is not None and slice_ is not None:
                self._put(writer, *series.add(finding))
            self._put(writer, finding)
        if series is not None:
            self._put(writer, *series.close())
        if not self.counts:
            raise UsageError(
                f"{' '.join(self.paths)}: no image found; {self.skipped} files skipped"
            )

    def _judge(self, inputs: Iterator[Source | InputError]) -> Iterator[Judged]:
        """Slices with their findings, after their picture was saved, if pictures are wanted."""
        from tumorlens.workers import open_workers, run_ahead

        judged = self.detector.iterate(inputs, on_error="record")
        if self.pictures is None:
            yield from judged
            return
        threads = self.detector.threads
        with open_workers(threads) as pool:
            yield from run_ahead(pool, self._save, judged, 2 * threads)

    def _save(self, judged: Judged) -> Judged:
        slice_, finding = judged
        if self.pictures is not None and slice_ is not None and self._is_new(finding):
            self.pictures.save(slice_, finding)
        return judged

    def _find(self, trail: _Trail, bar: words.Bar) -> Iterator[Source | InputError]:
        """What is still to read."""
        for found in find_sources(_each_path(self.paths), limits=self.detector.limits):
            if isinstance(found, Skipped):
                self.skipped += 1
                self.voice.detail(f"skipped {found.path}: {found.reason}")
                bar.advance(1)
            elif isinstance(found, Source) and self._is_written(found):
                bar.advance(len(found.files))
            else:
                trail.hand_out(found)
                yield found

    def _put(self, writer: RecordWriter, *findings: Finding | SeriesFinding) -> None:
        for finding in findings:
            if self._is_new(finding):
                with words.hold_interrupts(), name_place(self.place):
                    writer.write(finding.to_record())
                    if isinstance(finding, Finding):
                        self.counts[finding.verdict or "error"] += 1

    def _is_written(self, source: Source) -> bool:
        if not self.written.keys:
            return False
        parts = (part.path for part in source.parts)
        return self.written.holds(source.path, parts, source.series_uid)

    def _is_new(self, finding: Finding | SeriesFinding) -> bool:
        return not self.written.keys or key_of(finding.to_record()) not in self.written.keys


class _Trail:
    """Which file the findings have come to: the detector takes sources ahead of their turn."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._ahead: deque[tuple[set[str], int]] = deque()

    def hand_out(self, found: Source | InputError) -> None:
        names, files = {found.path}, 1
        if isinstance(found, Source):
            names.update(part.path for part in found.parts)
            files = len(found.files)
        self._ahead.append((names, files))

    def follow(self, path: str) -> None:
        """Files before the ones that ``path`` lies in are done."""
        for place, (names, _) in enumerate(self._ahead):
            if path in names:
                self._advance(sum(self._ahead.popleft()[1] for _ in range(place)))
                return


class _Series:
    """Gathers findings until their series ends; a picture alone is no series."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def add(self, finding: Finding) -> Iterator[SeriesFinding]:
        """The series that ended before ``finding``, if one did."""
        if self._findings and _series_of(self._findings[-1]) != _series_of(finding):
            yield from self.close()
        self._findings.append(finding)

    def close(self) -> Iterator[SeriesFinding]:
        findings, self._findings = self._findings, []
        if len(findings) > 1 or (findings and findings[0].info.plane is not None):
            paths = {finding.info.path for finding in findings}
            folder = str(Path(findings[0].info.path).parent)
            yield SeriesFinding.of(findings, path=folder if len(paths) > 1 else None)


def _series_of(finding: Finding) -> str:
    return finding.info.series_instance_uid or finding.info.path


def _each_path(paths: tuple[str, ...]) -> Iterator[str]:
    """The named paths; ``-`` stands for a list on standard input."""
    for path in paths:
        if path == "-":
            yield from (name for line in _open_stdin() if (name := line.rstrip("\r\n")))
        else:
            yield path


def _open_stdin() -> IO[str]:
    """Standard input, in which a name may hold any bytes."""
    if sys.stdin is None:
        raise UsageError("-: standard input is closed; give it a list of paths, one a line")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    return sys.stdin
