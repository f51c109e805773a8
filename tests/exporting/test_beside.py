"""Card and numbers for studies beside a file that carries no metadata."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from convolved import write_convolved_model
from study_tables import make_study_model
from tumorlens.detector import Detector
from tumorlens.errors import UsageError
from tumorlens.exporting.beside import open_beside, write_card
from tumorlens.exporting.conversion import export_model
from tumorlens.exporting.targets import TARGETS
from tumorlens.model.contract import OUTPUTS
from tumorlens.model.graph import write_model
from tumorlens.model.session import Session
from tumorlens.studies.study_model import find_study_model


def open_runtime(path):
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return SimpleNamespace(run=session.run, outputs=OUTPUTS)


@pytest.fixture
def model(tmp_path):
    return write_convolved_model(tmp_path / "model.onnx")


def test_a_session_beside_runs_as_the_original(model, tmp_path):
    path = tmp_path / "export.bin"
    path.write_bytes(model.read_bytes())
    write_card(model, path)
    images = np.random.default_rng(0).random((3, 1, 64, 64), np.float32)
    ours, theirs = open_beside(path, open_runtime).run(images), Session(model).run(images)
    np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


def test_numbers_for_studies_travel_along(model, tmp_path):
    numbers = make_study_model()
    write_model(model, tmp_path / "with.onnx", studies=numbers.to_json())
    for source, wanted in ((model, None), (tmp_path / "with.onnx", numbers)):
        path = tmp_path / f"{source.stem}.bin"
        path.write_bytes(source.read_bytes())
        write_card(source, path)
        detector = Detector(open_beside(path, open_runtime))
        assert find_study_model(detector) == wanted


def test_the_card_of_another_export_is_kept_and_told_before_the_work(model, tmp_path):
    (tmp_path / "edge.card.json").write_text("that of edge.tflite")
    with pytest.raises(UsageError, match=r"edge\.card\.json: exists already"):
        export_model(Detector(model), TARGETS["executorch"], tmp_path / "edge.pte", force=True)
    assert (tmp_path / "edge.card.json").read_text() == "that of edge.tflite"
