"""What the tests of trainings share."""

from __future__ import annotations

import pytest

from tiny_training import write_weights
from tumorlens.network.weights import ENVIRONMENT


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")
