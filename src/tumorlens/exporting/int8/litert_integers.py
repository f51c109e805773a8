"""``litert-int8``: the .tflite file with its convolutions in 8 bits; door of ai_edge_quantizer.

Weights are rounded and channels equalised as in ``onnx-int8``. The same layers stay in float32.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.beside import write_card
from tumorlens.exporting.formats.litert_format import PURPOSE, open_session, write_tflite
from tumorlens.exporting.graphs import save_graph
from tumorlens.exporting.int8.integers import FIRST_FLOAT, fit_integers
from tumorlens.exporting.int8.rounding import take_over
from tumorlens.optional import load

__all__ = ["convert", "open_session"]

_SIGNATURE = "serving_default"
_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def convert(source: Path, output: Path, images: Iterable[npt.NDArray[np.float32]]) -> None:
    """Write ``NAME.tflite`` in 8 bits, batch 1, and the card beside it.

    Args:
        source: the model file.
        output: ``NAME.tflite``.
        images: (1, 1, S, S) float32 each; ranges of values are measured on them.
    """
    load("litert_torch", PURPOSE)
    seen = list(images)
    model, integers = fit_integers(source, seen)
    take_over(model, integers)
    with TemporaryDirectory(prefix="tumorlens-") as folder:
        rounded, plain = Path(folder) / "rounded.onnx", Path(folder) / "plain.tflite"
        save_graph(model, model, rounded)
        write_tflite(rounded, plain, seen[0].shape[-1])
        output.write_bytes(_quantize(plain, seen))
    write_card(source, output)


def _quantize(plain: Path, images: list[npt.NDArray[np.float32]]) -> bytes:
    interpreter: Any = load("ai_edge_litert.interpreter").Interpreter(str(plain))
    (image,) = interpreter.get_signature_runner().get_input_details()
    quantizer = load("ai_edge_quantizer.quantizer").Quantizer(str(plain), _recipe(interpreter))
    ranges: dict[str, Any] = {}
    for one in images:  # it averages the ranges of several, which would cut off the strongest
        seen = quantizer.calibrate({_SIGNATURE: [{image: one}]})
        for name, ends in seen.items():
            old = ranges.setdefault(name, ends)
            low, high = np.minimum(old["min"], ends["min"]), np.maximum(old["max"], ends["max"])
            ranges[name] = ends | {"min": low, "max": high}
    return bytes(quantizer.quantize(ranges).quantized_model)


def _recipe(interpreter: Any) -> list[dict[str, Any]]:
    """Static 8 bits: one entry for each convolution except the first ones and the last."""
    (static,) = load("ai_edge_quantizer.recipe").static_wi8_ai8()
    kind_of = load("ai_edge_quantizer.qtyping").TFLOperationName
    names = {one["index"]: one["name"] for one in interpreter.get_tensor_details()}
    layers = [one for one in interpreter._get_ops_details() if one["op_name"] in _KINDS]
    return [
        static
        | {"regex": f"^{re.escape(names[layer['outputs'][0]])};?$"}
        | {"operation": kind_of(layer["op_name"])}
        for layer in layers[int(FIRST_FLOAT * len(layers)) : -1]
    ]
