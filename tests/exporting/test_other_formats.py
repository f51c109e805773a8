"""LiteRT and ExecuTorch: a file and a card, the same answers to 1e-4.

Each toolchain wants an environment of its own (docs/how-to/edge.md); elsewhere its tests skip.
"""

import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from brains import as_slice, paint_brain
from convolved import write_convolved_model
from sites import write_site
from tumorlens.data.manifest import read_manifest
from tumorlens.detector import Detector
from tumorlens.errors import MissingExtra, ModelFileError
from tumorlens.exporting.beside import write_card
from tumorlens.exporting.conversion import export_model
from tumorlens.exporting.samples import draw_samples
from tumorlens.exporting.targets import TARGETS
from tumorlens.model.registry import find_model

MODULES = {"litert": "litert_torch", "executorch": "executorch"}
EVERY = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            find_spec(module) is None,
            reason=f'needs pip install "tumorlens[{name}]" in an environment of its own',
        ),
    )
    for name, module in MODULES.items()
]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return Detector(write_convolved_model(tmp_path_factory.mktemp("edge") / "model.onnx"))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    manifest = read_manifest(write_site(tmp_path_factory.mktemp("edge") / "site", patients=12))
    return draw_samples(manifest, calibration=0, parity=24)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.filterwarnings("ignore")  # of the toolchains, about themselves
def test_the_same_answers_with_the_card_beside(name, original, samples, tmp_path):
    target = TARGETS[name]
    path = tmp_path / f"model{target.suffix}"
    export = export_model(original, target, path, samples=samples)
    assert export.report.parity.largest_difference <= 1e-4
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "model.card.json"}
    session = target.open(path)
    assert session.card == export.card
    assert original.session.sha256 in session.card.made_from
    images = np.random.default_rng(0).random((3, 1, 64, 64), np.float32)
    ours, theirs = session.run(images), original.session.run(images)
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-4)
    np.testing.assert_allclose(ours.activation, theirs.activation, atol=1e-4)
    np.testing.assert_allclose(ours.unfamiliarity, theirs.unfamiliarity, atol=1e-4)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.filterwarnings("ignore")
def test_all_that_the_model_tells_is_told_as_well(name, tmp_path):
    source, target = find_model("small"), TARGETS[name]
    path = tmp_path / f"small{target.suffix}"
    target.find_convert()(source, path, ())
    export, original = Detector(target.open(path), threads=1), Detector(source, threads=1)
    assert export.session.outputs == original.session.outputs
    size = original.card.preprocess.size
    images = np.random.default_rng(0).random((2, 1, size, size), np.float32)
    ours, theirs = export.session.run(images), original.session.run(images)
    for output in original.session.outputs:
        np.testing.assert_allclose(getattr(ours, output), getattr(theirs, output), atol=1e-3)
    noise = np.random.default_rng(1).integers(0, 255, (96, 96), np.uint8)
    slices = [as_slice(pixels) for pixels in (noise, *map(paint_brain, range(3)))]
    ours, theirs = ([one for _, one in model.judge(slices)] for model in (export, original))
    assert [one.verdict for one in ours] == [one.verdict for one in theirs]
    assert theirs[0].verdict == "not_judged"
    assert [one.brain_share for one in ours] == pytest.approx([one.brain_share for one in theirs])
    for one, other in zip(ours, theirs, strict=True):
        words, likely = one.appearance.most_likely(), other.appearance.most_likely()
        assert [word for word, _ in words.values()] == [word for word, _ in likely.values()]
        assert one.outside == pytest.approx(other.outside, abs=1e-3)


@pytest.mark.parametrize("name", EVERY[:1])
@pytest.mark.filterwarnings("ignore")
def test_eight_bits_of_litert(name, original, tmp_path):
    manifest = read_manifest(write_site(tmp_path / "site", patients=60))
    samples = draw_samples(manifest, calibration=40, parity=60)
    target = TARGETS[f"{name}-int8"]
    path = tmp_path / "model.tflite"
    export = export_model(original, target, path, samples=samples, force=True)
    assert export.report.parity.verdicts_equal >= 0.95  # painted heads lie at the threshold
    assert 0 < export.report.parity.largest_difference < 0.1


@pytest.mark.parametrize("name", EVERY)
def test_a_damaged_file_is_told(name, tmp_path, original):
    path = tmp_path / f"model{TARGETS[name].suffix}"
    path.write_bytes(b"nothing of the kind" * 20)
    with pytest.raises(ModelFileError, match=r"model\.card\.json is missing"):
        TARGETS[name].open(path)
    write_card(original.session.path, path)
    with pytest.raises(ModelFileError, match="cannot read it"):
        TARGETS[name].open(path)


def write_foreign(name, path):
    """A file of another program, which converts without naming outputs."""
    import torch

    module, example = torch.nn.Linear(2, 2).eval(), (torch.zeros(1, 2),)
    if name == "litert":
        import_module("litert_torch").convert(module, example).export(str(path))
        return
    lower = import_module("executorch.exir").to_edge_transform_and_lower
    path.write_bytes(lower(torch.export.export(module, example)).to_executorch().buffer)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_does_not_name_its_outputs_is_refused(name, tmp_path, original):
    path = tmp_path / f"model{TARGETS[name].suffix}"
    write_foreign(name, path)
    write_card(original.session.path, path)
    with pytest.raises(ModelFileError, match="does not name its outputs"):
        TARGETS[name].open(path)


@pytest.mark.parametrize("name", MODULES)
def test_without_the_toolchain_extra_and_environment_are_named(
    name, original, samples, tmp_path, monkeypatch
):
    for module in [one for one in sys.modules if one.partition(".")[0] == MODULES[name]]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    path = tmp_path / f"model{TARGETS[name].suffix}"
    with pytest.raises(MissingExtra, match=rf"environment of its own.*\[{name}\]"):
        export_model(original, TARGETS[name], path, samples=samples)
    assert not path.exists()
