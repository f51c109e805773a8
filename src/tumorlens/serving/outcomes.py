"""A judgement as JSON, and what people take with them: a page, a picture, a volume, records."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorlens.errors import InputError
from tumorlens.finding import Finding
from tumorlens.report.pictures.heat import USUAL_THRESHOLD, scale_colors
from tumorlens.report.pictures.overlay import draw, draw_thumbnail
from tumorlens.serving.judging import Judgement
from tumorlens.serving.scenes import Scene
from tumorlens.studies.looks import QUESTIONS, Looks
from tumorlens.studies.study_model import find_study_model
from tumorlens.version import list_versions

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.model.card import OperatingPoint
    from tumorlens.model.session import Session
    from tumorlens.study_finding import StudyFinding

__all__ = [
    "REPORT_POLICY",
    "describe_judgement",
    "describe_model",
    "draw_slice",
    "draw_small",
    "render_card",
    "render_report",
    "to_lines",
    "write_evidence",
]

REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox"
)
"""Content-Security-Policy of a page that is made for a file: its style and pictures are inside, and
it runs nothing."""


def describe_judgement(judgement: Judgement) -> dict[str, Any]:
    """What a viewer needs to know of files that were judged.

    Returns:
        ``studies``: records of studies, each with ``scenes``, the numbers of its scenes, and
        ``leading``, the place among them of the series whose run and slices it shows;
        ``scenes``: one object each, with the records of its slices;
        ``errors``: records of what could not be read; ``skipped``: reason -> files.
    """
    numbers = {id(scene.series): number for number, scene in enumerate(judgement.scenes)}
    studies = [
        {
            **study.to_record(),
            "scenes": [numbers[id(one)] for one in study.series],
            "leading": study.leading,
        }
        for study in judgement.studies
    ]
    return {
        "studies": studies,
        "scenes": [_describe_scene(scene) for scene in judgement.scenes],
        "errors": [one for one in judgement.records if one["error"] and one["kind"] == "slice"],
        "skipped": dict(judgement.skipped),
    }


def describe_model(detector: Detector) -> dict[str, Any]:
    """The model in use: its card in short, its thresholds, and the colours of its heat."""
    card = detector.card
    point = card.find_operating_point(detector.operating_point)
    numbers = find_study_model(detector)
    of_series = {} if numbers is None else numbers.series_points
    of_study = {} if numbers is None else numbers.study_points
    return {
        "name": card.full_name,
        "license": card.license,
        "intended_use": card.intended_use,
        "known_failures": list(card.known_failures),
        "operating_point": detector.operating_point,
        "thresholds": {
            "slice": [point.low, point.high],
            "series": _find_thresholds(of_series, detector.operating_point),
            "study": _find_thresholds(of_study, detector.operating_point),
        },
        "heat": scale_colors(card.cell_threshold or USUAL_THRESHOLD).tolist(),
        "cell_threshold": card.cell_threshold,
    }


def _find_thresholds(points: Mapping[str, OperatingPoint], name: str) -> list[float] | None:
    """(low, high) of series or studies; None where the model has no numbers for them."""
    point = points.get(name, points.get("balanced"))
    return None if point is None else [point.low, point.high]


def _describe_scene(scene: Scene) -> dict[str, Any]:
    info = scene.info
    return {
        "series": None if scene.series is None else scene.series.to_record(),
        "path": info.path if scene.series is None else scene.series.path,
        "shape": list(scene.shape),
        "window": list(scene.window),
        "span": list(scene.span),
        "affine": scene.affine.tolist(),
        "reason": scene.reason,
        "plane": info.plane,
        "sequence": info.sequence,
        "sides_known": info.sides_known and not scene.reason,
        "spacing_mm": None if info.spacing_mm is None else list(info.spacing_mm),
        "seen": _compare_looks(scene.findings),
        "slices": [
            {
                **finding.to_record(),
                "instance_number": finding.info.instance_number,
                "shown_boxes": [box.to_list() for box in marks.boxes],
                "shown_peak": None if marks.peak is None else list(marks.peak),
            }
            for finding, marks in zip(scene.findings, scene.marks, strict=True)
        ],
    }


def _compare_looks(findings: Iterable[Finding]) -> dict[str, Any]:
    """Question -> what the file says and what the slices look like, with its probability."""
    judged = [one for one in findings if one.verdict != "not_judged"]
    looks = Looks.of(judged)
    seen: dict[str, Any] = {}
    for question in QUESTIONS if judged else ():
        chances = looks.chances.get(question)
        if chances:
            word, chance = max(chances.items(), key=lambda one: one[1])
            said = getattr(judged[0].info, question, None)
            seen[question] = {"said": said, "seen": word, "probability": chance}
    return seen


def draw_slice(scene: Scene, number: int) -> bytes:
    """One slice as `tumorlens.draw` shows it, as PNG."""
    stream = io.BytesIO()
    draw(scene.read_slice(number), scene.findings[number]).save(stream, "PNG")
    return stream.getvalue()


def draw_small(scene: Scene, side: int = 128) -> bytes:
    """The slice to open first, or else the middle one, with its heat, as JPEG.

    Args:
        scene: of the slice.
        side: the longer side, at most, in pixels.
    """
    number = len(scene.findings) // 2
    if scene.series is not None and scene.series.first_slices:
        first = scene.series.first_slices[0].place()
        places = [one.info.place() for one in scene.findings]
        number = places.index(first) if first in places else number
    picture, _ = draw_thumbnail(scene.read_slice(number), scene.findings[number], side=side)
    return picture


def write_evidence(scene: Scene, folder: Path) -> Path:
    """The evidence of a series as NIfTI, as ``predict --activation-volume`` writes it.

    Raises:
        InputError: the place of its slices in the patient is not known.
    """
    from tumorlens.report.pictures.heat_volumes import EvidenceVolumes

    if scene.series is None:
        raise InputError(scene.info.path, "no evidence volume, for it is a single picture")
    volumes = EvidenceVolumes(folder)
    for number, finding in enumerate(scene.findings):
        volumes.keep(scene.read_slice(number), finding)
    told = volumes.settle(scene.series)
    if told:
        path, _, reason = told.partition(": ")
        raise InputError(path, reason)
    return volumes.place(scene.series)


def render_report(judgement: Judgement, studies: Iterable[StudyFinding], session: Session) -> str:
    """The page of ``predict --report`` of some studies and of single pictures, as HTML.

    Raises:
        MissingExtra: a library that draws it is not installed.
    """
    from tumorlens.report.pages import render_html
    from tumorlens.report.pictures.albums import Album, choose_shown
    from tumorlens.report.predictions.study_pages import build_study_page

    album, chosen = Album(), list(studies)
    scenes = {id(scene.series): scene for scene in judgement.scenes}
    for scene in (scenes[id(series)] for study in chosen for series in study.series):
        assert scene.series is not None
        shown = set(choose_shown(scene.series))
        for number, finding in enumerate(scene.findings):
            if finding.info.place() in shown:
                album.keep(scene.read_slice(number), finding)
    for scene in judgement.scenes:
        if scene.series is None:
            album.keep(scene.read_slice(0), scene.findings[0])
            album.settle_single(scene.findings[0])
    return render_html(build_study_page(chosen, session.card, album, versions=list_versions()))


def render_card(session: Session) -> str:
    """The model's card as HTML.

    Raises:
        MissingExtra: a library that draws it is not installed.
    """
    from tumorlens.report.model_cards import build_card_page
    from tumorlens.report.pages import render_html

    page = build_card_page(session.card, sha256=session.sha256, versions=list_versions())
    return render_html(page)


def to_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """Records as JSON lines."""
    return "".join(f"{json.dumps(record)}\n" for record in records)
