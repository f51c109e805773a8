"""OpenVINO: two files and a card, the same answers to 1e-4."""

import sys

import numpy as np
import pytest

from convolved import write_convolved_model
from sites import write_site
from tumorlens.data.manifest import read_manifest
from tumorlens.detector import Detector
from tumorlens.errors import MissingExtra, ModelFileError, UsageError
from tumorlens.exporting.benchmarking.backends import find_backends
from tumorlens.exporting.beside import write_card
from tumorlens.exporting.conversion import export_model
from tumorlens.exporting.formats.openvino_format import convert, open_session
from tumorlens.exporting.samples import draw_samples
from tumorlens.exporting.targets import TARGETS
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session

needs_openvino = pytest.mark.skipif(
    "openvino" not in find_backends(), reason='needs pip install "tumorlens[openvino]"'
)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return Detector(write_convolved_model(tmp_path_factory.mktemp("edge") / "model.onnx"))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    manifest = read_manifest(write_site(tmp_path_factory.mktemp("edge") / "site", patients=12))
    return draw_samples(manifest, calibration=0, parity=24)


@needs_openvino
def test_the_same_answers_with_the_card_beside(original, samples, tmp_path):
    export = export_model(original, TARGETS["openvino"], tmp_path / "model.xml", samples=samples)
    assert export.report.parity.largest_difference <= 1e-4
    assert set(export.files) == set(tmp_path.iterdir())
    assert [file.name for file in export.files] == ["model.xml", "model.bin", "model.card.json"]
    assert b"few" not in (tmp_path / "model.xml").read_bytes()  # the list of training pictures
    session = open_session(tmp_path / "model.xml", threads=1)
    assert session.card == export.card
    assert original.session.sha256 in session.card.made_from
    images = np.random.default_rng(0).random((3, 1, 64, 64), np.float32)
    ours, theirs = session.run(images), original.session.run(images)
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-4)
    np.testing.assert_allclose(ours.activation, theirs.activation, atol=1e-4)
    np.testing.assert_allclose(ours.unfamiliarity, theirs.unfamiliarity, atol=1e-4)


@needs_openvino
def test_what_a_slice_shows_and_where_the_brain_is_are_told_as_well(tmp_path):
    source = find_model("small")
    convert(source, tmp_path / "small.xml")
    write_card(source, tmp_path / "small.xml")
    session, original = open_session(tmp_path / "small.xml", threads=1), Session(source, threads=1)
    assert session.outputs == original.outputs
    images = np.random.default_rng(0).random((2, 1, 160, 160), np.float32)
    ours, theirs = session.run(images), original.run(images)
    for name in original.outputs:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-3)


@needs_openvino
def test_files_beside_are_not_replaced_unasked(original, samples, tmp_path):
    (tmp_path / "model.bin").write_text("mine")
    with pytest.raises(UsageError, match=r"model\.bin: exists already"):
        export_model(original, TARGETS["openvino"], tmp_path / "model.xml", samples=samples)
    assert not (tmp_path / "model.xml").exists()


@needs_openvino
def test_a_missing_card_and_a_damaged_file(original, tmp_path):
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(ModelFileError, match=r"model\.card\.json is missing"):
        open_session(tmp_path / "model.xml")
    write_card(original.session.path, tmp_path / "model.xml")
    with pytest.raises(ModelFileError, match="OpenVINO cannot read it"):
        open_session(tmp_path / "model.xml")


def test_without_openvino_the_extra_is_named(original, samples, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"\[openvino\]"):
        export_model(original, TARGETS["openvino"], tmp_path / "model.xml", samples=samples)


def test_a_file_of_another_ending_is_refused(original, samples, tmp_path):
    with pytest.raises(UsageError, match=r"writes NAME\.xml"):
        export_model(original, TARGETS["openvino"], tmp_path / "model.onnx", samples=samples)
