"""Exports: the same answers, the contract kept, calibration untouched, misses refused."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from convolved import write_convolved_model
from score_tables import draw_scores
from sites import write_site
from tumorlens.data.manifest import read_manifest
from tumorlens.detector import Detector
from tumorlens.errors import DataError, UsageError
from tumorlens.exporting import parity
from tumorlens.exporting.conversion import export_model
from tumorlens.exporting.samples import Samples, draw_samples
from tumorlens.exporting.targets import TARGETS, find_target
from tumorlens.model.contract import Calibration
from tumorlens.model.graph import read_calibration, write_model
from tumorlens.model.session import Session

WRITABLE = ["onnx-fp16", "onnx-int8"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return read_manifest(write_site(tmp_path_factory.mktemp("edge") / "site", patients=60))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return Detector(write_convolved_model(tmp_path_factory.mktemp("edge") / "model.onnx"))


@pytest.fixture(scope="module", params=WRITABLE)
def export(request, manifest, original, tmp_path_factory):
    target = find_target(request.param)
    samples = draw_samples(manifest, calibration=40, parity=60)
    output = tmp_path_factory.mktemp("edge") / "export.onnx"
    return export_model(original, target, output, samples=samples)


def test_the_export_says_what_the_original_says(export, original, manifest):
    pictures = [row.path for row in manifest.rows]
    ours, theirs = Detector(export.path).predict(pictures), original.predict(pictures)
    gaps = [
        abs(a.tumor_probability - b.tumor_probability) for a, b in zip(ours, theirs, strict=True)
    ]
    assert 0 < max(gaps) < 0.1
    assert np.mean([a.verdict == b.verdict for a, b in zip(ours, theirs, strict=True)]) >= 0.99


def test_the_card_names_the_original_and_carries_the_parity(export, original):
    card = Detector(export.path).card
    assert original.session.sha256 in card.made_from
    assert card.version.startswith("0+onnx-")
    assert card.parity == export.report.parity
    assert (card.parity.slices, card.parity.groups) == (60, 30)
    assert card.parity.largest_difference >= card.parity.mean_difference > 0
    assert card.parity.ece is not None
    assert card.parity.pointing_difference is not None
    assert not card.known_failures


def test_one_file_is_written(export):
    assert export.files == (export.path,)


def test_the_list_of_training_pictures_stays_behind(export, original):
    assert original.session.seen == "few"
    assert Detector(export.path).session.seen is None


def test_convolutions_lose_precision_and_decisions_do_not(export):
    graph = onnx.load(export.path).graph
    kinds = {one.name: one.data_type for one in graph.initializer}
    for name in ("calibration.scale", "calibration.offset", "calibration.unfamiliarity"):
        assert kinds[name] == TensorProto.FLOAT
    assert kinds["last.weight"] == TensorProto.FLOAT  # its outputs are logits
    small = {TensorProto.FLOAT16, TensorProto.UINT8}
    assert small & set(kinds.values())
    maker = {output: node for node in graph.node for output in node.output}
    far = maker["unfamiliarity"]
    assert far.op_type == "Mul"
    assert maker[far.input[0]].op_type == "ReduceMean"  # no rounding between the two


def test_an_export_can_be_calibrated(export, tmp_path):
    before = read_calibration(export.path)
    assert (before.scale, before.offset, before.unfamiliarity) == (1.0, 0.25, 0.5)
    output = tmp_path / "site.onnx"
    write_model(export.path, output, calibration=Calibration(2.0, -1.0, 0.25))
    image = np.full((1, 1, 64, 64), 0.72, np.float32)
    old, new = (Detector(path).session.run(image) for path in (export.path, output))
    logit = [np.log(one.probabilities[0, 1] / one.probabilities[0, 0]) for one in (old, new)]
    assert logit[1] == pytest.approx(2 * (logit[0] - 0.25) - 1, abs=1e-3)
    assert new.unfamiliarity == pytest.approx(old.unfamiliarity / 2)


def break_bars(monkeypatch):
    """What no export can keep to."""
    for kind in parity.BARS:
        monkeypatch.setitem(parity.BARS, kind, parity.Bars(largest_difference=0.0))


@pytest.mark.parametrize("kind", parity.BARS)
def test_an_export_that_judges_what_the_original_does_not_misses_its_bar(kind):
    judged = draw_scores(groups=20, slices=5)
    words = judged.verdict.copy()
    words[:5] = "not_judged"
    report = parity.compare_scores(judged, replace(judged, verdict=words), kind)
    assert report.parity.largest_difference == 0
    (miss,) = report.misses
    assert "95.00 % of the verdicts are equal" in miss


@pytest.mark.parametrize("name", WRITABLE)
def test_a_miss_is_refused_and_nothing_is_written(name, manifest, original, tmp_path, monkeypatch):
    break_bars(monkeypatch)
    samples = draw_samples(manifest, calibration=30, parity=20)
    output = tmp_path / "export.onnx"
    with pytest.raises(UsageError, match=r"not written.*differs by .*force=True"):
        export_model(original, TARGETS[name], output, samples=samples)
    assert list(tmp_path.iterdir()) == []


def test_a_forced_miss_stands_in_the_card(manifest, original, tmp_path, monkeypatch):
    break_bars(monkeypatch)
    samples = draw_samples(manifest, calibration=0, parity=20)
    output = tmp_path / "export.onnx"
    export_model(original, TARGETS["onnx-fp16"], output, samples=samples, force=True)
    (failure,) = Detector(output).card.known_failures
    assert failure.startswith("Exported to onnx-fp16 by force: a tumor probability differs by")


def test_without_slices_only_force_writes(original, tmp_path):
    output = tmp_path / "export.onnx"
    with pytest.raises(UsageError, match="give labelled slices, or `force=True`"):
        export_model(original, TARGETS["onnx-fp16"], output)
    export_model(original, TARGETS["onnx-fp16"], output, force=True)
    card = Detector(output).card
    assert card.parity is None
    assert "parity was not measured" in card.known_failures[0]


def test_integers_need_slices_even_by_force(original, tmp_path):
    with pytest.raises(UsageError, match="needs `data=`"):
        export_model(original, TARGETS["onnx-int8"], tmp_path / "export.onnx", force=True)


def test_too_few_slices_to_calibrate_on(manifest, original, tmp_path):
    few = manifest.with_rows(manifest.rows[:4])
    rest = manifest.with_rows(manifest.rows[8:])
    with pytest.raises(DataError, match="4 readable slices are too few"):
        export_model(
            original, TARGETS["onnx-int8"], tmp_path / "x.onnx", samples=Samples(few, rest)
        )


def test_an_unknown_target_is_told_with_the_known_ones():
    with pytest.raises(UsageError, match="onnx-fp16, onnx-int8"):
        find_target("onnx-int4")


def test_weights_are_signed_around_zero(export):
    """VNNI wants them so."""
    if "int8" not in export.card.version:
        pytest.skip("float16 has no integers")
    graph = onnx.load(export.path).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    weights = [
        node for node in graph.node
        if node.op_type == "DequantizeLinear" and values.get(node.input[0], np.zeros(1)).ndim > 1
    ]  # fmt: skip
    assert weights
    for node in weights:
        assert values[node.input[0]].dtype == np.int8
        assert len(node.input) == 2  # no zero point


def test_without_vnni_the_answers_are_the_same(export, monkeypatch):
    """There a session has signed weights multiplied as unsigned ones, which do not overflow."""
    images = np.random.default_rng(0).random((3, 1, 64, 64), np.float32)
    here = Session(export.path, threads=1).run(images)
    monkeypatch.setattr("tumorlens.model.session.read_cpuinfo", lambda: "flags : avx2\n")
    there = Session(export.path, threads=1).run(images)
    np.testing.assert_allclose(here.probabilities, there.probabilities, atol=1e-6)
    np.testing.assert_allclose(here.activation, there.activation, atol=1e-6)


def test_nothing_is_held_twice_but_calibration_and_weights(export):
    if "int8" not in export.card.version:
        pytest.skip("float16 adds no tensors")
    held = [
        (one.data_type, tuple(one.dims), numpy_helper.to_array(one).tobytes())
        for one in onnx.load(export.path).graph.initializer
        if not one.name.startswith("calibration.") and one.data_type != onnx.TensorProto.INT8
    ]
    assert len(set(held)) == len(held)
