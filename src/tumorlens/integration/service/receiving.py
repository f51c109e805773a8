"""The body of a request becomes a `Deposit`: a form of files, an archive or a single file.

Bytes go to the disk as they come, so that memory does not grow with what is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from email.message import Message
from types import TracebackType
from typing import Any, Protocol

from tumorlens.errors import InputError
from tumorlens.integration.service.problems import Problem
from tumorlens.optional import load
from tumorlens.serving.deposits import Deposit, Intake

__all__ = ["FORM", "SINGLE", "receive"]

FORM = "multipart/form-data"

SINGLE = {
    "application/zip": "upload.zip",
    "application/x-zip-compressed": "upload.zip",
    "application/dicom": "upload.dcm",
    "application/gzip": "upload.nii.gz",
    "application/octet-stream": "upload",
    "image/png": "upload.png",
    "image/jpeg": "upload.jpg",
    "image/tiff": "upload.tif",
    "image/bmp": "upload.bmp",
    "image/webp": "upload.webp",
}
"""Types of a body that is one file -> its name, unless the query names it."""

_STEP = 2**20  # bytes that are handed to the disk at once


class _Sink(Protocol):
    def write(self, data: bytes) -> object: ...

    def finish(self) -> None: ...


async def receive(request: Any, deposit: Deposit) -> None:
    """Take the files of a request.

    Args:
        request: of Starlette.
        deposit: takes them.

    Raises:
        Problem: the type of the body is none that holds files, the body is no such thing, or the
            address asks for what the service does not choose.
        InputError: a file cannot be taken; see `Deposit.open`.
    """
    _check_query(request.query_params)
    kind, options = _parse_type(request.headers.get("content-type", ""))
    with ExitStack() as stack:
        sink = _open_sink(kind, options, request.query_params.get("name"), deposit, stack)
        held = bytearray()
        async for chunk in request.stream():
            held += chunk
            if len(held) >= _STEP:
                await asyncio.to_thread(sink.write, bytes(held))
                held.clear()
        await asyncio.to_thread(_end, sink, bytes(held))
    if not deposit.size:
        raise Problem(400, "the request holds no file; send one, a zip archive, or a form of files")


def _check_query(parameters: Iterable[str]) -> None:
    """Refuse what would have no effect, such as an operating point."""
    if odd := next((one for one in parameters if one != "name"), ""):
        raise Problem(
            400,
            f"the address has the parameter {odd[:80]!r}, which has no effect; expected none, or "
            "name (of a file that is sent alone); the start of the service chooses the rest",
        )


def _end(sink: _Sink, rest: bytes) -> None:
    if rest:
        sink.write(rest)
    sink.finish()


def _parse_type(header: str) -> tuple[str, dict[bytes, bytes]]:
    parse: Callable[[str], tuple[bytes, dict[bytes, bytes]]]
    parse = load("python_multipart.multipart", "serve").parse_options_header
    kind, options = parse(header)
    return kind.decode("latin-1").lower(), options


def _open_sink(
    kind: str, options: dict[bytes, bytes], name: str | None, deposit: Deposit, stack: ExitStack
) -> _Sink:
    if kind == FORM:
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise Problem(400, "the header Content-Type names no boundary of the form")
        return stack.enter_context(_Form(deposit, boundary))
    if kind not in SINGLE:
        known = ", ".join((FORM, *SINGLE))
        told = f"{kind[:80]!r} holds no files here" if kind else "is missing"
        raise Problem(415, f"Content-Type {told}; send {known}")
    return _Single(stack.enter_context(deposit.open(name or SINGLE[kind])))


class _Single:
    """A body that is one file."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def write(self, data: bytes) -> None:
        self._intake.write(data)

    def finish(self) -> None:
        """The file ends with the body."""


class _Form:
    """A body that is a form: its parts are written one after another as they come."""

    def __init__(self, deposit: Deposit, boundary: bytes) -> None:
        multipart = load("python_multipart.multipart")
        self._deposit = deposit
        self._error: type[Exception] = load("python_multipart.exceptions").FormParserError
        self._parse_header = multipart.parse_options_header
        self._stack = ExitStack()
        self._intake: Intake | None = None
        self._ended = False
        self._field, self._value, self._disposition = b"", b"", ""
        try:
            self._parser = multipart.MultipartParser(boundary, dict(self._list_callbacks()))
        except self._error as error:
            raise _malformed(error) from None

    def write(self, data: bytes) -> None:
        """Parse the next bytes of the body.

        Raises:
            Problem: they are no form, or a part is no file.
            InputError: a file cannot be taken.
        """
        try:
            self._parser.write(data)
        except self._error as error:
            raise _malformed(error) from None

    def finish(self) -> None:
        """The body has ended.

        Raises:
            Problem: the form has not.
        """
        if not self._ended:
            raise Problem(400, "the form ends in the middle; send it again")

    def __enter__(self) -> _Form:
        self._stack.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _list_callbacks(self) -> Iterator[tuple[str, Callable[..., None]]]:
        for name in (
            *("part_begin", "header_field", "header_value", "header_end", "headers_finished"),
            *("part_data", "part_end", "end"),
        ):
            yield f"on_{name}", getattr(self, f"_take_{name}")

    def _take_part_begin(self) -> None:
        self._disposition = ""

    def _take_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _take_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._field = self._value = b""

    def _take_headers_finished(self) -> None:
        _, options = self._parse_header(self._disposition)
        coded = options.get(b"filename")
        name = _decode_percents(self._disposition) if coded is None else _decode(coded)
        if name is None:
            raise Problem(400, "the form has a field that is no file; send files alone")
        self._intake = self._stack.enter_context(self._deposit.open(name))

    def _take_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._intake is not None:
            self._intake.write(data[start:end])

    def _take_part_end(self) -> None:
        self._intake = None
        self._stack.close()

    def _take_end(self) -> None:
        self._ended = True


def _decode(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise InputError("a file of the form", "has a name that is not UTF-8") from None


def _decode_percents(disposition: str) -> str | None:
    """The name that stands only as ``filename*=utf-8''t%C3%AAte.png`` (RFC 5987)."""
    header = Message()
    header["Content-Disposition"] = disposition
    return header.get_filename()


def _malformed(error: Exception) -> Problem:
    return Problem(400, f"the body is not the form that its Content-Type says ({error})")
