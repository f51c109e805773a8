"""The pointing game on real masks on the disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import write_nifti
from score_tables import make_rows, make_scores
from tumorlens.auditing.annotations import check_annotations
from tumorlens.errors import DataError
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.localization import (
    Lesion,
    fill_hits,
    read_lesion,
    score_pointing,
)
from tumorlens.evaluation.figures.pointing import pointing_family
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.pixels.head import Head
from tumorlens.imaging.readers import read_slice


def write_mask(path: Path, size: int = 256) -> Path:
    mask = np.zeros((size, size), np.uint8)
    mask[100 * size // 256 : 120 * size // 256, 60 * size // 256 : 80 * size // 256] = 255
    Image.fromarray(mask).convert("1").save(path)
    return path


def find(peak, activation=None, size=64):
    return Finding(
        SliceInfo("x"),
        "tumor",
        0.9,
        {},
        0.0,
        peak,
        (),
        activation=activation,
        to_pixels=np.array([[4.0, 0, 0], [0, 4.0, 0]]),
        image_size=size,
    )


def test_boxes_are_half_open():
    lesion = Lesion(boxes=((10, 20, 30, 40), (50, 50, 60, 60)))
    points = np.array([[10, 20], [29.9, 39.9], [30, 39], [55, 55], [9, 20]], float)
    assert lesion.contains(points).tolist() == [True, True, False, True, False]


@pytest.mark.parametrize("size", [256, 512])
def test_a_mask_forgives_15_pixels_at_256(tmp_path, size):
    row = replace(make_rows("a", [True])[0], mask=write_mask(tmp_path / "m.png", size))
    unit = size / 256
    lesion = read_lesion(row)
    # The mask's last column is 79 (at 256), so 94 is 15 pixels away and 96 is 17.
    points = np.array([[70, 110], [94, 110], [96, 110], [94, 134], [-50, 110]]) * unit
    assert lesion.contains(points).tolist() == [True, True, False, False, False]


def test_peak_center_and_grid_are_judged(tmp_path):
    row = replace(make_rows("a", [True])[0], mask=write_mask(tmp_path / "m.png"))
    coarse, fine = np.zeros((1, 1), np.float32), np.zeros((16, 16), np.float32)
    assert score_pointing(row, find((70.0, 110.0), fine)) == (1, 0, 1)
    # The only cell of the coarse grid is the center of the head, which misses.
    assert score_pointing(row, find((200.0, 200.0), coarse)) == (0, 0, 0)
    assert score_pointing(row, find((200.0, 200.0), fine)) == (0, 0, 1)


def test_rows_without_lesion_are_not_judged():
    rows = make_rows("ab", [True, False])
    for row in rows:
        assert np.isnan(score_pointing(row, find((1.0, 1.0)))).all()


def test_a_missing_mask_names_both_files(tmp_path):
    row = replace(make_rows("a", [True])[0], mask=tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"mask of .*0\.png.*gone\.png"):
        read_lesion(row)


@pytest.mark.parametrize("flipped", [True, False])
def test_a_mask_that_is_turned_in_another_way_than_its_picture_counts_nothing(tmp_path, flipped):
    """Saved without the orientation of its picture, its sides and its frames are others."""
    scan = np.add.outer(np.arange(40), np.add.outer(np.arange(36), np.arange(32))).astype(np.int16)
    lps = np.diag([1.0, 1.0, -1.0, 1.0])  # feet last
    drawn = np.zeros(scan.shape, np.uint8)
    drawn[4:12, 20:30, 3:9] = 1
    picture = read_slice(write_nifti(tmp_path / "a.nii", scan, lps), 26)
    mask = write_nifti(tmp_path / "m.nii", drawn, None if flipped else lps)
    row = replace(make_rows("a", [True])[0], path=tmp_path / "a.nii", frame=26, mask=mask)
    finding = replace(find((7.0, 25.0)), info=picture.info)
    if not flipped:
        assert score_pointing(row, finding, picture.pixels.shape)[0] == 1
        return
    row = replace(row, frame=5)  # what the mask calls so is another slice of the head
    picture = read_slice(row.path, 5)
    finding = replace(finding, info=picture.info)
    with pytest.raises(DataError, match=r"lies \d+ mm away from its picture; save it with"):
        score_pointing(row, finding, picture.pixels.shape)
    head = Head((0, 0, 36, 40), 0, 1, 0)
    assert check_annotations(row, picture, head) == ("mask lies elsewhere",)


def test_hits_become_figures():
    rows = make_rows("abcd", [True, True, True, False])
    hits = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1], [np.nan] * 3])
    family = pointing_family(GroupedScores.of(make_scores(rows, np.full(4, 0.5), hits=hits)))
    assert [one.value for one in family.statistics] == pytest.approx([2 / 3, 1 / 3, 1])


def test_unknown_hits_are_judged_from_boxes():
    rows = [replace(row, boxes=((0, 0, 10, 10),)) for row in make_rows("ab", [True, True])]
    peaks = np.array([[5.0, 5.0], [20.0, 5.0]])
    filled, failures = fill_hits(rows, peaks, np.full((2, 3), np.nan))
    assert filled[:, 0].tolist() == [1, 0]
    assert failures == []


def test_hits_whose_mask_is_gone_stay_unknown_and_are_named(tmp_path):
    rows = [replace(row, mask=tmp_path / "gone.png") for row in make_rows("ab", [True, False])]
    filled, failures = fill_hits(rows, np.zeros((2, 2)), np.full((2, 3), np.nan))
    assert np.isnan(filled).all()
    assert len(failures) == 1
    assert "gone.png" in str(failures[0])
