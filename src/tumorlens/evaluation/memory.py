"""What a model remembers of its training: the metadata entry ``tumorlens.seen``.

It holds the fingerprints of all training pictures, one after the other, in base64: text, because
ONNX metadata is text. From a fingerprint no picture can be drawn.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.imaging.fingerprint import FINGERPRINT_BYTES, is_seen
from tumorlens.imaging.slices import Slice
from tumorlens.model.session import Session

__all__ = ["decode_memory", "encode_memory", "recall"]


def encode_memory(fingerprints: Iterable[bytes]) -> str:
    """The entry for a model file; a fingerprint that stands twice is kept once."""
    return base64.b64encode(b"".join(sorted(set(fingerprints)))).decode("ascii")


def decode_memory(text: str, path: str) -> npt.NDArray[np.uint8]:
    """The (N, `FINGERPRINT_BYTES`) fingerprints of an entry.

    Args:
        text: of the entry.
        path: of the model file, for messages.

    Raises:
        ModelFileError: the entry is damaged.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b"?"
    if len(data) % FINGERPRINT_BYTES:
        raise ModelFileError(
            f"{path}: its list of training pictures (tumorlens.seen) is damaged: expected base64 "
            f"of {FINGERPRINT_BYTES} bytes a picture; get the model again"
        )
    return np.frombuffer(data, np.uint8).reshape(-1, FINGERPRINT_BYTES)


def recall(session: Session) -> Callable[[Slice], bool] | None:
    """A test whether a slice, or a copy of it, was in training; None if the model cannot tell.

    Raises:
        ModelFileError: the model's entry is damaged.
    """
    if session.seen is None:
        return None
    memory = decode_memory(session.seen, str(session.path))
    return lambda slice_: is_seen(slice_, memory)
