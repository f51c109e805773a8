"""Which rows teach what is no MRI of the brain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tumorlens.data.rows import Row
from tumorlens.training.finishing.strangers import draw_examples, teach_strangers
from tumorlens.training.rows.codes import BRAIN_NONE, BRAIN_SHOWN, BRAIN_UNKNOWN
from tumorlens.training.rows.prepared_rows import PreparedRows

CODES = {"brain": BRAIN_SHOWN, "none": BRAIN_NONE, "unknown": BRAIN_UNKNOWN}
TOLD = [  # source, group, what its mask of the brain says
    ("mri", "anna", "brain"),
    ("mri", "anna", "none"),  # her neck
    ("mri", "ben", "unknown"),
    ("ct", "ben", "none"),
    ("ct", "cleo", "none"),
]


@pytest.fixture
def prepared():
    rows = tuple(
        Row(
            Path(f"{number}.png"),
            label="no_tumor",
            source=source,
            group=group,
            brain=None if told == "unknown" else Path("mask.png"),
        )
        for number, (source, group, told) in enumerate(TOLD)
    )
    images = np.zeros((len(rows), 64, 64), np.uint8)
    brain = np.stack([np.full((64, 64), CODES[told], np.uint8) for *_, told in TOLD])
    return PreparedRows(
        rows=rows,
        images=images,
        annotation=images,
        brain=brain,
        gains=np.ones(len(rows), np.float32),
        looks=np.full((len(rows), 3), -1),
        tumor=np.zeros(len(rows), np.float32),
        kinds=np.full(len(rows), -1),
        sources=np.zeros(len(rows), np.int64),
        fingerprints=(b"",) * len(rows),
    )


def test_ct_of_a_patient_with_mri_is_no_mri_and_a_neck_serves_neither_side(prepared):
    assert prepared.find_strangers().tolist() == [False, False, False, True, True]
    chosen, brain = draw_examples(prepared, np.arange(5), seed=0)
    assert dict(zip(chosen.tolist(), brain.tolist(), strict=True)) == {
        0: True,
        2: True,
        3: False,
        4: False,
    }


def test_rows_that_were_not_trained_on_serve_nothing(prepared):
    chosen, _ = draw_examples(prepared, np.array([0, 3]), seed=0)
    assert sorted(chosen.tolist()) == [0, 3]


def test_few_images_change_no_model(prepared, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"a model")
    told = []
    assert not teach_strangers(tmp_path / "m.onnx", prepared, np.arange(5), 0, told.append)
    assert (tmp_path / "m.onnx").read_bytes() == b"a model"
    assert told == []
