"""What is known of the brain in a training picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import write_nifti
from tumorlens.data.rows import Row
from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.slices import Slice
from tumorlens.training.rows.brains import find_brain
from tumorlens.training.rows.codes import BRAIN_NONE, BRAIN_SHOWN, BRAIN_UNKNOWN, TUMOR_MASK

SIZE = 64


@pytest.fixture
def head():
    """A disc as slice, as the network takes it and in bytes."""
    y, x = np.mgrid[:128, :128]
    pixels = np.where((y - 64) ** 2 + (x - 64) ** 2 < 40**2, 200, 0).astype(np.float32)
    prepared = prepare(Slice(pixels, SliceInfo("disc")), PreprocessSpec(version=2, size=SIZE))
    return pixels, prepared, np.rint(prepared.image[0] * 255).astype(np.uint8)


def look(head, row, annotation=None):
    pixels, prepared, image = head
    annotation = np.zeros((SIZE, SIZE), np.uint8) if annotation is None else annotation
    return find_brain(row, prepared, image, annotation, pixels.shape)


def test_a_mask_of_the_brain_tells_every_pixel(head, tmp_path):
    mask = np.zeros(head[0].shape, np.uint8)
    mask[44:84, 44:84] = 255
    Image.fromarray(mask).save(tmp_path / "brain.png")
    brain = look(head, Row(Path("s.png"), brain=tmp_path / "brain.png"))
    assert set(np.unique(brain)) == {BRAIN_SHOWN, BRAIN_NONE}
    assert brain[32, 32] == BRAIN_SHOWN
    assert brain[8, 32] == BRAIN_NONE


def test_a_mask_of_the_brain_may_be_a_volume_or_a_picture_of_one_slice(head, tmp_path):
    volume = np.zeros((128, 128, 3), np.uint8)
    volume[44:84, 44:84, 1] = 1
    path = write_nifti(tmp_path / "brain_mask.nii", volume)
    brain = look(head, Row(Path("s.nii"), 1, brain=path))
    assert (brain[32, 32], brain[8, 32]) == (BRAIN_SHOWN, BRAIN_NONE)
    Image.fromarray(volume[..., 1] * 255).save(tmp_path / "brain.png")
    brain = look(head, Row(Path("s.nii"), 1, brain=tmp_path / "brain.png"))
    assert (brain[32, 32], brain[8, 32]) == (BRAIN_SHOWN, BRAIN_NONE)


def test_an_empty_mask_says_that_no_brain_is_there(head, tmp_path):
    Image.fromarray(np.zeros(head[0].shape, np.uint8)).save(tmp_path / "brain.png")
    brain = look(head, Row(Path("s.png"), brain=tmp_path / "brain.png"))
    assert (brain == BRAIN_NONE).all()


def test_a_mask_of_another_size_is_refused(head, tmp_path):
    Image.fromarray(np.eye(20, dtype=np.uint8)).save(tmp_path / "brain.png")
    with pytest.raises(InputError, match="mask of 20 x 20 pixels on a slice of 128 x 128"):
        look(head, Row(Path("s.png"), brain=tmp_path / "brain.png"))


def test_where_the_skull_is_cut_away_all_that_is_left_is_brain(head):
    brain = look(head, Row(Path("s.png"), skull="off"))
    assert brain[32, 32] == BRAIN_SHOWN
    assert brain[0, 0] == BRAIN_NONE


def test_elsewhere_only_tumors_and_air_are_known(head):
    annotation = np.zeros((SIZE, SIZE), np.uint8)
    annotation[30:34, 30:34] = TUMOR_MASK
    brain = look(head, Row(Path("s.png"), skull="on"), annotation)
    assert brain[32, 32] == BRAIN_SHOWN
    assert brain[20, 32] == BRAIN_UNKNOWN
    assert brain[0, 0] == BRAIN_NONE
