"""``tumorlens info`` against the registry."""

import hashlib
import json

import pytest

from models import write_tiny_model
from tumorlens.cli.main import run
from tumorlens.model import installation
from tumorlens.model.registry import MODELS, ModelEntry
from tumorlens.version import __version__


def test_json_holds_version_models_and_extras(capsys):
    assert run(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["version"] == __version__
    assert [model["name"] for model in facts["models"]] == list(MODELS)
    assert set(facts["extras"]) == {
        *(
            "dicom",
            "evaluate",
            "executorch",
            "litert",
            "openvino",
            "pacs",
            "serve",
            "slurm",
            "mcp",
            "mlflow",
            "remote",
            "tensorboard",
            "train",
            "tune",
            "view",
        ),
    }
    for model in facts["models"]:
        assert model["intact"] is True
        assert model["bytes"] > 0
        assert {"sha256", "license", "terms", "summary"} <= set(model)


@pytest.fixture
def entry(tmp_path, monkeypatch):
    path = write_tiny_model(tmp_path / "tiny.onnx")
    entry = ModelEntry(
        "tiny", str(path), hashlib.sha256(path.read_bytes()).hexdigest(), "CC0", "any use", "a toy"
    )
    monkeypatch.setattr(installation, "MODELS", {"tiny": entry})
    return entry


def test_text_shows_every_field(entry, capsys):
    assert run(["info"]) == 0
    shown = capsys.readouterr().out
    for words in (__version__, "model tiny", entry.sha256, "CC0", "any use", "a toy", "extras"):
        assert words in shown


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"x"), lambda path: path.unlink()]
)
def test_a_damaged_model_is_said_and_counts(entry, damage, capsys):
    damage(entry.path)
    assert run(["info"]) == 1
    assert "missing or damaged" in capsys.readouterr().out
