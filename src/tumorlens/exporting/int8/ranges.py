"""Choose the range of values of each tensor, for eight bits.

If a range went from the smallest value seen to the largest, a few outliers would make the steps
coarse for all other values. So a range is made smaller as long as the mean square of the error
falls: finer steps gain more than the lost outliers cost (Nagel et al. 2021, arXiv:2106.08295,
section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.graphs import open_at
from tumorlens.model.contract import INPUT

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["choose_ranges", "shrink_range"]

Array = npt.NDArray[np.float32]

STEPS = 255
SHRINKS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
DRAWN = 4000
"""How many values of a tensor are drawn from each image."""


def choose_ranges(
    model: ModelProto, names: list[str], images: Sequence[Array]
) -> dict[str, tuple[float, float]]:
    """Low and high end of the range of each tensor. Each range contains 0.

    Args:
        model: in float32.
        names: of tensors.
        images: (1, 1, S, S) each.
    """
    rng = np.random.default_rng(0)
    inner = [name for name in names if name != INPUT]
    session = open_at(model, inner)
    drawn: dict[str, list[Array]] = {name: [] for name in names}
    ends = dict.fromkeys(names, (0.0, 0.0))
    for image in images:
        tensors = dict(zip(inner, session.run(inner, {INPUT: image}), strict=True))
        for name in names:
            values = tensors.get(name, image).ravel()
            low, high = ends[name]
            ends[name] = min(low, float(values.min())), max(high, float(values.max()))
            drawn[name].append(values[rng.integers(0, len(values), DRAWN)])
    return {name: shrink_range(np.concatenate(drawn[name]), *ends[name]) for name in names}


def shrink_range(values: Array, low: float, high: float) -> tuple[float, float]:
    """The part of [low, high] that gives ``values`` the least mean square error in 8 bits."""
    if high <= low:
        return low, high
    errors = [_find_error(values, shrink * low, shrink * high) for shrink in SHRINKS]
    best = SHRINKS[int(np.argmin(errors))]
    return best * low, best * high


def _find_error(values: Array, low: float, high: float) -> float:
    step = (high - low) / STEPS
    zero = np.round(-low / step)
    rounded = np.clip(np.round(values / step) + zero, 0, STEPS)
    return float(np.square((rounded - zero) * step - values).mean())
