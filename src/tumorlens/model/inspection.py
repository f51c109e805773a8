"""Checks the bytes of a model file before any library parses them.

ONNX Runtime and the onnx package read weights from any path that a file names, also from ``../..``.
The SHA-256 of the model would not cover these. The numbers of fields are those of ``onnx.proto``
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). No library is used, because this check of
a file from a stranger must not depend on an optional library.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tumorlens.errors import ModelFileError
from tumorlens.model.contract import CARD_KEY
from tumorlens.model.wire import Field, Reader

__all__ = ["LARGEST_CARD", "LARGEST_METADATA", "LARGEST_MODEL", "read_model"]

LARGEST_MODEL = 384 * 2**20
"""Most bytes of a model file. To open it, ONNX Runtime needs five times as many: 2 GiB."""

LARGEST_METADATA = 64 * 2**20
"""Most bytes of all metadata entries: fingerprints of a million training images, and the card."""

LARGEST_CARD = 4 * 2**20
"""Most bytes of a card. That of the bundled model has about 37,000."""

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains of the operators in ONNX Runtime. Others need a library that would run its own code."""

_OUTSIDE = frozenset({"EPContext"})
"""Operators of these domains that run another file, which lies beside the model."""

# Numbers of fields in onnx.proto.
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto
_OPERATOR, _DOMAIN = 4, 7  # of NodeProto: op_type and domain
_KEY, _VALUE = 1, 2  # of StringStringEntryProto

_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 14: "entry", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "tensor": {_EXTERNAL_DATA: "external data"},
}
"""Message -> number of a field -> message in that field. Other fields are not looked into."""


def read_model(path: Path) -> bytes:
    """Read a model file, and refuse one that needs anything beside its own bytes.

    Raises:
        ModelFileError: it is missing, no file, too large or no ONNX model; its weights are in
            another file; or it uses operators or functions that ONNX Runtime does not have.
    """
    data = _read_bytes(path)
    if data[4:8] == b"ORTM":
        raise ModelFileError(f"{path}: is in ONNX Runtime's own format; give the .onnx file")
    try:
        reason = _find_fault(Reader(data))
    except ValueError as error:
        raise ModelFileError(
            f"{path}: is no ONNX model that can run here ({error}); give an .onnx file: an export "
            "in another format is for programs of your own"
        ) from None
    if reason:
        raise ModelFileError(f"{path}: {reason}")
    return data


def _read_bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no file"
            raise ModelFileError(f"{path}: cannot be read, it is {kind}")
        with path.open("rb") as stream:
            data = stream.read(LARGEST_MODEL + 1)
    except FileNotFoundError:
        raise ModelFileError(
            f"{path}: no such file; tumorlens info lists the bundled models"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"{path}: cannot be read ({reason})") from None
    if not data:
        raise ModelFileError(f"{path}: is empty, an ONNX model was expected")
    if len(data) > LARGEST_MODEL:
        raise ModelFileError(
            f"{path}: has more than the {LARGEST_MODEL // 2**20} MiB that a model may have; "
            "export a smaller network"
        )
    return data


def _find_fault(reader: Reader) -> str:
    """Why a model must not be opened, in a phrase; empty if it may."""
    metadata = 0
    pending = [("model", 0, len(reader.data))]
    while pending:
        message, start, end = pending.pop()
        fields = list(reader.read(start, end))
        check = _CHECKS.get(message)
        if check is not None and (reason := check(reader, fields)):
            return reason
        metadata += end - start if message == "entry" else 0
        if metadata > LARGEST_METADATA:
            return f"holds more than the {LARGEST_METADATA // 2**20} MiB of metadata allowed"
        inner = _MESSAGES.get(message, {})
        pending += [
            (inner[one.number], one.start, one.end) for one in fields if one.number in inner
        ]
    return ""


def _check_tensor(_: Reader, fields: list[Field]) -> str:
    if any(one.number == _EXTERNAL_DATA for one in fields):
        return ""  # the message "external data" is checked by itself, and names the file
    outside = any(one.number == _DATA_LOCATION and one.value for one in fields)
    return _refuse_outside() if outside else ""


def _check_external(reader: Reader, fields: list[Field]) -> str:
    words = {one.number: reader.text(one) for one in fields}
    return _refuse_outside(words.get(_VALUE, "") if words.get(_KEY) == "location" else "")


def _refuse_outside(place: str = "") -> str:
    named = f" ({place!r})" if place else ""
    return (
        f"keeps weights in another file{named}, which its SHA-256 does not cover; save it as "
        "one file: onnx.save_model(onnx.load(PATH), NEW)"
    )


def _check_sparse(_: Reader, __: list[Field]) -> str:
    return "holds sparse weights, which may take far more memory than the file; store them dense"


def _check_function(_: Reader, __: list[Field]) -> str:
    return "defines functions of its own; export it with its functions inlined"


def _check_node(reader: Reader, fields: list[Field]) -> str:
    domains = {reader.text(one) for one in fields if one.number == _DOMAIN}
    if strange := domains - _DOMAINS:
        return (
            f"uses operators of {sorted(strange)[0]!r}, which come from a library of their own; "
            f"use those of ONNX"
        )
    operators = {reader.text(one) for one in fields if one.number == _OPERATOR}
    return _refuse_outside(*(operators & _OUTSIDE)) if operators & _OUTSIDE else ""


def _check_entry(reader: Reader, fields: list[Field]) -> str:
    card = any(one.number == _KEY and reader.text(one) == CARD_KEY for one in fields)
    size = max((one.end - one.start for one in fields if one.number == _VALUE), default=0)
    if card and size > LARGEST_CARD:
        return f"has a card of more than the {LARGEST_CARD // 2**20} MiB allowed"
    return ""


_CHECKS = {
    "tensor": _check_tensor,
    "external data": _check_external,
    "sparse tensor": _check_sparse,
    "function": _check_function,
    "node": _check_node,
    "entry": _check_entry,
}
