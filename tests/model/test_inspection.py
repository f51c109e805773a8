"""A model file that reaches out of itself, or asks for too much, is refused before it is opened."""

from __future__ import annotations

import os
import time

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models import make_card, write_tiny_model
from tumorlens.errors import ModelFileError
from tumorlens.exporting.graphs import load_graph
from tumorlens.model import inspection
from tumorlens.model.contract import CARD_KEY, SEEN_KEY
from tumorlens.model.graph import read_calibration, read_layers, write_model
from tumorlens.model.inspection import LARGEST_CARD, LARGEST_METADATA, LARGEST_MODEL, read_model
from tumorlens.model.registry import MODELS
from tumorlens.model.session import Session
from tumorlens.model.wire import MOST_FIELDS, Reader


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


def change(path, *changes):
    one = onnx.load_model_from_string(path.read_bytes())
    for each in changes:
        each(one)
    path.write_bytes(one.SerializeToString())
    return path


def point_outside(tensor, location="weights.bin"):
    """Keep a tensor's numbers in a file, as large models do."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("external_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


def make_tensor(name="w", value=(0.75,)):
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def in_initializer(one):
    point_outside(one.graph.initializer[0])


def in_upper_folder(one):
    point_outside(one.graph.initializer[0], "../../weights.bin")


def marked_only(one):
    """A location without the mark, and the mark without a location: neither is ours."""
    one.graph.initializer[0].data_location = TensorProto.EXTERNAL


def named_only(one):
    in_initializer(one)
    one.graph.initializer[0].ClearField("data_location")


def in_attribute(one):
    tensor = make_tensor()
    point_outside(tensor)
    one.graph.node.insert(0, helper.make_node("Constant", [], ["level2"], value=tensor))


def in_branch(one):
    tensor = make_tensor()
    point_outside(tensor)
    info = helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])
    branch = helper.make_graph([], "branch", [], [info], [tensor])
    one.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    one.graph.node.insert(
        0, helper.make_node("If", ["yes"], ["level2"], then_branch=branch, else_branch=branch)
    )


def in_training(one):
    tensor = make_tensor()
    point_outside(tensor)
    one.training_info.add().algorithm.initializer.append(tensor)


def engine_context(one):
    one.graph.node.append(
        helper.make_node("EPContext", ["image"], ["z2"], domain="com.microsoft", embed_mode=0)
    )


def own_operator(one):
    one.graph.node.append(helper.make_node("Evil", ["image"], ["z2"], domain="com.stranger"))


def own_function(one):
    made = helper.make_function(
        "com.stranger", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], []
    )
    one.functions.append(made)


def sparse(one):
    values = make_tensor("s")
    indices = numpy_helper.from_array(np.array([0], np.int64), "s_indices")
    one.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10**11]))


REFUSED = {
    in_initializer: "weights in another file .'weights.bin'",
    in_upper_folder: "'../../weights.bin'",
    marked_only: "weights in another file",
    named_only: "weights in another file",
    in_attribute: "weights in another file",
    in_branch: "weights in another file",
    in_training: "weights in another file",
    engine_context: "another file .'EPContext'",
    own_operator: "operators of 'com.stranger'",
    own_function: "functions of its own",
    sparse: "sparse weights",
}


@pytest.mark.parametrize(
    ("fault", "words"), REFUSED.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_model_that_reaches_out_of_itself_is_refused(model, monkeypatch, fault, words):
    """With the file that it asks for in the working folder, where ONNX Runtime looks."""
    folder = model.parent / "a" / "b"
    folder.mkdir(parents=True)
    for place in (folder, model.parent):
        (place / "weights.bin").write_bytes(np.float32(0.75).tobytes())
    monkeypatch.chdir(folder)
    change(model, fault)
    with pytest.raises(ModelFileError, match=words) as caught:
        Session(model)
    assert str(caught.value).startswith(f"{model}: ")


@pytest.mark.parametrize("read", [read_layers, read_calibration, load_graph])
def test_nothing_else_follows_such_a_model_either(model, read):
    change(model, in_initializer)
    with pytest.raises(ModelFileError, match="in another file"):
        read(model)
    with pytest.raises(ModelFileError, match="in another file"):
        write_model(model, model.with_name("copy.onnx"))


def test_the_bundled_models_pass():
    for entry in MODELS.values():
        assert read_model(entry.path) == entry.path.read_bytes()


def test_the_other_format_of_onnx_runtime_is_no_onnx(model):
    """Bytes that begin as ONNX and that ONNX Runtime would take for its own format."""
    data = model.read_bytes()
    named = b"\x12\x06ab" + b"ORTM"  # producer_name: six bytes
    model.write_bytes(named + data)
    assert onnx.load_model_from_string(model.read_bytes()).producer_name
    with pytest.raises(ModelFileError, match="own format"):
        Session(model)


# Size


def test_a_huge_file_is_refused_unread(model):
    with model.open("r+b") as stream:
        stream.truncate(LARGEST_MODEL + 1)
    with pytest.raises(ModelFileError, match="more than the 384 MiB"):
        Session(model)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({SEEN_KEY: LARGEST_METADATA + 1}, "more than the 64 MiB of metadata"),
        ({f"x{n}": LARGEST_METADATA // 4 for n in range(5)}, "more than the 64 MiB of metadata"),
        ({CARD_KEY: LARGEST_CARD + 1}, "a card of more than the 4 MiB"),
    ],
)
def test_metadata_without_measure_is_refused(model, entries, words):
    def add(one):
        helper.set_model_props(
            one, {CARD_KEY: make_card().to_json()} | {key: " " * n for key, n in entries.items()}
        )

    change(model, add)
    with pytest.raises(ModelFileError, match=words):
        Session(model)


def test_a_file_of_many_small_fields_is_refused_soon(model):
    model.write_bytes(model.read_bytes() + b"\x28\x01" * (MOST_FIELDS * 4))
    start = time.process_time()
    with pytest.raises(ModelFileError, match="more than 500,000 fields"):
        Session(model)
    assert time.process_time() - start < 10


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelFileError, match="cannot be read, it is no file"):
        Session(tmp_path / "pipe.onnx")


def test_text_that_is_no_utf8_is_told(model):
    data = model.read_bytes()
    model.write_bytes(data.replace(b'"created"', b'"cre\xff\xfeed"'))
    with pytest.raises(ModelFileError, match=r"no UTF-8|does not fit the schema"):
        Session(model)


# The walk itself


@given(data=st.binary(max_size=200))
def test_any_bytes_are_fields_or_an_error(data):
    reader = Reader(data)
    try:
        fields = list(reader.read(0, len(data)))
    except ValueError:
        return
    assert all(0 <= one.start <= one.end <= len(data) for one in fields)


@pytest.mark.parametrize(
    "data",
    [b"\x08", b"\x08\xff", b"\x0a\x05ab", b"\x0d\x00", b"\x0b", b"\x00\x00", b"\xff" * 11],
    ids=["no value", "half a number", "short", "half fixed", "group", "no number", "long number"],
)
def test_broken_fields_are_errors(data):
    with pytest.raises(ValueError, match=r"cut short|kind|number"):
        list(Reader(data).read(0, len(data)))


def test_the_walk_sees_every_tensor_that_the_onnx_package_sees(model):
    """Whatever `_MESSAGES` forgets would be a way around it: held against the schema itself."""
    kinds = {
        "model": onnx.ModelProto, "training": onnx.TrainingInfoProto, "graph": onnx.GraphProto,
        "node": onnx.NodeProto, "attribute": onnx.AttributeProto, "tensor": onnx.TensorProto,
    }  # fmt: skip
    names = {
        "GraphProto": "graph", "NodeProto": "node", "AttributeProto": "attribute",
        "TensorProto": "tensor", "SparseTensorProto": "sparse tensor",
        "FunctionProto": "function", "TrainingInfoProto": "training",
    }  # fmt: skip
    for message, kind in kinds.items():
        wanted = {
            field.number: names[field.message_type.name]
            for field in kind.DESCRIPTOR.fields
            if field.message_type is not None and field.message_type.name in names
        }
        known = inspection._MESSAGES[message]
        assert wanted.items() <= known.items(), message
