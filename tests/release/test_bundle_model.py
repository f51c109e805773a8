"""The card of a bundled model: what the run wrote, and what people wrote of it."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from models import make_card
from shared_data import ROOT
from tumorlens.model.card import Training
from tumorlens.model.registry import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_no_reader_is_sent_after_the_hash_of_a_file_that_is_not_published(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "release")
    bundle_model = import_module("bundle_model")
    run = Training(groups=7, learned_from=[f"model.onnx {'0a' * 32}"])
    card = bundle_model.fill_card(make_card(training=run), bundle_model.read_texts(name), [])
    assert card.training.groups == 7
    assert card.training.learned_from
    assert not re.search("[0-9a-f]{64}", " ".join(card.training.learned_from))
