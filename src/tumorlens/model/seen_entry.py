"""The fingerprints of a model's training slices: the metadata entry ``tumorlens.seen``.

They answer whether a slice, or a copy of it, was in training. No picture can be rebuilt from them.

Slices of one head resemble each other, and so do their fingerprints. So they are sorted such that
each follows a similar one, and only the bits that differ are written. These are compressed (zlib)
and encoded as base85 after the word ``chain:``, because ONNX metadata is text. For the bundled
model this takes 0.76 of the space of the plain form: the fingerprints one after the other in
base64. The plain form can still be read.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.imaging.pixels.fingerprint import FINGERPRINT_BYTES, is_seen
from tumorlens.imaging.slices import Slice
from tumorlens.model.session import Session

__all__ = ["decode_fingerprints", "encode_fingerprints", "load_seen_test"]

_CHAIN = "chain:"  # a colon stands in no base64
_MOST = 1_000_000  # fingerprints of one model: 32 MB
_CHARACTERS = 5 * 2**18  # of base85 at a time: five stand for four bytes
_ALPHABET = base64.b85encode(np.arange(85, dtype=">u4").tobytes())[4::5]
_DIGITS = np.full(256, 255, np.uint8)
_DIGITS[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(85)
_LOOKED_AT = 20_000  # fingerprints among which the next is sought: time grows no faster than that

Prints = npt.NDArray[np.uint8]


def encode_fingerprints(fingerprints: Iterable[bytes]) -> str:
    """The entry for a model file; a fingerprint that stands twice is kept once."""
    data = b"".join(sorted(set(fingerprints)))
    prints = _order(np.frombuffer(data, np.uint8).reshape(-1, FINGERPRINT_BYTES))
    steps = prints.copy()
    steps[1:] ^= prints[:-1]
    return _CHAIN + base64.b85encode(zlib.compress(steps.tobytes(), 9)).decode("ascii")


def decode_fingerprints(text: str, path: str) -> Prints:
    """The (N, `FINGERPRINT_BYTES`) fingerprints of an entry.

    Args:
        text: of the entry.
        path: of the model file, for messages.

    Raises:
        ModelFileError: the entry is damaged, or holds more than a million pictures.
    """
    try:
        data = _inflate(text) if text.startswith(_CHAIN) else base64.b64decode(text, validate=True)
        if len(data) > _MOST * FINGERPRINT_BYTES:
            raise ModelFileError(
                f"{path}: its list of training pictures (tumorlens.seen) holds more than the "
                f"{_MOST:,} allowed; get the model again"
            )
        prints = np.frombuffer(data, np.uint8).reshape(-1, FINGERPRINT_BYTES)
    except (binascii.Error, ValueError, zlib.error):
        raise ModelFileError(
            f"{path}: its list of training pictures (tumorlens.seen) is damaged: expected "
            f"{FINGERPRINT_BYTES} bytes a picture; get the model again"
        ) from None
    return np.bitwise_xor.accumulate(prints, axis=0) if text.startswith(_CHAIN) else prints


def load_seen_test(session: Session) -> Callable[[Slice], bool] | None:
    """A test whether a slice, or a copy of it, was in training; None if the model cannot tell.

    Raises:
        ModelFileError: the model's entry is damaged.
    """
    if session.seen is None:
        return None
    fingerprints = decode_fingerprints(session.seen, str(session.path))
    return lambda slice_: is_seen(slice_, fingerprints)


def _inflate(text: str) -> bytes:
    """What a chain holds, piece by piece, up to a little more than is allowed."""
    inflater, inflated = zlib.decompressobj(), bytearray()
    for start in range(len(_CHAIN), len(text), _CHARACTERS):
        room = _MOST * FINGERPRINT_BYTES + 1 - len(inflated)
        if room <= 0:
            return bytes(inflated)
        piece = _decode_base85(text[start : start + _CHARACTERS])
        inflated += inflater.decompress(inflater.unconsumed_tail + piece, room)
    if len(inflated) <= _MOST * FINGERPRINT_BYTES and not inflater.eof:
        raise ValueError("cut short")
    return bytes(inflated)


def _decode_base85(text: str) -> bytes:
    """As `base64.b85decode`, which takes a minute for a million pictures."""
    missing = -len(text) % 5
    codes = _DIGITS[np.frombuffer((text + "~" * missing).encode("ascii"), np.uint8)]
    values = codes.reshape(-1, 5).astype(np.int64) @ 85 ** np.arange(4, -1, -1)
    if (codes > 84).any() or (values >= 2**32).any():
        raise ValueError("no base85")
    return values.astype(">u4").tobytes()[: 4 * len(values) - missing]


def _order(prints: Prints) -> Prints:
    """The rows from the first on, each followed by that which differs from it in the fewest bits.

    The nearest is sought among `_LOOKED_AT` of those that are left.
    """
    left = prints.copy().view(np.uint64)
    ordered = np.empty_like(left)
    nearest = 0
    for place, many in enumerate(range(len(left), 0, -1)):
        ordered[place] = left[nearest]
        left[nearest] = left[many - 1]
        differing = np.bitwise_count(left[: min(many - 1, _LOOKED_AT)] ^ ordered[place])
        nearest = int(differing.sum(1, dtype=np.uint16).argmin()) if many > 1 else 0
    return ordered.view(np.uint8)
