"""Hypothesis strategies: files that were good once, and what happened to them."""

from __future__ import annotations

from hypothesis import strategies as st

MAGICS = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "tiff": b"II*\x00\x08\x00\x00\x00",
    "big tiff": b"MM\x00+\x00\x08\x00\x00",
    "bmp": b"BM",
    "webp": b"RIFF\x40\x00\x00\x00WEBPVP8 ",
    "dicom": bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00",
    "bare dicom": b"\x08\x00\x05\x00CS",
    "nifti": (348).to_bytes(4, "little") + bytes(340) + b"n+1\x00",
    "nifti 2": (540).to_bytes(4, "little") + b"n+2\x00\r\n\x1a\n",
    "nrrd": b"NRRD0004\n",
    "metaimage": b"ObjectType = Image\nNDims = 3\n",
    "mgh": b"".join(value.to_bytes(4) for value in (1, 20, 20, 4, 1, 4, 0)),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "zip": b"PK\x03\x04",
}
"""First bytes by which a reader takes a file for its own."""


def truncations(data: bytes) -> st.SearchStrategy[bytes]:
    """The first part of ``data``, any length."""
    return st.integers(0, len(data) - 1).map(lambda end: data[:end])


@st.composite
def damaged(draw: st.DrawFn, data: bytes, most: int = 12) -> bytes:
    """``data`` with one to ``most`` bytes changed, mostly near the start, where headers lie."""
    near = st.integers(0, min(len(data), 600) - 1)
    anywhere = st.integers(0, len(data) - 1)
    places = draw(st.lists(near | anywhere, min_size=1, max_size=most))
    changed = bytearray(data)
    for place in places:
        changed[place] = draw(st.integers(0, 255) | st.sampled_from((0, 1, 127, 128, 255)))
    return bytes(changed)


def disguised() -> st.SearchStrategy[bytes]:
    """Random bytes behind the first bytes of a real format."""
    return st.builds(
        lambda magic, rest: magic + rest,
        st.sampled_from(sorted(MAGICS.values())),
        st.binary(max_size=800),
    )
