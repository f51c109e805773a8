"""Channels of unlike ranges get one, and the network gives what it gave."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tumorlens.exporting.graphs import load_graph, open_at
from tumorlens.exporting.int8.equalization import equalize

SPREAD = np.array([1.0, 0.2, 5.0, 0.5], np.float32)


def make_node(kind, inputs, output, **options):
    return helper.make_node(kind, inputs, [output], name=f"{kind}_{output}", **options)


def write_block(path):
    """A block with a way around it: "in" and "out" are summed and read by a convolution, a mean."""
    rng = np.random.default_rng(0)
    spread = SPREAD.reshape(-1, 1, 1, 1)
    weights = {
        "in": rng.normal(0, 1, (4, 1, 1, 1)) * spread,
        "wide": rng.normal(0, 1, (6, 4, 1, 1)) / SPREAD.reshape(1, 4, 1, 1),
        "deep": rng.normal(0, 1, (6, 1, 3, 3)),
        "out": rng.normal(0, 1, (4, 6, 1, 1)) * spread,
        "head": rng.normal(0, 1, (2, 4, 1, 1)) / SPREAD.reshape(1, 4, 1, 1),
    }
    nodes = [
        make_node("Conv", ["image", "in.w", "in.b"], "in"),
        make_node("Conv", ["in", "wide.w", "wide.b"], "wide"),
        make_node("Clip", ["wide", "zero", "six"], "wide6"),
        make_node("Conv", ["wide6", "deep.w", "deep.b"], "deep", group=6, pads=[1, 1, 1, 1]),
        make_node("Clip", ["deep", "zero", "six"], "deep6"),
        make_node("Conv", ["deep6", "out.w", "out.b"], "out"),
        make_node("Add", ["in", "out"], "sum"),
        make_node("Conv", ["sum", "head.w", "head.b"], "head"),
        make_node("Clip", ["head", "zero", "six"], "head6"),
        make_node("ReduceMean", ["sum", "plane"], "mean", keepdims=0),
        make_node("Conv", ["head6", "last.w", "last.b"], "last"),
    ]
    weights["last"] = rng.normal(0, 1, (1, 2, 1, 1))
    values = {f"{name}.w": value for name, value in weights.items()}
    values |= {f"{name}.b": rng.normal(0, 0.1, len(value)) for name, value in weights.items()}
    values |= {"zero": 0.0, "six": 6.0}
    constants = [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in values.items()]
    constants.append(numpy_helper.from_array(np.array([2, 3]), "plane"))
    shapes = {"image": ["N", 1, 8, 8], "mean": ["N", 4], "last": ["N", 1, 8, 8]}
    image, *results = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    graph = helper.make_graph(nodes, "block", [image], results, constants)
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def run(model, names, image):
    return dict(zip(names, open_at(model, names).run(names, {"image": image}), strict=True))


def test_ranges_are_evened_and_answers_stay(tmp_path):
    path = write_block(tmp_path / "block.onnx")
    image = np.random.default_rng(1).normal(0, 1, (1, 1, 8, 8)).astype(np.float32)
    before = run(load_graph(path), ["in", "out", "sum", "mean", "last"], image)
    model = load_graph(path)
    equalize(model, [image])
    after = run(model, ["in", "out", "sum", "mean", "last"], image)
    for name in ("mean", "last"):
        np.testing.assert_allclose(after[name], before[name], rtol=2e-5, atol=1e-5)

    def measure_unevenness(found):
        reach = np.max([np.abs(found[name]).max((0, 2, 3)) for name in ("in", "out", "sum")], 0)
        return reach.max() / reach.min()

    assert measure_unevenness(before) > 10
    assert measure_unevenness(after) < 1.001
