"""Findings of slices are sorted into series, and series into studies.

A series is what one SeriesInstanceUID, one volume, or one folder said to be one holds; each pass of
a 4-D one, and each plane of a localizer, is a series of its own. A study is what one
StudyInstanceUID, one BIDS subject and session, or one folder said to be one holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from tumorlens.errors import UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.series.clusters import DIRECTION, JITTER, number_passes
from tumorlens.remote.addresses import spell_address
from tumorlens.studies.series_judging import judge_series
from tumorlens.studies.study_judging import judge_study
from tumorlens.studies.study_model import StudyModel
from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = [
    "FolderRule",
    "SeriesGatherer",
    "check_rules",
    "find_study_of_path",
    "gather_studies",
    "is_loose",
]

FolderRule = Literal["folder"] | None
"""Whether the caller declares each folder to be one series, or one study."""

SAME_MM = 0.02
"""Positions that differ by less, in mm, or by less than `JITTER` of a pixel, are one position."""
MOST = 0.5
"""Share of repeated positions from which they are another pass over the head, not an error."""
BIDS = re.compile(r"(?<![^/\\_])(sub|ses)-[A-Za-z0-9]+")


def check_rules(series_from: FolderRule, study_from: FolderRule) -> None:
    """Refuse a rule that there is not.

    Raises:
        UsageError: it is neither None nor ``folder``.
    """
    for name, rule in (("series_from", series_from), ("study_from", study_from)):
        if rule not in (None, "folder"):
            raise UsageError(f"`{name}=` is None or 'folder', got {rule!r}")


class SeriesGatherer:
    """Takes findings slice by slice, in the order of reading, and gives series as they end.

    Args:
        model: numbers for series; None if the model file has none.
        series_from: ``folder`` if the pictures of a folder are said to be one series.

    Attributes:
        loose: how many slices belong to no series: pictures that stand alone.
    """

    def __init__(self, model: StudyModel | None, series_from: FolderRule = None) -> None:
        self.loose = 0
        self._model = model
        self._rule = series_from
        self._findings: list[Finding] = []
        self._errors: list[Finding] = []
        self._named = Counter[tuple[str, str | None]]()  # volumes of one path and UID

    def add(self, finding: Finding) -> Iterator[SeriesFinding]:
        """Take one finding; gives the series that ended before it, if one did."""
        if finding.error is not None:
            # A bad file inside a series is one of its slices; only what comes next tells.
            self._errors.append(finding)
            return
        if self._findings and self._key(self._findings[-1].info) != self._key(finding.info):
            yield from self.close()
        if not self._findings:
            yield from self._end_others(finding.info)
        self._findings += [*self._errors, finding]
        self._errors = []

    def close(self) -> Iterator[SeriesFinding]:
        """Give what is left."""
        findings, self._findings = self._findings, []
        errors, self._errors = self._errors, []
        if findings:
            yield from self._judge(findings)
        for one in errors:
            yield judge_series([one], self._model)

    def _end_others(self, info: SliceInfo) -> Iterator[SeriesFinding]:
        """Give the bad files before the first slice of a series that cannot be slices of it."""
        named = info.series_instance_uid or info.series_path
        folder = PurePath(info.path).parent if self._rule == "folder" and is_loose(info) else None
        errors, self._errors = self._errors, []
        for one in errors:
            path = one.info.path
            if named or path == info.path or PurePath(path).parent == folder:
                self._errors.append(one)
            else:
                yield judge_series([one], self._model)

    def _judge(self, findings: list[Finding]) -> Iterator[SeriesFinding]:
        answered = [one for one in findings if one.error is None]
        if self._rule is None and len(answered) == 1 and is_loose(answered[0].info):
            self.loose += 1
            yield from (judge_series([one], self._model) for one in findings if one.error)
            return
        path = _name_series(answered)
        volumes = list(_split_volumes(findings))
        named = path, answered[0].info.series_instance_uid
        before = self._named[named]
        self._named[named] += len(volumes)
        for number, volume in enumerate(volumes, start=before):
            found = judge_series(volume, self._model, path)
            yield found if before == 0 and len(volumes) == 1 else replace(found, volume=number)

    def _key(self, info: SliceInfo) -> str:
        if self._rule == "folder" and is_loose(info):
            return f"folder {PurePath(info.path).parent}"
        series = info.series_instance_uid or f"path {info.series_path or info.path}"
        return f"{series} {info.study_instance_uid} {info.patient}"


def is_loose(info: SliceInfo) -> bool:
    """Whether a slice is a picture without a series and without a position."""
    alone = info.series_instance_uid is None and info.series_path is None
    return alone and info.position_mm is None and info.plane is None and info.frame == 0


def gather_studies(
    series: Iterable[SeriesFinding], model: StudyModel | None, study_from: FolderRule = None
) -> list[StudyFinding]:
    """Studies in the order in which their first series came.

    Args:
        series: of any number of studies.
        model: numbers for studies.
        study_from: ``folder`` if the series of a folder are said to be one study, where no file
            says otherwise.
    """
    listed = list(series)
    patients: dict[str | None, set[str]] = {}
    for one in listed:
        patients.setdefault(one.study_instance_uid, set()).update(filter(None, [one.patient]))
    studies: dict[str, list[SeriesFinding]] = {}
    for number, one in enumerate(listed):
        study = _find_study(one, study_from) or f"series {number}"
        if one.study_instance_uid and len(patients[one.study_instance_uid]) > 1:
            study = f"{study} {one.patient}"  # one UID, as some anonymisers give to all
        studies.setdefault(study, []).append(one)
    return [judge_study(members, model, _name_study(members)) for members in studies.values()]


def _find_study(series: SeriesFinding, rule: FolderRule) -> str | None:
    if series.study_instance_uid:
        return f"uid {series.study_instance_uid}"
    return find_study_of_path(series.path, rule)


def find_study_of_path(path: str, rule: FolderRule) -> str | None:
    """The study of a series whose files name none, by the path of the series; None if unknown."""
    if rule == "folder":
        return f"folder {Path(path).parent}"
    bids = _find_bids(path)
    return None if bids is None else f"bids {' '.join(bids)}"


def _find_bids(path: str) -> tuple[str, str, str] | None:
    """The folder that holds a BIDS subject, the subject, and the session or nothing.

    The last subject counts, for a data set may lie in a folder that is named like one; and the last
    session, for not every set has folders of sessions.
    """
    words = list(BIDS.finditer(path))
    subject = next((one[0] for one in reversed(words) if one[1] == "sub"), None)
    if subject is None:
        return None
    first = next(place for place, one in enumerate(words) if one[0] == subject)
    sessions = [one[0] for one in words[first:] if one[1] == "ses"]
    return path[: words[first].start()], subject, sessions[-1] if sessions else ""


def _name_series(findings: Sequence[Finding]) -> str:
    """The file, or the folder of several."""
    paths = list(dict.fromkeys(one.info.path for one in findings))
    return paths[0] if len(paths) == 1 else _name_folder(paths)


def _name_study(series: Sequence[SeriesFinding]) -> str:
    """The file or the folder; a pattern where a folder holds several subjects side by side."""
    paths = list(dict.fromkeys(one.path for one in series))
    if len(paths) == 1:
        return paths[0]
    folder = _name_folder(paths)
    bids = _find_bids(paths[0])
    if bids is None or series[0].study_instance_uid or bids[1] in folder:
        return folder
    pattern = Path(folder) / f"*{'*'.join(filter(None, bids[1:]))}*"
    return spell_address(str(pattern))


def _name_folder(paths: Sequence[str]) -> str:
    """The deepest folder that holds all of them, spelled as the caller did."""
    parts = [PurePath(path).parts for path in paths]
    shared = [words[0] for words in zip(*parts, strict=False) if len(set(words)) == 1]
    steps = 0
    for words in zip(*parts, strict=False):
        if len(set(words)) > 1:
            break
        steps += 1
    folder = PurePath(*shared[:steps]) if steps else PurePath(paths[0]).parent
    return spell_address(str(folder))


def _split_volumes(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """Stacks of slices that lie alike, each pass over the head by itself; errors stay with the
    first."""
    errors = [one for one in findings if one.error is not None]
    stacks: list[list[Finding]] = []
    for one in findings:
        if one.error is None and stacks and _lie_alike(stacks[-1][0].info, one.info):
            stacks[-1].append(one)
        elif one.error is None:
            stacks.append([one])
    for volume in (volume for stack in stacks for volume in _split_passes(stack)):
        yield errors + volume
        errors = []


def _lie_alike(first: SliceInfo, other: SliceInfo) -> bool:
    """Whether slices have one plane, and pixels of one size and direction as far as it is known."""
    if first.plane != other.plane or first.lps_mm is None or other.lps_mm is None:
        return first.plane == other.plane
    steps = np.array([first.lps_mm[1:], other.lps_mm[1:]])
    return bool(np.abs(steps[0] - steps[1]).max() <= DIRECTION * np.abs(steps).max())


def _split_passes(stack: list[Finding]) -> Iterator[list[Finding]]:
    """Passes over the head: a pass ends where a position comes again."""
    positions = [one.info.position_mm for one in stack]
    if any(one is None for one in positions):
        yield stack
        return
    position = np.array(positions, np.float64)
    order = np.argsort(position, kind="stable")
    pixel = min(stack[0].info.spacing_mm or (np.inf,))
    again = np.diff(position[order]) < min(SAME_MM, JITTER * pixel)
    if again.sum() < MOST * (len(stack) - again.sum()):
        yield stack
        return
    places = np.zeros(len(stack), np.intp)
    places[order[1:]] = np.cumsum(~again)
    numbers = number_passes(places)
    for number in range(int(numbers.max()) + 1):
        yield [one for one, mine in zip(stack, numbers, strict=True) if mine == number]
