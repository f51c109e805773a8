"""examples/: small, labelled, the same slice in every format, and repainted by the script."""

from __future__ import annotations

import importlib.util
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tumorlens import predict
from tumorlens.finding import VERDICTS
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.readers import read_slices

FOLDER = Path(__file__).resolve().parent.parent / "examples"
FORMATS = (".png", ".dcm", ".nii.gz")
PICTURES = sorted(path for path in FOLDER.iterdir() if path.name.endswith(FORMATS))


@pytest.fixture(scope="module")
def painter():
    """The script, as a module; its sources of pictures are not needed here."""
    spec = importlib.util.spec_from_file_location("paint_lesions", FOLDER / "paint_lesions.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def brain(painter):
    """A round brain of white matter with a grey rim."""
    row, column = np.indices((160, 160))
    distance = np.hypot(row - 80, column - 80)
    inside = (distance < 70).astype(float)
    white = (distance < 55).astype(float)
    grey = inside - white
    return painter.Tissue(t1=0.7 * white + 0.5 * grey, white=white, grey=grey, brain=inside)


def test_examples_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 1_000_000


def test_each_picture_stands_in_the_readme_and_says_what_it_is():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in PICTURES:
        stem = path.name.partition(".")[0]
        assert f"`{stem}.png`" in text
        assert stem.endswith(("_synthetic_lesion", "_normal"))


def test_one_slice_prepares_alike_from_every_format():
    stem = "t1c_axial_synthetic_lesion"
    prepared = []
    for suffix in FORMATS:
        (slice_,) = read_slices(FOLDER / f"{stem}{suffix}")
        prepared.append(prepare(slice_, PreprocessSpec()).image)
    for one, other in pairwise(prepared):
        # 8 bits against 12 bits: one grey level apart, wherever the two round differently.
        np.testing.assert_allclose(one, other, atol=2.5 / 255)


def test_dicom_example_names_no_person():
    import pydicom

    dataset = pydicom.dcmread(FOLDER / "t1c_axial_synthetic_lesion.dcm")
    assert dataset.PatientName == "SYNTHETIC^LESION"
    told = [one.value for one in dataset if re.search("Birth|Institution|Accession", one.name)]
    assert not any(told)  # empty: objects that refer to the file need these attributes


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_every_example_gets_a_verdict(path):
    (finding,) = predict(path)
    assert finding.verdict in VERDICTS


def test_paint_marks_the_lesion_and_leaves_the_far_side(painter, brain):
    lesion = painter.Lesion(60, 60, 15, rim=1.0, core=0.1, edema=0.3, seed=1)
    painted = painter.paint(brain.t1, brain, lesion)
    assert painted[60, 60] == pytest.approx(0.1, abs=0.05)
    assert painted[45:75, 45:75].max() > 0.9
    np.testing.assert_allclose(painted[:, 130:], brain.t1[:, 130:], atol=0.01)
    assert painted[:5].max() == pytest.approx(0, abs=0.01)  # air stays air


def test_paint_repeats_itself_for_one_seed(painter, brain):
    def paint(seed):
        lesion = painter.Lesion(60, 60, 15, rim=1.0, core=0.1, edema=0.3, seed=seed)
        return painter.paint(brain.t1, brain, lesion)

    np.testing.assert_array_equal(paint(1), paint(1))
    assert np.abs(paint(1) - paint(2)).max() > 0.1


def test_push_moves_tissue_outward(painter, brain):
    lesion = painter.Lesion(80, 80, 20, rim=1, core=0, edema=0, push=6)
    ring = np.zeros((160, 160))
    ring[80, 100] = 1
    moved = painter.push_aside(ring, lesion)
    assert moved[80, 101:].sum() > 0.5
    assert moved[80, :101].sum() < 0.5
