"""Tiny model files that honour the contract, built with the onnx package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tumorlens.imaging.preprocess import PreprocessSpec
from tumorlens.model.card import Card, OperatingPoint
from tumorlens.model.contract import BRAIN, CARD_KEY, LOOKS, SEEN_KEY


def make_card(**changes: object) -> Card:
    """A small valid card."""
    fields: dict[str, object] = {
        "schema": 1,
        "name": "tiny",
        "version": "0",
        "created": "2026-11-24",
        "license": "Apache-2.0",
        "classes": ["no_tumor", "tumor"],
        "tumor_classes": ["tumor"],
        "preprocess": PreprocessSpec(version=1, size=64),
        "operating_points": {"balanced": OperatingPoint(low=0.3, middle=0.5, high=0.7)},
        "cell_threshold": 0.5,
    }
    return Card(**{**fields, **changes})  # type: ignore[arg-type]


def write_tiny_model(
    path: Path,
    card: Card | None = None,
    seen: str | None = None,
    *,
    brain: float | None = None,
    lean: float = 0.0,
) -> Path:
    """A network without training: a cell is as suspicious as its brightness over 0.5.

    tumor logit = 20 * (largest 8 x 8 mean - 0.75); unfamiliarity = 2 * mean of the picture.

    Args:
        path: of the file.
        card: another one than `make_card` gives.
        seen: fingerprints of training pictures.
        brain: logit of every cell to show brain; with it come plane, sequence and skull.
        lean: added to the logit of the cells at the right border, and taken from that of those at
            the left border, so that a mirrored picture is judged otherwise.
    """
    card = card or make_card()
    size, classes = card.preprocess.size, len(card.classes)
    tumors = classes - 1

    def constant(name: str, value: object, kind: type = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(value, kind), name)

    nodes = [
        helper.make_node("AveragePool", ["image"], ["mean"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Sub", ["mean", "level"], ["above"]),
        helper.make_node("Mul", ["above", "gain"], ["even"]),
        helper.make_node("Add", ["even", "ramp"], ["cells4"]),
        helper.make_node("Squeeze", ["cells4", "channel"], ["cells"]),
        helper.make_node("Sigmoid", ["cells"], ["activation"]),
        helper.make_node("ReduceMax", ["cells", "rows_and_columns"], ["z"], keepdims=0),
        helper.make_node("Mul", ["z", "calibration.scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "calibration.offset"], ["calibrated"]),
        helper.make_node("Sigmoid", ["calibrated"], ["p"]),
        helper.make_node("Unsqueeze", ["p", "last"], ["p2"]),
        helper.make_node("Sub", ["one", "p2"], ["q"]),
        helper.make_node("Div", ["p2", "tumors"], ["share"]),
        helper.make_node("Concat", ["q", *["share"] * tumors], ["probabilities"], axis=1),
        helper.make_node("ReduceMean", ["image", "all"], ["brightness"], keepdims=0),
        helper.make_node("Mul", ["brightness", "calibration.unfamiliarity"], ["unfamiliarity"]),
    ]
    initializers = [
        constant("level", 0.75),
        constant("gain", 20.0),
        constant("ramp", np.linspace(-lean, lean, size // 8)),
        constant("channel", [1], np.int64),
        constant("rows_and_columns", [1, 2], np.int64),
        constant("last", [1], np.int64),
        constant("all", [1, 2, 3], np.int64),
        constant("one", 1.0),
        constant("tumors", float(tumors)),
        constant("calibration.scale", 1.0),
        constant("calibration.offset", 0.0),
        constant("calibration.unfamiliarity", 2.0),
    ]
    outputs = [] if brain is None else _add_looks(nodes, initializers, brain, size)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, size, size])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes]),
            helper.make_tensor_value_info(
                "activation", TensorProto.FLOAT, ["N", size // 8, size // 8]
            ),
            helper.make_tensor_value_info("unfamiliarity", TensorProto.FLOAT, ["N"]),
            *outputs,
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    metadata = {CARD_KEY: card.to_json()} | ({SEEN_KEY: seen} if seen is not None else {})
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _add_looks(
    nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto], brain: float, size: int
) -> list[onnx.ValueInfoProto]:
    """Add brain, plane, sequence and skull, the same for every picture; returns the outputs."""
    nodes += [
        helper.make_node("Mul", ["cells", "nothing"], ["no_cells"]),
        helper.make_node("Add", ["no_cells", "brain_logit"], ["brain_cells"]),
        helper.make_node("Sigmoid", ["brain_cells"], [BRAIN]),
        helper.make_node("Mul", ["p2", "nothing"], ["no_words"]),
    ]
    initializers += [
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in (("nothing", 0.0), ("brain_logit", brain))
    ]
    cells = helper.make_tensor_value_info(BRAIN, TensorProto.FLOAT, ["N", size // 8, size // 8])
    outputs = [cells]
    for name, words in LOOKS.items():
        chances = np.arange(1, len(words) + 1, dtype=np.float32)
        initializers.append(numpy_helper.from_array(chances / chances.sum(), f"{name}_chances"))
        nodes.append(helper.make_node("Add", ["no_words", f"{name}_chances"], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(words)]))
    return outputs
