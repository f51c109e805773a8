"""`Traits`: what is measured on each picture, once, for all checks but the one for copies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from tumorlens.auditing.annotations import check_annotations
from tumorlens.auditing.appearance import Appearance, look_at
from tumorlens.data.rows import Row
from tumorlens.errors import InputError
from tumorlens.imaging.files.encoding import FORMATS, Encoding, read_encoding
from tumorlens.imaging.files.limits import hold_memory
from tumorlens.imaging.pixels.burnt_in_text import find_burnt_in_text, locate_head
from tumorlens.imaging.pixels.head import Head, scale_values
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.readers import iterate_slices, read_slice
from tumorlens.imaging.slices import Slice
from tumorlens.model.session import Session
from tumorlens.workers import open_workers, run_ahead

__all__ = [
    "FILE_FEATURES",
    "PREPARED_FEATURES",
    "Traits",
    "hash_pixels",
    "measure_rows",
    "read_frames",
]

Array = npt.NDArray[np.float32]

_BINS = 16
_RIM = 0.04  # of each side: what counts as border
_AHEAD = 64
_COPIES = 5  # of a slice, that looking at it may make

_HISTOGRAM = tuple(
    f"pixels at {100 * n // _BINS}–{100 * (n + 1) // _BINS} % brightness" for n in range(_BINS)
)
_SURFACE = ("border mean", "border deviation", "sharpness", "blockiness")
PREPARED_FEATURES = (*_HISTOGRAM, *_SURFACE)
"""Features of a prepared image without its anatomy: intensity, border, sharpness, no shape."""

FILE_FEATURES = (
    *PREPARED_FEATURES,
    *(
        "width",
        "height",
        "aspect",
        "left margin",
        "top margin",
        "right margin",
        "bottom margin",
        "background",
    ),
    *("darkest value", "brightest value", "median value", "grey levels", "letters"),
    *("file format", "bytes a pixel", "channels", "JPEG quantization"),
)
"""Features of a file without its anatomy: those above, size, margins of the head, compression."""


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """What was measured on the picture of one row.

    Attributes:
        error: why it cannot be read; then all else is empty. Empty if it can be read.
        digest: of the pixels and their shape: equal for exact copies.
        shape: height and width in pixels.
        levels: different values, counted up to 256.
        saturated: share of pixels at the brightest value.
        letters: how many burnt-in letters or letters lie outside the head.
        misfits: what is wrong with mask and boxes.
        unfamiliarity: above 1 if the picture is unlike the training data; NaN without a model.
        appearance: plane, orientation, CT or no head, as far as they are recognised.
        on_file: (F,) features of the file, in the order of `FILE_FEATURES`.
        on_prepared: (P,) features of the prepared image, in the order of `PREPARED_FEATURES`.
    """

    error: str = ""
    digest: bytes = b""
    shape: tuple[int, int] = (0, 0)
    levels: int = 0
    saturated: float = 0.0
    letters: int = 0
    misfits: tuple[str, ...] = ()
    unfamiliarity: float = np.nan
    appearance: Appearance | None = None
    on_file: Array | None = None
    on_prepared: Array | None = None


def measure_rows(
    rows: Sequence[Row],
    *,
    session: Session | None = None,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[Traits]:
    """Measure the picture of every row once. A volume is read once for all its rows.

    Args:
        rows: of a manifest.
        session: a model that gives the unfamiliarity of a picture, or None.
        threads: how many to use.
        progress: called with the number of rows done since the last call.
    """
    spec = PreprocessSpec() if session is None else session.card.preprocess
    files = (list(group) for _, group in groupby(rows, key=lambda row: row.path))
    traits: list[Traits] = []
    with open_workers(threads) as pool:
        ahead = run_ahead(pool, lambda file: _measure_file(file, spec, session), files, _AHEAD)
        for measured in ahead:
            traits += measured
            if progress is not None:
                progress(len(measured))
    return traits


def _measure_file(rows: list[Row], spec: PreprocessSpec, session: Session | None) -> list[Traits]:
    encoding = read_encoding(rows[0].path)
    slices = read_frames(rows)
    return [
        Traits(error=str(one))
        if isinstance(one, InputError)
        else _measure_alone(row, one, encoding, spec, session)
        for row, one in zip(rows, slices, strict=True)
    ]


def _measure_alone(
    row: Row, slice_: Slice, encoding: Encoding, spec: PreprocessSpec, session: Session | None
) -> Traits:
    """Large slices one at a time, however many threads look at some."""
    with hold_memory(_COPIES * slice_.pixels.nbytes):
        return _measure(row, slice_, encoding, spec, session)


def read_frames(rows: Sequence[Row]) -> Iterator[Slice | InputError]:
    """The slices of one file, in the order of its rows."""
    path = rows[0].path
    if len(rows) == 1:
        try:
            yield read_slice(path, rows[0].frame or 0)
        except InputError as error:
            yield error
        return
    found: dict[int, Slice] = {}
    reason: InputError | None = None
    for item in iterate_slices(path):
        if isinstance(item, InputError):
            reason = item
        else:
            found[item.info.frame] = item
    for row in rows:
        missing = InputError(str(path), f"has no frame {row.frame} with anything to see")
        yield found.get(row.frame or 0, reason or missing)


def _measure(
    row: Row, slice_: Slice, encoding: Encoding, spec: PreprocessSpec, session: Session | None
) -> Traits:
    slice_ = replace(slice_, pixels=scale_values(slice_))
    pixels, head = slice_.pixels, locate_head(slice_)
    prepared = prepare(slice_, spec).image
    letters = len(find_burnt_in_text(slice_, head))
    levels = _count_levels(pixels)
    unfamiliarity = np.nan
    if session is not None:
        unfamiliarity = float(session.run(prepared[np.newaxis]).unfamiliarity[0])
    return Traits(
        digest=hash_pixels(pixels),
        shape=(pixels.shape[0], pixels.shape[1]),
        levels=levels,
        saturated=float((pixels == pixels.max()).mean()),
        letters=letters,
        misfits=check_annotations(row, slice_, head),
        unfamiliarity=unfamiliarity,
        appearance=look_at(prepared[0]),
        on_file=_describe_file(pixels, head, encoding, levels, letters),
        on_prepared=_describe_surface(prepared[0]),
    )


def hash_pixels(pixels: Array) -> bytes:
    """What is equal for pictures of the same pixels and shape, and hardly for others."""
    shape = bytes(str(pixels.shape), "ascii")
    return hashlib.blake2b(pixels.tobytes() + shape, digest_size=16).digest()


def _count_levels(pixels: Array) -> int:
    """Different values: of a thinned picture if that settles it."""
    thinned = np.unique(pixels[::4, ::4]).size
    return min(256, thinned if thinned >= 64 else np.unique(pixels).size)


def _describe_file(
    pixels: Array, head: Head, encoding: Encoding, levels: int, letters: int
) -> Array:
    height, width = pixels.shape
    low, high = float(pixels.min()), float(pixels.max())
    spread = max(high - low, 1e-6)
    x0, y0, x1, y1 = head.box
    rest = [
        *(width, height, width / height),
        *(x0 / width, y0 / height, 1 - x1 / width, 1 - y1 / height),
        (head.background - low) / spread,
        *(low, high, float(np.median(pixels)), levels, letters),
        *(FORMATS.index(encoding.format), encoding.bytes / (width * height)),
        *(encoding.channels, encoding.quantization),
    ]
    return np.concatenate([_describe_surface((pixels - low) / spread), np.array(rest, np.float32)])


def _describe_surface(image: Array) -> Array:
    """(P,) features of (H, W) values in [0, 1]."""
    shares = np.histogram(image, _BINS, (0, 1))[0] / image.size
    rim = max(1, round(_RIM * min(image.shape)))
    inner = np.zeros(image.shape, np.bool_)
    inner[rim:-rim, rim:-rim] = True
    border = image[~inner]
    steps = np.abs(np.diff(image, axis=1)).mean(0)
    edges = steps[7::8].mean() if steps.size > 8 else 0.0
    blockiness = edges / (steps.mean() + 1e-6)  # JPEG's blocks are 8 pixels wide
    surface = (border.mean(), border.std(), steps.mean() / (image.std() + 1e-6), blockiness)
    return np.array([*shares, *surface], np.float32)
