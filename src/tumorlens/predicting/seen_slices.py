"""`seen`: was this slice, or a copy of it, in a model's training?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tumorlens.arguments import OPEN_MODEL, check_arguments
from tumorlens.detector import Detector
from tumorlens.errors import InputError, ModelFileError
from tumorlens.imaging.slices import Slice
from tumorlens.model.seen_entry import load_seen_test
from tumorlens.model.session import Session
from tumorlens.predicting.inputs import read
from tumorlens.predicting.predictions import OnError

__all__ = ["SeenSlice", "iterate_seen", "open_fingerprints", "seen"]


@dataclass(frozen=True, slots=True)
class SeenSlice:
    """Whether one slice was in a model's training.

    Attributes:
        path: as given.
        frame: index of the slice inside ``path``, from 0; None with ``error``.
        seen: whether the slice, or a copy of it, was in training; None with ``error``.
        error: why it could not be read; else None.
    """

    path: str
    frame: int | None
    seen: bool | None
    error: str | None = None

    def to_record(self) -> dict[str, Any]:
        """The keys above, as ``tumorlens seen --output`` writes them."""
        return asdict(self)


@check_arguments(model=OPEN_MODEL)
def seen(
    model: str | os.PathLike[str] | Detector | Session,
    x: Any,
    *,
    on_error: OnError = "raise",
    axes: str | None = None,
) -> list[SeenSlice]:
    """Say of each slice whether it, or a copy of it, was in the training of a model.

    A copy counts however it was mirrored, turned, scaled or changed in contrast. A model keeps a
    fingerprint of 32 bytes for each training image. About 2 in 1,000 images that were not in
    training are called seen.

    Args:
        model: name of the registry, an ``.onnx`` file, or one that is open already.
        x: as `tumorlens.predict` takes it.
        on_error: ``"raise"`` an `InputError` for the first slice that cannot be read, or
            ``"record"`` it as an answer with ``error``.
        axes: what the axes of arrays are; see `tumorlens.predict`.

    Raises:
        InputError: a slice cannot be read.
        ModelFileError: the model is unknown, or has no fingerprints of its training images.
    """
    return list(iterate_seen(open_fingerprints(_open(model)), x, on_error=on_error, axes=axes))


def open_fingerprints(session: Session) -> Callable[[Slice], bool]:
    """What tells whether a slice was in the training of a model.

    Raises:
        ModelFileError: the model has no fingerprints of its training images.
    """
    was_seen = load_seen_test(session)
    if was_seen is None:
        raise ModelFileError(
            f"{session.path}: has no fingerprints of its training images (the entry "
            "tumorlens.seen). Exports drop them; use the .onnx file that the training wrote"
        )
    return was_seen


def iterate_seen(
    was_seen: Callable[[Slice], bool],
    x: Any,
    *,
    on_error: OnError = "raise",
    axes: str | None = None,
) -> Iterator[SeenSlice]:
    """The answers of `seen` one by one, for fingerprints that are open."""
    slices: Iterator[Slice | InputError]
    slices = read(x, axes=axes) if on_error == "raise" else read(x, on_error=on_error, axes=axes)
    for item in slices:
        if isinstance(item, InputError):
            yield SeenSlice(item.path, None, None, str(item))
        else:
            yield SeenSlice(item.info.path, item.info.frame, was_seen(item))


def _open(model: str | os.PathLike[str] | Detector | Session) -> Session:
    if isinstance(model, Session):
        return model
    return model.session if isinstance(model, Detector) else Detector(model, threads=1).session
