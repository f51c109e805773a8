"""Files become a `Judgement`: the records of `predict`, and a scene of each series and picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorlens.imaging.files.stored_files import Found, rename_found
from tumorlens.progress import Notice, stay_silent
from tumorlens.serving.scenes import Scene, SceneKeeper
from tumorlens.study_finding import StudyFinding

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = ["Heard", "Judgement", "judge_files"]


@dataclass(frozen=True, slots=True)
class Heard:
    """How far a run has come.

    Attributes:
        files: that are done.
        slices: that were judged.
    """

    files: int = 0
    slices: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What came of some files.

    Attributes:
        records: of slices, series and studies, as ``predict --summary`` writes them.
        studies: with their series.
        scenes: of series and of single pictures.
        counts: verdict, or ``error``, -> slices.
        skipped: reason -> files that are no images.
    """

    records: tuple[Mapping[str, Any], ...]
    studies: tuple[StudyFinding, ...]
    scenes: tuple[Scene, ...]
    counts: Mapping[str, int]
    skipped: Mapping[str, int]


@dataclass(slots=True)
class _Records:
    """A `RecordWriter` that keeps the records."""

    kept: list[Mapping[str, Any]] = field(default_factory=list)

    def write(self, record: Mapping[str, Any]) -> None:
        self.kept.append(dict(record))


def judge_files(
    paths: tuple[str, ...],
    detector: Detector,
    folder: Path | None,
    *,
    below: Path | None = None,
    hear: Callable[[Heard], None] = stay_silent,
    notice: Notice = stay_silent,
) -> Judgement:
    """Judge files as ``predict --summary`` does, and keep what a viewer shows of them.

    Args:
        paths: files, folders and patterns.
        detector: the model.
        folder: takes the scenes; there already. None: no scenes are wanted, the records alone.
        below: names in records and messages are relative to this folder.
        hear: told after each slice; may raise to end the run.
        notice: takes sentences for a person.

    Raises:
        UsageError: there was no image at all.
    """
    # What runs is loaded with the first run: a server answers before.
    from tumorlens.predicting.options import Listener, RunOptions
    from tumorlens.predicting.prediction_run import PredictionRun
    from tumorlens.studies.assembling import gather_studies

    records, files = _Records(), 0
    keeper = None if folder is None else SceneKeeper(folder)

    def advance(count: int) -> None:
        nonlocal files
        files += count
        judged = run.counts.total() - run.counts["error"]
        hear(Heard(files, judged if keeper is None else keeper.slices))

    takers = () if keeper is None else (keeper,)
    run = PredictionRun(
        detector, paths, ("files",) if below else paths, RunOptions(summary=True, takers=takers),
        place="the viewer", listener=Listener(say=notice, advance=advance),
        rename=partial(map, _name_below(below)) if below else None,
    )  # fmt: skip
    run.run(records)
    scenes = () if keeper is None else tuple(keeper.scenes)
    studies = gather_studies(  # as the run does; these hold the very series of the scenes
        (scene.series for scene in scenes if scene.series is not None), run.views.numbers
    )
    told = tuple(studies) if scenes else tuple(run.studies)
    return Judgement(tuple(records.kept), told, scenes, run.counts, run.skipped)


def _name_below(folder: Path) -> Callable[[Found], Found]:
    """Names relative to a folder, as the sender of its files knows them."""
    start = f"{folder}{os.sep}"

    def shorten(text: str) -> str:
        return text.removeprefix(start) if text != str(folder) else os.curdir

    return partial(rename_found, shorten)
