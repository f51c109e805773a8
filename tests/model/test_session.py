"""`Session`: what it gives, and each model file that it refuses."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from models import make_card, write_tiny_model
from tumorlens.errors import ModelFileError, UsageError
from tumorlens.imaging.preprocess import PreprocessSpec
from tumorlens.model.contract import CARD_KEY
from tumorlens.model.session import Session


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


def change_model(path, change):
    """Rewrite a model file after ``change(model)``."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def test_outputs_have_the_shapes_of_the_contract(model):
    session = Session(model, threads=1)
    images = np.random.default_rng(0).random((3, 1, 64, 64), np.float32)
    outputs = session.run(images)
    assert outputs.probabilities.shape == (3, 2)
    assert outputs.activation.shape == (3, 8, 8)
    assert outputs.unfamiliarity.shape == (3,)
    np.testing.assert_allclose(outputs.probabilities.sum(axis=1), 1, atol=1e-6)
    assert session.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert session.card == make_card()
    assert session.providers == ["CPUExecutionProvider"]


def test_one_image_and_a_batch_agree(model):
    session = Session(model, threads=1)
    images = np.random.default_rng(1).random((4, 1, 64, 64), np.float32)
    together = session.run(images).probabilities
    apart = np.concatenate([session.run(images[i : i + 1]).probabilities for i in range(4)])
    np.testing.assert_allclose(together, apart, atol=1e-6)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 1, 64, 63), np.float32),
        np.zeros((1, 64, 64), np.float32),
        np.zeros((1, 1, 64, 64), np.float64),
    ],
)
def test_images_of_another_shape_or_kind_are_refused(model, images):
    with pytest.raises(ValueError, match=r"images must be \(N, 1, 64, 64\) float32"):
        Session(model).run(images)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "is empty, an ONNX model was expected"),
        (
            b"\x89PNG\r\n\x1a\n and more",
            r"is no ONNX model that can run here \(.*\); give an \.onnx file",
        ),
    ],
    ids=["missing", "empty", "a picture"],
)
def test_what_is_no_model_is_refused(tmp_path, content, words):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=words) as caught:
        Session(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_damaged_name_says_nothing_on_standard_output(model, capfd):
    """ONNX Runtime prints there before it tries again, in the midst of records."""
    data = model.read_bytes()
    model.write_bytes(data.replace(b"AveragePool", b"\xf2veragePool", 1))
    with pytest.raises(ModelFileError):
        Session(model, threads=1)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_tensor_says_nothing_on_standard_error(model, capfd):
    def shorten(network):
        network.graph.initializer[0].ClearField("float_data")
        network.graph.initializer[0].raw_data = b"\0"

    with pytest.raises(ModelFileError):
        Session(change_model(model, shorten), threads=1)
    assert capfd.readouterr() == ("", "")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be read"):
        Session(tmp_path)


def test_half_a_model_is_refused(model):
    data = model.read_bytes()
    model.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFileError):
        Session(model)


def test_a_model_without_a_card_is_refused(model):
    change_model(model, lambda one: one.ClearField("metadata_props"))
    with pytest.raises(ModelFileError, match="has no card"):
        Session(model)


def test_a_changed_file_is_refused(model):
    right = hashlib.sha256(model.read_bytes()).hexdigest()
    assert Session(model, sha256=right).sha256 == right
    change_model(model, lambda one: setattr(one, "producer_name", "somebody"))
    with pytest.raises(ModelFileError, match=f"expected {right}; the file was changed"):
        Session(model, sha256=right)


def test_an_unknown_preprocess_version_is_refused(model):
    def age(one):
        card = make_card().to_json(indent=1).replace('"version": 1', '"version": 7')
        helper.set_model_props(one, {CARD_KEY: card})

    change_model(model, age)
    with pytest.raises(ModelFileError, match="preprocess version 7 is unknown here"):
        Session(model)


def test_a_card_of_another_size_is_refused(tmp_path, model):
    def enlarge(one):
        card = make_card(preprocess=PreprocessSpec(size=96)).to_json()
        helper.set_model_props(one, {CARD_KEY: card})

    change_model(model, enlarge)
    with pytest.raises(ModelFileError, match=r"input 'image' has shape .*64.*, expected .*96"):
        Session(model)


def test_a_card_of_other_classes_is_refused(model):
    def divide(one):
        classes = ["no_tumor", "glioma", "meningioma"]
        card = make_card(classes=classes, tumor_classes=classes[1:])
        helper.set_model_props(one, {CARD_KEY: card.to_json()})

    change_model(model, divide)
    with pytest.raises(ModelFileError, match="output 'probabilities' has shape"):
        Session(model)


def test_a_foreign_network_is_refused(tmp_path):
    shape = ["N", 1, 64, 64]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    one = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(one, {CARD_KEY: make_card().to_json()})
    onnx.save(one, tmp_path / "foreign.onnx")
    with pytest.raises(ModelFileError, match="input 'image' is missing, found x"):
        Session(tmp_path / "foreign.onnx")


def test_an_unknown_provider_lists_those_that_are_there(model):
    with pytest.raises(UsageError, match=r"no provider DreamExecutionProvider here.*CPU"):
        Session(model, providers=["DreamExecutionProvider"])


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_cannot_be_loaded_is_named(model, monkeypatch):
    """ONNX Runtime takes the processor in its place; here it is said to have what it has not."""
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    with pytest.raises(UsageError, match="could not load CUDAExecutionProvider"):
        Session(model, providers=names[:1])


def test_threads_below_one_are_refused(model):
    with pytest.raises(UsageError, match="threads must be at least 1, got 0"):
        Session(model, threads=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("calibration.unfamiliarity", np.nan), ("calibration.scale", np.nan), ("tumors", 0.25)],
)
def test_outputs_that_are_no_probabilities_are_refused(model, name, value):
    def spoil(changed):
        found = next(one for one in changed.graph.initializer if one.name == name)
        found.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), name))

    session = Session(change_model(model, spoil), threads=1)
    with pytest.raises(ModelFileError, match="outputs that break the contract"):
        session.run(np.random.default_rng(0).random((2, 1, 64, 64), np.float32))


def test_a_network_that_takes_one_image_only_is_refused(model):
    def fix(changed):
        changed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1

    with pytest.raises(ModelFileError, match="of any number"):
        Session(change_model(model, fix), threads=1)


def test_a_network_that_fails_when_it_runs_is_named(model):
    def spoil(changed):  # a batch of one that stands in a node, as careless exports have it
        cells = next(node for node in changed.graph.node if node.output[0] == "activation")
        cells.output[0] = "loose"
        shape = numpy_helper.from_array(np.array([1, 8, 8], np.int64), "alone")
        changed.graph.initializer.append(shape)
        changed.graph.node.append(helper.make_node("Reshape", ["loose", "alone"], ["activation"]))

    session = Session(change_model(model, spoil), threads=1)
    with pytest.raises(ModelFileError, match=r"tiny\.onnx: fails when it runs"):
        session.run(np.zeros((2, 1, 64, 64), np.float32))
