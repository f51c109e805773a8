"""The model in the words of the Open Inference Protocol, version 2 (KServe)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tumorlens.finding import RESEARCH_USE
from tumorlens.model.contract import INPUT, LOOKS, OUTSIDE
from tumorlens.version import __version__

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = ["describe_model", "describe_server"]


def describe_server() -> dict[str, Any]:
    """Server metadata."""
    return {"name": "tumorlens", "version": __version__, "extensions": []}


def describe_model(detector: Detector) -> dict[str, Any]:
    """Model metadata: what goes into the network, and what comes out; -1 means any number."""
    card, session = detector.card, detector.session
    size = card.preprocess.size
    shapes = {
        "probabilities": [-1, len(card.classes)],
        "unfamiliarity": [-1],
        OUTSIDE: [-1],
        **{name: [-1, len(words)] for name, words in LOOKS.items()},
    }
    return {
        "name": card.name,
        "versions": [card.version],
        "platform": "onnxruntime_onnx",
        "inputs": [_describe_tensor(INPUT, [-1, 1, size, size])],
        "outputs": [
            _describe_tensor(name, shapes.get(name, [-1, -1, -1])) for name in session.outputs
        ],
        "parameters": {
            "sha256": session.sha256,
            "classes": list(card.classes),
            "operating_point": detector.operating_point,
            "license": card.license,
            "research_use": RESEARCH_USE,
        },
    }


def _describe_tensor(name: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": shape}
