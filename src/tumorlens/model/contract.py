"""The contract of a model file: names, shapes and metadata (docs/contracts.md).

One ``.onnx`` file holds the network, its calibration in named initializers, its card and the
fingerprints of its training pictures. Everything that a change of calibration touches is listed
here, so that neither torch nor a training is needed to rewrite it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from tumorlens.errors import ModelFileError

__all__ = [
    "BRAIN",
    "CARD_KEY",
    "INPUT",
    "LEAST_BRAIN",
    "LOOKS",
    "OUTPUTS",
    "OUTSIDE",
    "SEEN_KEY",
    "STUDIES_KEY",
    "Calibration",
    "check_shapes",
    "order_outputs",
]

CARD_KEY = "tumorlens.card"
"""Metadata entry that holds the card, as JSON."""

SEEN_KEY = "tumorlens.seen"
"""Metadata entry that holds a fingerprint of every training picture."""

STUDIES_KEY = "tumorlens.studies"
"""Metadata entry that holds the numbers for series and studies, as JSON; a file may lack it."""

INPUT = "image"
OUTPUTS = ("probabilities", "activation", "unfamiliarity")
"""Outputs of every model, in order."""

LOOKS: dict[str, tuple[str, ...]] = {
    "plane": ("axial", "coronal", "sagittal"),
    "sequence": ("T1", "T1c", "T2", "FLAIR", "other"),
    "skull": ("on", "off"),
}
"""Optional outputs: what a slice looks like -> the words that its columns stand for."""

BRAIN = "brain"
"""Optional output: the probability that a cell of `activation` shows brain."""

OUTSIDE = "outside"
"""Optional output: how far an image is from MRI of the brain; 0 a typical brain, 1 the limit."""

LEAST_BRAIN = 0.04
"""Smallest share of cells that must show brain for a slice to be judged."""

SCALE = "calibration.scale"
OFFSET = "calibration.offset"
UNFAMILIARITY = "calibration.unfamiliarity"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The numbers that turn raw outputs into calibrated ones.

    The tumor probability is ``sigmoid(scale * z + offset)`` of the picture's tumor logit z
    (Platt 1999); unfamiliarity is the raw distance times ``unfamiliarity``.

    Attributes:
        scale: of the tumor logit; positive, so that no order is turned around.
        offset: of the tumor logit.
        unfamiliarity: one over the distance that counts as the limit; positive.
    """

    scale: float = 1.0
    offset: float = 0.0
    unfamiliarity: float = 1.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"calibration scale must be positive, got {self.scale}")
        if not self.unfamiliarity > 0:
            raise ValueError(
                f"the scale of unfamiliarity must be positive, got {self.unfamiliarity}"
            )

    def then(self, other: Calibration) -> Calibration:
        """This calibration followed by another, fitted on this one's outputs."""
        return Calibration(
            scale=other.scale * self.scale,
            offset=other.scale * self.offset + other.offset,
            unfamiliarity=other.unfamiliarity * self.unfamiliarity,
        )


def check_shapes(
    path: str,
    inputs: Mapping[str, Sequence[object]],
    outputs: Mapping[str, Sequence[object]],
    *,
    size: int,
    classes: int,
) -> tuple[str, ...]:
    """Compare a graph's inputs and outputs with the contract.

    Args:
        path: of the model file, for messages.
        inputs: name -> shape; a free dimension is a string or None.
        outputs: the same.
        size: S of the card's preprocess spec.
        classes: K of the card.

    Returns:
        Names of the outputs that the model has, in order.

    Raises:
        ModelFileError: names the input or output, what was expected and what was found.
    """
    wanted_outputs = dict(zip(OUTPUTS, ((None, classes), (None, None, None), (None,)), strict=True))
    for kind, wanted, found in (
        ("input", {INPUT: (None, 1, size, size)}, inputs),
        ("output", wanted_outputs, outputs),
    ):
        for name, shape in wanted.items():
            if name not in found:
                raise ModelFileError(
                    f"{path}: {kind} {name!r} is missing, found {', '.join(found) or 'none'}; "
                    "this is no tumorlens model: make one with tumorlens train"
                )
            _check_shape(path, f"{kind} {name!r}", shape, found[name])
    if isinstance(inputs[INPUT][0], int):
        raise ModelFileError(
            f"{path}: input {INPUT!r} takes {inputs[INPUT][0]} images at once, expected batches "
            "of any number; export it with a free first dimension"
        )
    looks = {name: (None, len(words)) for name, words in LOOKS.items()}
    optional = {BRAIN: (None, None, None), **looks, OUTSIDE: (None,)}
    for name in optional.keys() & outputs.keys():
        _check_shape(path, f"output {name!r}", optional[name], outputs[name])
    return order_outputs(outputs)


def order_outputs(names: Container[str]) -> tuple[str, ...]:
    """The outputs of a model in the order of the contract: the three of every model come first."""
    return (*OUTPUTS, *(name for name in (BRAIN, *LOOKS, OUTSIDE) if name in names))


def _check_shape(
    path: str, what: str, wanted: Sequence[int | None], found: Sequence[object]
) -> None:
    agrees = len(wanted) == len(found) and all(
        expected is None or not isinstance(actual, int) or actual == expected
        for expected, actual in zip(wanted, found, strict=False)
    )
    if not agrees:
        raise ModelFileError(
            f"{path}: {what} has shape {tuple(found)}, expected {tuple(wanted)} "
            "(None means any size)"
        )
