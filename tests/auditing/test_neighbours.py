"""A flipped label inside a series is found, the rim of a lesion and sparse slices are not."""

from dataclasses import replace
from pathlib import Path

import pytest

from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.neighbours import find_lone_labels
from tumorlens.auditing.traits import Traits
from tumorlens.data.rows import Row

LESION = "..TTTTTT......"


def series(labels, **columns):
    """A series of one patient, a letter a slice: T tumor, . none, ? unlabelled."""
    words = {"T": "tumor", ".": "no_tumor", "?": ""}
    return [
        Row(Path(f"/{n}.png"), group="p", label=words[letter], position=n / 40, **columns)
        for n, letter in enumerate(labels)
    ]


def find(rows):
    evidence = Evidence(tuple(rows), len(rows), (Traits(),) * len(rows), ())
    return list(find_lone_labels(evidence))


@pytest.mark.parametrize(
    ("labels", "lone"),
    [
        (LESION, ()),
        ("..TTT.TT......", (5,)),
        ("..TTTTTT...T..", (11,)),
        ("..TT.T.T......", ()),  # two of five differ: who is wrong?
        ("..TTTTTT.....T", ()),  # nothing stands behind the last
        ("..TT??TT......", ()),
        ("TT?.TT", (3,)),
    ],
)
def test_labels_that_stand_alone(labels, lone):
    found = find(series(labels))
    assert tuple(row for one in found for row in one.leave_out) == lone
    if lone:
        assert found[0].kind == "conflicts"
        assert lone[0] in found[0].rows
        assert len(found[0].rows) == 2  # and the one before it, to look at
        assert found[0].title.startswith("1 slice with")


def test_slices_far_apart_prove_nothing():
    rows = series("TT.TT")
    assert find([replace(row, position=row.position * 4) for row in rows]) == []
    assert len(find(rows)) == 1


def test_neighbours_are_of_one_series():
    first, second = series("TTTTT", sequence="T1"), series(".....", sequence="FLAIR")
    assert find([row for pair in zip(first, second, strict=True) for row in pair]) == []
    assert find([replace(row, group="") for row in series("TT.TT")]) == []


def test_frames_of_a_volume_are_neighbours():
    rows = [replace(row, position=None, path=Path("/v.nii"), frame=n)
            for n, row in enumerate(series("TT.TT"))]  # fmt: skip
    assert len(find(rows)) == 1
    assert find([replace(row, frame=3 * row.frame) for row in rows]) == []
