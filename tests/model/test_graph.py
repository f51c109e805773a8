"""Rewriting a model file: the numbers asked for, and nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models import make_card, write_tiny_model
from tumorlens.errors import ModelFileError, UsageError
from tumorlens.model.card import HistoryEntry
from tumorlens.model.contract import CARD_KEY, SEEN_KEY, Calibration
from tumorlens.model.graph import read_calibration, read_layers, write_model
from tumorlens.model.registry import DEFAULT, find_model
from tumorlens.model.session import Session

NAMES = {"calibration.scale", "calibration.offset", "calibration.unfamiliarity"}


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx", seen="abc")


def strip(path):
    """A model's bytes without calibration and metadata."""
    one = onnx.load(path)
    one.ClearField("metadata_props")
    for initializer in one.graph.initializer:
        if initializer.name in NAMES:
            initializer.ClearField("raw_data")
    return one.SerializeToString()


def test_calibration_is_read_as_it_stands(model):
    assert read_calibration(model) == Calibration(1.0, 0.0, 2.0)


def test_rewriting_changes_what_was_asked_and_not_a_bit_more(model, tmp_path):
    output = tmp_path / "site.onnx"
    entry = HistoryEntry(date="2026-01-01", change="calibrated", slices=9, groups=3)
    write_model(
        model, output, calibration=Calibration(2.0, -0.5, 4.0), card=make_card(history=[entry])
    )
    assert read_calibration(output) == Calibration(2.0, -0.5, 4.0)
    assert strip(output) == strip(model)
    session = Session(output)
    assert session.card.history == [entry]
    assert session.seen == "abc"


def test_rewriting_nothing_keeps_everything(model, tmp_path):
    write_model(model, tmp_path / "same.onnx")
    assert onnx.load(tmp_path / "same.onnx") == onnx.load(model)


def test_fingerprints_are_replaced(model, tmp_path):
    write_model(model, tmp_path / "other.onnx", seen="xyz")
    entries = {one.key: one.value for one in onnx.load(tmp_path / "other.onnx").metadata_props}
    assert entries[SEEN_KEY] == "xyz"
    assert entries[CARD_KEY] == make_card().to_json()


def test_the_network_computes_with_the_new_numbers(model, tmp_path):
    """p' = sigmoid(s * logit(p) + o), unfamiliarity times its factor: the rest stays."""
    write_model(model, tmp_path / "new.onnx", calibration=Calibration(0.5, 0.25, 1.0))
    images = np.random.default_rng(0).random((4, 1, 64, 64), np.float32) * 0.8 + 0.2
    old, new = Session(model).run(images), Session(tmp_path / "new.onnx").run(images)
    logit = np.log(old.probabilities[:, 1] / old.probabilities[:, 0])
    expected = 1 / (1 + np.exp(-(0.5 * logit + 0.25)))
    np.testing.assert_allclose(new.probabilities[:, 1], expected, rtol=1e-3)
    np.testing.assert_array_equal(new.activation, old.activation)
    np.testing.assert_allclose(new.unfamiliarity, old.unfamiliarity / 2, rtol=1e-6)


def test_calibrations_compose():
    first, second = Calibration(2.0, 0.5, 3.0), Calibration(0.5, -1.0, 2.0)
    z = np.linspace(-5, 5, 11)
    both = first.then(second)
    np.testing.assert_allclose(
        both.scale * z + both.offset,
        second.scale * (first.scale * z + first.offset) + second.offset,
    )
    assert both.unfamiliarity == 6.0
    assert first.then(Calibration()) == first


@pytest.mark.parametrize("values", [(0, 0, 1), (-1, 0, 1), (1, 0, 0), (float("nan"), 0, 1)])
def test_a_calibration_that_turns_the_order_around_is_refused(values):
    with pytest.raises(ValueError, match="must be positive"):
        Calibration(*values)


def test_a_model_without_calibration_cannot_be_calibrated(model, tmp_path):
    one = onnx.load(model)
    place = next(i for i, x in enumerate(one.graph.initializer) if x.name == "calibration.scale")
    one.graph.initializer[place].name = "elsewhere"
    onnx.save(one, model)
    with pytest.raises(ModelFileError, match=r"no initializer 'calibration.scale'"):
        write_model(model, tmp_path / "x.onnx", calibration=Calibration())
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize(("content", "words"), [(None, "no such file"), (b"no", "is no ONNX")])
def test_what_is_no_model_cannot_be_rewritten(tmp_path, content, words):
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=words):
        write_model(path, tmp_path / "x.onnx")


def test_an_existing_file_is_kept_unless_asked(model, tmp_path):
    output = tmp_path / "there.onnx"
    output.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        write_model(model, output)
    assert output.read_bytes() == b"mine"
    write_model(model, output, overwrite=True)
    assert numpy_helper.to_array(onnx.load(output).graph.initializer[0]) == np.float32(0.75)


def test_weights_in_half_precision_take_less_room_and_give_nearly_the_same(tmp_path):
    whole, half, again = find_model(DEFAULT), tmp_path / "half.onnx", tmp_path / "again.onnx"
    write_model(whole, half, half=True)
    weights = whole.stat().st_size - half.stat().st_size
    assert weights > whole.stat().st_size / 4
    images = np.random.default_rng(0).random((2, 1, 160, 160), dtype=np.float32)
    expected = Session(whole).run(images).probabilities
    assert Session(half).run(images).probabilities == pytest.approx(expected, abs=0.02)
    before, after = read_layers(whole), read_layers(half)
    assert before.keys() == after.keys()
    for name, layer in after.items():
        assert layer.dtype == np.float32
        np.testing.assert_allclose(layer, before[name], rtol=1e-3, atol=1e-6)
    write_model(half, again, half=False)
    assert again.stat().st_size > half.stat().st_size + weights / 2
    assert Session(again).run(images).probabilities == pytest.approx(
        Session(half).run(images).probabilities, abs=1e-6
    )


def test_weights_in_half_precision_stay_so_when_a_model_is_calibrated(tmp_path):
    whole, half, site = find_model(DEFAULT), tmp_path / "half.onnx", tmp_path / "site.onnx"
    write_model(whole, half, half=True)
    write_model(half, site)
    assert site.read_bytes() == half.read_bytes()
    write_model(half, site, calibration=Calibration(2.0, -0.5, 4.0), overwrite=True)
    assert read_calibration(site) == Calibration(2.0, -0.5, 4.0)
    assert strip(site) == strip(half)
