"""A model with convolutions, written node by node: what quantisation works on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models import make_card
from tumorlens.model.card import Card
from tumorlens.model.contract import CARD_KEY, SEEN_KEY

CHANNELS = 8
PASSING = tuple("abcdefghi")
"""1 x 1 convolutions between the first two and the last two."""


def write_convolved_model(path: Path, card: Card | None = None, *, seen: str = "few") -> Path:
    """`models.write_tiny_model` by convolutions: a cell is as suspicious as its brightness.

    Two strided convolutions average 4 x 4 and 2 x 2 pixels, those between them pass on, ReLU6
    follows each; the last convolution turns brightness into a logit.
    """
    card = card or make_card()
    size, classes = card.preprocess.size, len(card.classes)
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.5, 5.0, (CHANNELS, 1, 1, 1))  # channels differ in range
    passing = np.zeros((CHANNELS, 1, 3, 3))
    passing[:, :, 1, 1] = 1.0
    merge = np.tile(1 / spread.reshape(1, CHANNELS, 1, 1) / CHANNELS / 4, (CHANNELS, 1, 2, 2))
    weights = {
        "first": np.tile(spread / 16, (1, 1, 4, 4)),
        "depthwise": passing,
        **dict.fromkeys(PASSING, np.eye(CHANNELS).reshape(CHANNELS, CHANNELS, 1, 1)),
        "second": merge,
        "last": np.full((1, CHANNELS, 1, 1), 20.0 / CHANNELS),
    }
    biases = dict.fromkeys(weights, 0.0) | {"last": -15.0}
    layers = [
        ("image", "first", {"strides": [4, 4]}),
        ("first6", "depthwise", {"pads": [1, 1, 1, 1], "group": CHANNELS}),
        *((f"{before}6", name, {}) for before, name in pairwise(("depthwise", *PASSING))),
        (f"{PASSING[-1]}6", "second", {"strides": [2, 2]}),
        ("second6", "last", {}),
    ]
    nodes = []
    for before, name, options in layers:
        shape = list(weights[name].shape[2:])
        parts = [before, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node("Conv", parts, [name], kernel_shape=shape, **options))
        nodes.append(helper.make_node("Clip", [name, "zero", "six"], [f"{name}6"]))
    nodes.pop()  # a logit is not clipped
    nodes += [
        helper.make_node("Squeeze", ["last", "channel"], ["cells"]),
        helper.make_node("Sigmoid", ["cells"], ["activation"]),
        helper.make_node("ReduceMax", ["cells", "plane"], ["z"], keepdims=0),
        helper.make_node("Mul", ["z", "calibration.scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "calibration.offset"], ["calibrated"]),
        helper.make_node("Sigmoid", ["calibrated"], ["p"]),
        helper.make_node("Unsqueeze", ["p", "channel"], ["p2"]),
        helper.make_node("Sub", ["one", "p2"], ["q"]),
        helper.make_node("Concat", ["q", "p2"], ["probabilities"], axis=1),
        helper.make_node("ReduceMean", [f"{PASSING[-1]}6", "all"], ["far"], keepdims=0),
        helper.make_node("Mul", ["far", "calibration.unfamiliarity"], ["unfamiliarity"]),
    ]
    values = {f"{name}.weight": value for name, value in weights.items()}
    values |= {f"{name}.bias": np.full(len(weights[name]), biases[name]) for name in weights}
    values |= {"zero": 0.0, "six": 6.0, "one": 1.0}
    values |= {"calibration.scale": [1.0], "calibration.offset": [0.25]}
    values |= {"calibration.unfamiliarity": [0.5]}
    initializers = [
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in values.items()
    ]
    places = {"channel": [1], "plane": [1, 2], "all": [1, 2, 3]}
    initializers += [
        numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in places.items()
    ]
    cells = size // 8
    shapes = {"probabilities": ["N", classes], "activation": ["N", cells, cells]}
    graph = helper.make_graph(
        nodes,
        "convolved",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, size, size])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (*shapes.items(), ("unfamiliarity", ["N"]))
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {CARD_KEY: card.to_json(), SEEN_KEY: seen})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
