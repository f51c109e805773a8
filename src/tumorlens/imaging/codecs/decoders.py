"""The work of the helper processes. A library is loaded for the first file of its kind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tumorlens.errors import InputError
from tumorlens.imaging.codecs.serving import Answer, Handler

__all__ = ["ADVICE", "NEEDS", "REASON", "make_handler"]

REASON, ADVICE = "reason", "advice"
"""Facts of an answer: those of an `InputError`."""
NEEDS = "needs"
"""Fact of an answer: bytes that decoding would take, which are more than were allowed."""


def make_handler() -> Handler:
    """A handler with a memory of its own."""
    # One picture at a time is decoded here, so more threads are of no use.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return _Decoders().answer


class _Decoders:
    """Answers by the fact ``work``; keeps a picture file whose other pages may be asked for."""

    def __init__(self) -> None:
        self._picture: Any = None
        self._works: dict[str, Handler] = {
            "picture": self._open_picture,
            "page": self._read_page,
            "frames": self._decode_frames,
            "encoding": self._describe,
        }

    def answer(self, facts: Mapping[str, Any], data: bytes) -> Answer:
        try:
            return self._works[facts["work"]](facts, data)
        except InputError as error:
            self._picture = None
            return {REASON: error.reason, ADVICE: error.advice}, b""

    def _open_picture(self, facts: Mapping[str, Any], data: bytes) -> Answer:
        from tumorlens.imaging.codecs.pillow import DecodedImage

        self._picture = DecodedImage.open(data)
        pages = self._picture.count_pages() if facts["count"] else 1
        answer, values = self._read_page(facts, b"", pages=pages)
        return {**answer, "pages": pages}, values

    def _read_page(self, facts: Mapping[str, Any], _: bytes, *, pages: int | None = None) -> Answer:
        picture, page = self._picture, facts["page"]
        if page:
            picture.turn_to(page)
        rows, columns, needed = picture.measure()
        if needed > facts["allowed"]:
            return {NEEDS: needed, "rows": rows, "columns": columns}, b""
        *grey, values = picture.decode()
        if facts["last"] or pages == 1:
            self._picture = None
        return {"grey": grey}, values

    def _decode_frames(self, facts: Mapping[str, Any], data: bytes) -> Answer:
        """Frames up to the first that fails or is of another kind; the next question is for it."""
        from tumorlens.imaging.codecs.frames import decode
        from tumorlens.imaging.files.refusal import listen

        syntax, options, start = facts["syntax"], facts["options"], 0
        done: list[Any] = []
        with listen() as notes:
            for length in facts["lengths"]:
                codestream = data[start : start + length]
                start += length
                try:
                    values = decode(syntax, options, codestream)
                except BaseException:
                    if done:
                        break
                    raise
                if done and (values.shape, values.dtype) != (done[0].shape, done[0].dtype):
                    break
                done.append(values)
        answer = {"shape": done[0].shape, "dtype": done[0].dtype.str, "notes": notes}
        return answer, b"".join(one.data.cast("B") for one in done)

    def _describe(self, _: Mapping[str, Any], data: bytes) -> Answer:
        from tumorlens.imaging.codecs.pillow import DecodedImage

        return DecodedImage.open(data).describe(), b""
