"""LiteRT and ExecuTorch: a file and a card, the same answers to 1e-4.

Each toolchain wants an environment of its own (docs/how-to/edge.md); elsewhere its tests skip.
"""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from convolved import write_convolved_model
from sites import write_site
from tumorlens.data.manifest import read_manifest
from tumorlens.detector import Detector
from tumorlens.errors import MissingExtra, ModelFileError
from tumorlens.exporting.conversion import export_model
from tumorlens.exporting.samples import draw_samples
from tumorlens.exporting.targets import TARGETS

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
    from tumorlens.exporting.beside import write_card

    path = tmp_path / f"model{TARGETS[name].suffix}"
    path.write_bytes(b"nothing of the kind" * 20)
    with pytest.raises(ModelFileError, match=r"model\.card\.json is missing"):
        TARGETS[name].open(path)
    write_card(original.session.path, path)
    with pytest.raises(ModelFileError, match="cannot read it"):
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
