"""Log-odds of probabilities, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["to_logit", "to_probability"]


def to_logit(probability: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """log(p / (1 - p)). Probabilities of 0 and 1 are moved by 1e-7, so that it is finite."""
    p = np.clip(np.asarray(probability, np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(p) - np.log1p(-p))


def to_probability(logit: float) -> float:
    """The probability that has these log-odds, which are clipped to 30."""
    return float(1 / (1 + np.exp(-np.clip(logit, -30, 30))))
