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
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


@pytest.mark.parametrize("kind", ["convolved", "bundled"])
def test_it_says_what_the_file_says(kind, tmp_path):
    bundled = kind == "bundled"
    path = find_model("default") if bundled else write_convolved_model(tmp_path / "model.onnx")
    session = Session(path, threads=1)
    size = session.card.preprocess.size
    images = np.random.default_rng(0).random((3, 1, size, size), np.float32)
    wanted = session.run(images)
    found = judge(path, images)
    assert tuple(found) == session.outputs
    for name, values in found.items():
        np.testing.assert_allclose(values, getattr(wanted, name), rtol=1e-4, atol=1e-5)


def test_a_node_that_is_unknown_is_refused(tmp_path):
    from tumorlens.exporting.formats.torch_module import GraphModule

    path = write_convolved_model(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.node[1].op_type = "Cos"
    onnx.save(model, path)
    with pytest.raises(UsageError, match="a node Cos cannot be converted"):
        GraphModule(path)
