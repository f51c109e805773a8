"""What a run over many inputs makes beside its records, whom it tells, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tumorlens.errors import UsageError
from tumorlens.finding import Finding
from tumorlens.imaging.slices import Slice
from tumorlens.progress import Notice, stay_silent
from tumorlens.shards import Shard
from tumorlens.studies.assembling import FolderRule, check_rules
from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = ["Listener", "RunOptions", "RunSummary", "Taker"]


class Taker(Protocol):
    """Makes something of the slices, series and studies of a run, e.g. DICOM objects.

    Its functions give sentences that a person should read.
    """

    def keep(self, slice_: Slice, finding: Finding) -> None:
        """Take a slice that was judged; several threads may call at once."""
        ...

    def settle(self, series: SeriesFinding) -> Iterator[str]:
        """Take a series that has ended, with its findings."""
        ...

    def finish(self, studies: Iterable[StudyFinding]) -> Iterator[str]:
        """Take the studies of the run, which has ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run over many inputs makes.

    Attributes:
        summary: write a record a series, and one a study, beside those of the slices.
        slices: False leaves out the records of slices that belong to a series. Give it with
            ``summary=True``.
        series_from: ``"folder"``: the pictures of a folder are the slices of one series, in the
            order of their names.
        study_from: ``"folder"``: the series of a folder are one study, where no file says
            otherwise.
        heatmaps: folder for a picture a slice, with its heat map, boxes and verdict.
        montage: draw a picture a series into ``heatmaps``, not one a slice.
        activation_volume: folder for the evidence of each series as NIfTI.
        report: HTML file, a page for people.
        takers: who else makes something of the slices, series and studies.
        shard: judge only this part of the inputs; None for all of them.

    Raises:
        UsageError: a montage is wanted, but no folder for it is named; no records are; or those
            of slices are left out of a shard.
    """

    summary: bool = False
    slices: bool = True
    series_from: FolderRule = None
    study_from: FolderRule = None
    heatmaps: Path | None = None
    montage: bool = False
    activation_volume: Path | None = None
    report: Path | None = None
    takers: tuple[Taker, ...] = ()
    shard: Shard | None = None

    @property
    def whole_studies(self) -> bool:
        """Whether something is made of studies, whose series then stay together."""
        return self.summary or self.report is not None or bool(self.takers)

    def __post_init__(self) -> None:
        check_rules(self.series_from, self.study_from)
        if self.montage and self.heatmaps is None:
            raise UsageError("`montage=True` draws into the folder of `heatmaps=`; name a folder")
        if not self.slices and not self.summary:
            raise UsageError(
                "`slices=False` leaves only the records of series and studies; give `summary=True`"
            )
        if not self.slices and self.shard is not None:
            raise UsageError(
                f"`slices=False` does not go with `shard={self.shard}`: the records of slices tell "
                "the order in which shards are merged; write them, and leave them out afterwards"
            )


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a run tells what happens; by default nobody.

    Attributes:
        say: takes a sentence that a person should read.
        detail: takes a sentence for a person who wants to know more, e.g. each skipped file.
        advance: takes the number of files that were done since the last call; 0 is a sign of life.
    """

    say: Notice = stay_silent
    detail: Notice = stay_silent
    advance: Callable[[int], None] = stay_silent


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What came of a run over many inputs.

    Attributes:
        counts: verdict, or ``error`` for what could not be read, -> slices.
        skipped: reason -> files that are no images and were left out.
        studies: of the run, where ``summary`` or ``report`` asked for them.
        missing: a sentence for each shard that `tumorlens.merge` had to do without.
    """

    counts: Mapping[str, int]
    skipped: Mapping[str, int]
    studies: tuple[StudyFinding, ...] = field(default=(), repr=False)
    missing: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Inputs that could not be read; each has a record with its error."""
        return self.counts.get("error", 0)
