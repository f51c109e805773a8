"""What a run shows of series and studies: records, a page, montages, volumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.finding import Finding
from tumorlens.imaging.slices import Slice
from tumorlens.predicting.options import RunOptions, Taker
from tumorlens.studies.assembling import FolderRule, gather_studies, is_loose
from tumorlens.studies.study_model import StudyModel, find_study_model
from tumorlens.study_finding import SeriesFinding, StudyFinding
from tumorlens.writing import make_folder, name_place, replace_when_done

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.report.pictures.albums import Album
    from tumorlens.report.pictures.heat_volumes import EvidenceVolumes

__all__ = ["Views", "open_views"]


@dataclass(slots=True)
class Views:
    """What is made of the series and studies of a run.

    Attributes:
        numbers: of the model, for series and studies; None if it has none.
        sums_up: a record a series and a study is written.
        shows_slices: False leaves the slices of a series out of the records.
        series_from, study_from: ``folder`` where the caller says that folders are such.
        album: pictures for the page and for montages; None if neither is wanted.
        montages: folder of montages; None if none is wanted.
        volumes: writes the evidence of each series; None if it is not wanted.
        keeps_findings: the page draws a curve a series.
        takers: who else makes something of slices, series and studies.
        studies: of the run, once it has ended.
    """

    numbers: StudyModel | None
    sums_up: bool = False
    shows_slices: bool = True
    series_from: FolderRule = None
    study_from: FolderRule = None
    album: Album | None = None
    montages: Path | None = None
    volumes: EvidenceVolumes | None = None
    keeps_findings: bool = False
    takers: tuple[Taker, ...] = ()
    studies: list[StudyFinding] = field(default_factory=list)
    _series: list[SeriesFinding] = field(default_factory=list)

    @property
    def draws(self) -> bool:
        """Whether anything is made of the slices themselves."""
        return self.album is not None or self.volumes is not None or bool(self.takers)

    @property
    def shows_series(self) -> bool:
        """Whether anything is made of whole series, which are then judged whole."""
        return self.draws or self.sums_up or self.keeps_findings

    def shows(self, finding: Finding) -> bool:
        """Whether a slice has a record of its own."""
        loose = self.series_from is None and is_loose(finding.info)
        return self.shows_slices or finding.error is not None or loose

    def keep(self, slice_: Slice, finding: Finding) -> None:
        """Take what will be drawn of a slice."""
        if self.album is not None:
            self.album.keep(slice_, finding)
        if self.volumes is not None:
            self.volumes.keep(slice_, finding)
        for taker in self.takers:
            taker.keep(slice_, finding)

    def settle_single(self, finding: Finding) -> None:
        """Take a picture that belongs to no series."""
        if self.album is not None and self.series_from is None:
            self.album.settle_single(finding)

    def settle(self, series: SeriesFinding) -> Iterator[str]:
        """Draw what a series that has ended asks for; gives what is to be said of that."""
        if self.volumes is not None:
            told = self.volumes.settle(series)
            if told:
                yield told
        if self.album is not None:
            self.album.settle(series)
            if self.montages is not None:
                self._save_montage(self.album, series)
        for taker in self.takers:
            yield from taker.settle(series)
        if self.sums_up or self.keeps_findings or self.takers:
            self._series.append(self._lighten(series))

    def gather(self) -> list[StudyFinding]:
        """Join the series to studies.

        Returns:
            Those that get a record: none where the model has no numbers to judge them by.
        """
        self.studies = gather_studies(self._series, self.numbers, self.study_from)
        return self.studies if self.sums_up and self.numbers is not None else []

    def finish(self) -> Iterator[str]:
        """Hand the studies on; gives what is to be said of that. Call it after `gather`."""
        for taker in self.takers:
            yield from taker.finish(self.studies)

    def _lighten(self, series: SeriesFinding) -> SeriesFinding:
        """Without the maps of its slices, for a run may have a hundred thousand."""
        kept = series.findings if self.keeps_findings else ()
        bare = (replace(one, activation=None, to_pixels=None, brain=None) for one in kept)
        return replace(series, findings=tuple(bare))

    def _save_montage(self, album: Album, series: SeriesFinding) -> None:
        from tumorlens.report.pictures.albums import name_montage, paint_montage

        assert self.montages is not None
        path = self.montages / name_montage(series)
        with name_place(path), replace_when_done(path, overwrite=True) as partial:
            partial.write_bytes(paint_montage(series, album))


def open_views(detector: Detector, options: RunOptions) -> Views:
    """What the options ask for, ready to take slices and series."""
    album = volumes = None
    if options.report is not None or options.montage:
        from tumorlens.report.pictures.albums import Album

        album = Album()
    if options.activation_volume is not None:
        from tumorlens.report.pictures.heat_volumes import EvidenceVolumes

        volumes = EvidenceVolumes(options.activation_volume)
    if options.montage and options.heatmaps is not None:
        make_folder(options.heatmaps)
    return Views(
        find_study_model(detector),
        sums_up=options.summary,
        shows_slices=options.slices,
        series_from=options.series_from,
        study_from=options.study_from,
        album=album,
        montages=options.heatmaps if options.montage else None,
        volumes=volumes,
        keeps_findings=options.report is not None,
        takers=options.takers,
    )
