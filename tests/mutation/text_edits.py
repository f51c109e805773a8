"""What may happen to texts: cells of a CSV, values of TOML and JSON; and to a model file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import onnx

from mutation.byte_edits import BYTE_EDITS, Edit, odd_number
from mutation.odd_values import odd_float, odd_text

__all__ = ["CSV_EDITS", "JSON_EDITS", "MODEL_EDITS", "TOML_EDITS"]

_ENCODINGS = ("utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252", "utf-7")


def _set_cell(data: bytes, chance: Random) -> bytes:
    """A cell of the table, as it is or between quotes."""
    lines = data.split(b"\n")
    place = chance.randrange(len(lines))
    cells = lines[place].split(b",")
    text = chance.choice((odd_text(chance), "2.png", "p1", "tumor", "no_tumor", "m.csv", "1 2 3 4"))
    if chance.random() < 0.3:
        text = '"' + text.replace('"', '""') + '"'
    cells[chance.randrange(len(cells))] = text.encode("utf-8", "replace")
    lines[place] = b",".join(cells)
    return b"\n".join(lines)


def _change_shape(data: bytes, chance: Random) -> bytes:
    """A line or a column goes, or stands twice; a line is cut."""
    lines = data.split(b"\n")
    what, place = chance.randrange(5), chance.randrange(len(lines))
    if what == 0:
        lines.pop(place)
    elif what == 1:
        lines[place:place] = [lines[place]] * chance.choice((1, 1, 30))
    elif what == 2:
        lines[place] = lines[place][: chance.randint(0, len(lines[place]))]
    else:
        at = chance.randrange(1 + lines[0].count(b","))
        for number, line in enumerate(lines):
            cells = line.split(b",")
            cells[at : at + 1] = [] if what == 3 else [cells[min(at, len(cells) - 1)]] * 2
            lines[number] = b",".join(cells)
    return b"\n".join(lines)


def _change_signs(data: bytes, chance: Random) -> bytes:
    """Another separator, quote or end of line throughout."""
    old, new = chance.choice(
        (
            (b",", b";"),
            (b",", b"\t"),
            (b"\n", b"\r"),
            (b"\n", b"\r\n"),
            (b'"', b"'"),
            (b"\n", b"\n\n"),
            (b",", b", "),
            (b"\n", b"\0"),
        )
    )
    return data.replace(old, new)


def _change_encoding(data: bytes, chance: Random) -> bytes:
    return data.decode("utf-8", "replace").encode(chance.choice(_ENCODINGS), "replace")


CSV_EDITS: Sequence[Edit] = (
    _set_cell,
    _set_cell,
    _set_cell,
    _set_cell,
    _change_shape,
    _change_signs,
    _change_encoding,
)

_LITERALS = (
    *("nan", "inf", "-inf", "1e999", "-0.0", "0", "-1", "1", "2", "3.5", "9223372036854775808"),
    *("0x7fffffff", "1979-05-27T07:32:00Z", "07:32:00", "true", "[]", "{}", '""', '"x"', "[[]]"),
    *('["no_tumor"]', '["no_tumor", "no_tumor"]', "[1, 'a']", "{a = 1}", "'''", '"""', "[nan]"),
    *("1" * 5000, "10000000", "0.999999999999999999", '"../../x"', '"\\u0000"', "[0, 0]", "[5, 1]"),
)


def _set_literal(data: bytes, chance: Random) -> bytes:
    """A value of a line of TOML."""
    lines = data.split(b"\n")
    places = [n for n, line in enumerate(lines) if b"=" in line]
    if not places:
        return data
    place = chance.choice(places)
    name = lines[place].partition(b"=")[0]
    value = chance.choice(_LITERALS) if chance.random() < 0.8 else json.dumps(odd_text(chance))
    lines[place] = name + b"= " + value.encode()
    return b"\n".join(lines)


def _nest_toml(data: bytes, chance: Random) -> bytes:
    deep = chance.choice((2, 30, 3000, 100_000))
    begin, end = chance.choice((("[", "]"), ("{a=", "}"), ("[[", "]]")))
    text = f"\ndeep = {begin * deep}{'1' if begin == '{a=' else ''}{end * deep}\n"
    return chance.choice((data + text.encode(), text.encode() + data, _tables(deep) + data))


def _tables(deep: int) -> bytes:
    return ("[" + ".".join(["a"] * deep) + "]\n").encode()


TOML_EDITS: Sequence[Edit] = (
    _set_literal,
    _set_literal,
    _set_literal,
    _nest_toml,
    _change_shape,
    _change_encoding,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = list(value.items()) if isinstance(value, dict) else []
    inner = list(enumerate(value)) if isinstance(value, list) else inner
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


def _set_value(data: bytes, chance: Random) -> bytes:
    """A value, a key or a whole branch of JSON."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return data
    *parents, last = chance.choice(_places(tree)[1:] or [("x",)])
    branch = tree
    for key in parents:
        branch = branch[key]
    if chance.random() < 0.2 and isinstance(branch, dict):
        branch[odd_text(chance)] = branch.pop(last)
    elif chance.random() < 0.1:
        del branch[last]
    else:
        branch[last] = _odd_json(chance)
    return json.dumps(tree, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _odd_json(chance: Random) -> Any:
    simple = (None, True, [], {}, [[]], {"a": {}}, 10**30, ["no_tumor", "no_tumor"], ["tumor"])
    return chance.choice(
        (*simple, odd_text(chance), odd_text(chance), odd_float(chance), odd_number(chance, 4))
    )


def _nest_json(data: bytes, chance: Random) -> bytes:
    deep = chance.choice((2, 100, 5000, 200_000))
    begin, end = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    place = data.find(b":", chance.randrange(len(data))) + 1
    return (
        data[:place]
        + begin * deep
        + (b"1" if end == b"}" else b"")
        + end * deep
        + b","
        + data[place:]
    )


JSON_EDITS: Sequence[Edit] = (_set_value, _set_value, _set_value, _nest_json, _change_encoding)


def _edit_model(data: bytes, chance: Random) -> bytes:
    """A model file that still parses: its metadata, its nodes, its tensors."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # damaged by an earlier edit
        return data
    chance.choice((_edit_metadata, _edit_metadata, _edit_graph, _edit_tensor))(model, chance)
    return bytes(model.SerializeToString())


def _edit_metadata(model: Any, chance: Random) -> None:
    entry = chance.choice(list(model.metadata_props) or [model.metadata_props.add()])
    what = chance.randrange(6)
    if what == 0:
        entry.key = chance.choice(("tumorlens.card", "tumorlens.seen", "x", ""))
    elif what == 1:
        again = model.metadata_props.add()
        again.key, again.value = entry.key, chance.choice((entry.value, "", "x"))
    else:
        edit = chance.choice((*JSON_EDITS, *JSON_EDITS, *BYTE_EDITS))
        value = entry.value.encode() if isinstance(entry.value, str) else entry.value
        entry.value = edit(value or b"x", chance).decode("utf-8", "replace")


def _edit_graph(model: Any, chance: Random) -> None:
    """A name, a type of operation, an attribute or a size of the graph."""
    graph = model.graph
    what = chance.randrange(6)
    node = chance.choice(list(graph.node) or [graph.node.add()])
    if what == 0:
        node.op_type = chance.choice(
            ("Relu", "Loop", "If", "Identity", "Cast", "", "Softmax", "Where")
        )
    elif what == 1 and node.input:
        node.input[chance.randrange(len(node.input))] = chance.choice(("image", "", "x", "mean"))
    elif what == 2 and node.attribute:
        chance.choice(node.attribute).i = odd_number(chance, 4)
    elif what == 3:
        one = chance.choice([*graph.input, *graph.output])
        one.name = chance.choice(("image", "probabilities", "activation", "unfamiliarity", "y"))
    elif what == 4:
        one = chance.choice([*graph.input, *graph.output])
        one.type.tensor_type.shape.dim.add().dim_value = odd_number(chance, 4)
    else:
        model.ir_version = odd_number(chance, 4)
        chance.choice(list(model.opset_import) or [model.opset_import.add()]).version = odd_number(
            chance, 4
        )


def _edit_tensor(model: Any, chance: Random) -> None:
    """Values, type, sizes or place of a tensor."""
    tensor = chance.choice(list(model.graph.initializer) or [model.graph.initializer.add()])
    what = chance.randrange(5)
    if what == 0:
        tensor.raw_data = chance.randbytes(chance.choice((0, 4, 8, 1000)))
    elif what == 1:
        tensor.data_type = chance.randrange(24)
    elif what == 2:
        tensor.dims.append(odd_number(chance, 4))
    elif what == 3:
        tensor.raw_data = odd_float(chance).hex().encode()
    else:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", odd_text(chance)), ("offset", "0"), ("length", "8")):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value.encode("utf-8", "replace").decode()


MODEL_EDITS: Sequence[Edit] = (_edit_model,)
