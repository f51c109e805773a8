"""A run as a page, a curve and a montage: from a real volume, judged by a small model."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from builders import write_nifti
from heads import paint_slice, write_folder
from models import write_tiny_model
from page_reader import PageReader
from tumorlens.detector import Detector
from tumorlens.landmarks import KeySlice, Run
from tumorlens.model.card import OperatingPoint
from tumorlens.predicting.recording import write_records
from tumorlens.report.pages import render_html
from tumorlens.report.pictures.albums import SHOWN, Album, choose_shown, paint_montage
from tumorlens.report.predictions.study_pages import build_study_page
from tumorlens.report.predictions.study_plots import plot_slices
from tumorlens.studies.assembling import SeriesGatherer
from tumorlens.study_finding import StudyFinding

SLICES = 30


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """One series of thirty slices with the album of its pictures."""
    folder = tmp_path_factory.mktemp("study")
    lesion = paint_slice((30, 30))
    slices = [lesion if 10 <= z < 14 else paint_slice(None) for z in range(SLICES)]
    volume = np.stack([one.T for one in slices], axis=2).astype(np.float32)
    path = write_nifti(folder / "brain.nii.gz", volume, np.diag([1.0, 1.0, 3.0, 1.0]))
    detector = Detector(write_tiny_model(folder / "tiny.onnx"), threads=1)
    album, gatherer, series = Album(), SeriesGatherer(None), []
    for slice_, finding in detector.iterate([path]):
        album.keep(slice_, finding)
        series += gatherer.add(finding)
    (one,) = [*series, *gatherer.close()]
    names = [(finding.info.path, finding.info.frame) for finding in one.findings]
    first = KeySlice(*names[12], 13, 36.0, 0.97, "the strongest evidence")
    run = Run(names[10], names[13], 4, 30.0, 39.0, 12.0)
    found = replace(one, verdict="tumor", tumor_probability=0.93, first_slices=(first,), run=run)
    album.settle(found)
    return detector, found, album


def test_the_slices_shown_are_spread_and_hold_those_to_open_first(judged):
    _, series, album = judged
    shown = choose_shown(series)
    frames = [frame for _, frame in shown]
    assert frames == sorted(set(frames))
    assert 12 in frames
    assert SHOWN <= len(frames) <= SHOWN + 1
    assert set(album.pairs) == set(shown)


def test_a_montage_shows_each_slice_plain_and_with_heat(judged):
    _, series, album = judged
    picture = Image.open(io.BytesIO(paint_montage(series, album)))
    pair = next(iter(album.pairs.values()))
    assert picture.width == 8 * pair.size[0]
    assert picture.height > 3 * pair.size[1]


def test_a_montage_of_nothing_is_refused(judged):
    with pytest.raises(ValueError, match="no slice was kept"):
        paint_montage(judged[1], Album())


def test_slices_of_two_series_are_told_apart_by_their_folders(judged):
    detector, series, album = judged
    first = KeySlice("scans/T1c/0006.dcm", 0, 7, 36.0, 0.97, "the strongest evidence")
    pair = [replace(series, path=f"scans/{name}", sequence=name) for name in ("FLAIR", "T1c")]
    study = StudyFinding(
        path="scans", series=tuple(pair), leading=1, verdict="tumor", tumor_probability=0.9,
        run=series.run, first_slices=(first,),
    )  # fmt: skip
    page = PageReader(render_html(build_study_page([study], detector.card, album)))
    text = " ".join(page.words)
    assert "T1c/0006.dcm, instance 7: the strongest evidence" in text
    assert text.count("T1c/0006.dcm, instance 7") == 2
    assert "of the T1c" in text


def test_the_curve_marks_the_run_and_counts_what_was_not_judged(judged):
    detector, series, _ = judged
    point = detector.card.find_operating_point("balanced")
    plot = plot_slices(series, point)
    assert "The band marks the slices that carry the evidence" in plot.caption
    assert "Every slice was judged" in plot.caption
    silent = tuple(replace(one, verdict="not_judged") for one in series.findings[:1])
    less = replace(series, run=None, findings=silent + series.findings[1:])
    assert (
        plot_slices(less, point).caption
        == "1 slice has a grey background: it was not judged, or is unfamiliar."
    )


def test_on_a_phone_the_thresholds_are_named_above_the_curve(judged):
    detector, series, _ = judged
    plot = plot_slices(series, detector.card.find_operating_point("balanced"))

    def find_height(words):
        return float(re.search(rf'y="([0-9.]+)"[^>]*>{words}', plot.narrow)[1])

    for words in ("tumor from", "no tumor below"):
        assert find_height(words) < find_height("100 %") - 10
        assert words in plot.svg


def test_a_page_says_verdict_why_and_what_to_open_first(judged):
    detector, series, album = judged
    study = StudyFinding(
        series.path, (series,), 0, verdict="tumor", tumor_probability=0.93, run=series.run,
        first_slices=series.first_slices, operating_point="balanced", notes=("cut anew",),
    )  # fmt: skip
    html = render_html(build_study_page([study], detector.card, album))
    page = PageReader(html)
    text = " ".join(page.words)
    assert not page.faults
    for words in ("brain.nii.gz, instance 13", "the strongest evidence", "12 mm", "cut anew"):
        assert words in text
    assert f"{len(choose_shown(series))} of 30 slices, in the order of the series" in text
    assert html.count("data:image/jpeg") == 2 * len(album.pairs)
    assert "For research only" in text


def test_a_healthy_study_names_its_strongest_slice_and_each_level_its_thresholds(judged):
    detector, series, album = judged
    first = replace(series.first_slices[0], instance_number=None)
    healthy = replace(series, verdict="no_tumor", tumor_probability=0.47, first_slices=(first,))
    study = StudyFinding(
        series.path, (healthy,), 0, verdict="no_tumor", tumor_probability=0.47,
        first_slices=(first,), operating_point="balanced",
    )  # fmt: skip
    points = {"slice": OperatingPoint(low=0.2, middle=0.5, high=0.75)}
    points["study"] = OperatingPoint(low=0.475, middle=0.5, high=0.6)
    page = render_html(build_study_page([study], detector.card, album, points=points))
    text = " ".join(" ".join(PageReader(page).words).split())
    assert "slice to open first" in text
    assert text.count("slice 12 (counted from 0)") >= 2
    assert "Thresholds of a slice: tumor from 75.0 %, no tumor below 20.0 %." in text
    assert "Thresholds of a study: tumor from 60.0 %, no tumor below 47.5 %." in text


def test_pictures_without_a_series_have_a_page_those_that_ask_for_a_look_first(tmp_path):
    detector = Detector(write_tiny_model(tmp_path / "tiny.onnx"), threads=1)
    paths, run = write_folder(tmp_path / "pictures", tumors=14, healthy=2), tmp_path / "page.html"
    write_records(paths, tmp_path / "records.jsonl", model=detector, report=run)
    html = run.read_text(encoding="utf-8")
    page = PageReader(html)
    assert not page.faults
    assert "Pictures judged by tumorlens" in page.text
    assert "tumor: 14 pictures, of which 12 are shown" in page.text
    assert page.text.index("tumor: 14 pictures") < page.text.index("no tumor: 2 pictures")
    assert page.pictures == 2 * (12 + 2)
    assert html.count('<b data-verdict="no_tumor">no tumor</b>') == 3
    assert "Overview" not in page.text


def test_a_probability_is_printed_in_one_way(judged):
    """The page once said 0.028 here and 63 % there."""
    detector, series, album = judged
    study = StudyFinding(
        series.path, (series,), 0, verdict="tumor", tumor_probability=0.93, run=series.run,
        first_slices=series.first_slices, operating_point="balanced",
    )  # fmt: skip
    text = PageReader(render_html(build_study_page([study], detector.card, album))).text
    assert "tumor probability 93.0 %" in text
    assert not re.search(r"(?<![\d.])[01]\.\d\d", text.split("Every slice was judged")[1])


def test_a_single_slice_has_no_curve(judged):
    detector, series, album = judged
    alone = replace(series, findings=series.findings[12:13], run=None)
    study = StudyFinding(alone.path, (alone,), 0, operating_point="balanced")
    assert "<svg" not in render_html(build_study_page([study], detector.card, album))
