"""From a name to a file."""

from __future__ import annotations

import hashlib

import pytest

from tumorlens.errors import ModelFileError
from tumorlens.model import registry
from tumorlens.model.registry import MODELS, ModelEntry, find_entry, find_model
from tumorlens.model.session import Session


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_every_bundled_model_is_what_the_registry_says_and_remembers_its_pictures(entry):
    assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256
    assert MODELS[entry.name] is entry
    assert Session(entry.path, sha256=entry.sha256).seen
    assert entry.license
    assert entry.terms
    assert entry.summary


def test_a_file_is_itself(tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"")
    assert find_model(path) == path
    assert find_entry(path) is None


def test_a_name_comes_before_a_file(tmp_path, monkeypatch):
    entry = ModelEntry("known", "known.onnx", "00", "Apache-2.0", "free", "a model")
    monkeypatch.setitem(registry.MODELS, "known", entry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known").write_bytes(b"")
    assert find_model("known") == entry.path
    assert find_entry("known") is entry


def test_an_unknown_name_offers_what_comes_close(monkeypatch):
    entry = ModelEntry("release-small", "r.onnx", "00", "Apache-2.0", "free", "a model")
    monkeypatch.setitem(registry.MODELS, "release-small", entry)
    with pytest.raises(ModelFileError, match=r"did you mean release-small\?"):
        find_model("release-smal")
    with pytest.raises(ModelFileError, match=r"known names: .*release-small"):
        find_model("qqqq")
