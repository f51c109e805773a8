"""A model file as a torch module: the same answers, and no guess about strange nodes."""

import numpy as np
import onnx
import pytest

from convolved import write_convolved_model
from tumorlens.errors import UsageError
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session

torch = pytest.importorskip("torch", reason='needs pip install "tumorlens[train]"')


def judge(path, images):
    from tumorlens.exporting.formats.torch_module import GraphModule

    module = GraphModule(path).eval()
    with torch.no_grad():
        parts = [module(torch.from_numpy(image[None])) for image in images]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


@pytest.mark.parametrize("kind", ["convolved", "bundled"])
def test_it_says_what_the_file_says(kind, tmp_path):
    bundled = kind == "bundled"
    path = find_model("default") if bundled else write_convolved_model(tmp_path / "model.onnx")
    session = Session(path, threads=1)
    size = session.card.preprocess.size
    images = np.random.default_rng(0).random((3, 1, size, size), np.float32)
    wanted = session.run(images)
    probabilities, activation, unfamiliarity = judge(path, images)
    np.testing.assert_allclose(probabilities, wanted.probabilities, atol=1e-5)
    np.testing.assert_allclose(activation, wanted.activation, atol=1e-5)
    np.testing.assert_allclose(unfamiliarity, wanted.unfamiliarity, rtol=1e-4)


def test_a_node_that_is_unknown_is_refused(tmp_path):
    from tumorlens.exporting.formats.torch_module import GraphModule

    path = write_convolved_model(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.node[1].op_type = "Relu"
    onnx.save(model, path)
    with pytest.raises(UsageError, match="a node Relu cannot be converted"):
        GraphModule(path)
