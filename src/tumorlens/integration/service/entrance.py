"""`Entrance`: who gets in, how much may come in, and what is written down of it.

It is an ASGI application around another one. What it logs and counts are routes, states, bytes and
seconds: no name of a file, no identifier, no key of a job, and no message of an error, for all of
these may hold what a sender knows of a patient.
"""

from __future__ import annotations

import json
import secrets
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import PurePath
from time import perf_counter
from typing import Any

from tumorlens.errors import UsageError
from tumorlens.integration.service.counters import Counters
from tumorlens.integration.service.problems import PROBLEM_JSON, Problem
from tumorlens.progress import Notice

__all__ = ["Entrance", "check_token"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SHORTEST_TOKEN = 16
OPEN_TO_ALL = ("/v2/health/live", "/v2/health/ready")
"""What a container's health check asks, without the token."""

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


def check_token(token: str) -> None:
    """Refuse a token that can be guessed, or that no header can carry.

    Raises:
        UsageError: says why.
    """
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()):
        raise UsageError(
            f"`token=`: expected at least {SHORTEST_TOKEN} printable ASCII characters, "
            f"got {len(token)} characters; make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(24))'"
        )


@dataclass(slots=True)
class _Passage:
    """One request on its way through.

    Attributes:
        status: of the answer, once it has begun.
        received: bytes of the body.
    """

    status: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class Entrance:
    """Around an ASGI application.

    Attributes:
        app: answers the requests that pass.
        most: bytes of a body.
        counters: count the answers.
        log: takes a line a request.
        token: that a request must know; None: none is needed.
        hosts: what the header ``Host`` may say where no token is needed.
    """

    app: App
    most: int
    counters: Counters
    log: Notice
    token: str | None
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens, with safe headers."""
        if scope["type"] != "http":
            return
        begin, passage = perf_counter(), _Passage()
        counted = self._count(receive, passage)
        answer = _watch(send, passage)
        try:
            self._check(scope)
            await self.app(scope, counted, answer)
        except Problem as problem:
            await _refuse(problem, str(scope["path"]), answer)
        except Exception as error:
            self.log(f"failed: {_locate(error)}")
            if not passage.status:
                failure = Problem(500, "the service has failed at this request; its log says where")
                await _refuse(failure, str(scope["path"]), answer)
        self._write_down(scope, passage, perf_counter() - begin)

    def _check(self, scope: Scope) -> None:
        """Refuse strangers, and bodies that say that they are too large.

        Raises:
            Problem: says why.
        """
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] not in OPEN_TO_ALL:
            self._check_sender(headers)
        length = headers.get(b"content-length", "")
        if length.isdecimal() and int(length) > self.most:
            raise self._too_large()

    def _check_sender(self, headers: dict[bytes, str]) -> None:
        if self.token is not None:
            wanted, given = f"Bearer {self.token}", headers.get(b"authorization", "")
            if not secrets.compare_digest(wanted.encode(), given.encode()):
                raise Problem(
                    401,
                    "the header Authorization must be: Bearer TOKEN, with the token of the service",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        elif not self._is_local(headers):
            raise Problem(
                403,
                "without a token, only programs of this machine are answered: name it as "
                "127.0.0.1 or localhost, and ask from no page of another site",
            )

    def _is_local(self, headers: dict[bytes, str]) -> bool:
        """Neither another site's page, nor a name that was made to point here (DNS rebinding)."""
        origin = headers.get(b"origin", "").lower()
        own = not origin or origin in {f"http://{name}" for name in self.hosts}
        alone = headers.get(b"sec-fetch-site", "none") in ("none", "same-origin")
        return headers.get(b"host", "").lower() in self.hosts and own and alone

    def _count(self, receive: Receive, passage: _Passage) -> Receive:
        """Count the bytes of a body, and end it where it is too large."""

        async def take() -> Message:
            message = await receive()
            passage.received += len(message.get("body", b""))
            if passage.received > self.most:
                raise self._too_large()
            return message

        return take

    def _too_large(self) -> Problem:
        return Problem(
            413, f"the body is larger than the {self.most / 2**20:,.0f} MiB that are allowed"
        )

    def _write_down(self, scope: Scope, passage: _Passage, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unknown")
        self.counters.count_bytes(passage.received)
        self.counters.count_answer(method, route, passage.status, seconds)
        self.log(
            f"{method} {route} {passage.status} {seconds:.3f} s, {passage.received:,} bytes in"
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _watch(send: Send, passage: _Passage) -> Send:
    """Note the status of the answer, and add the headers that all answers have."""

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            passage.status = message["status"]
            given = list(message.get("headers", ()))
            known = {name for name, _ in given}
            message["headers"] = given + [pair for pair in _ALWAYS if pair[0] not in known]
        await send(message)

    return answer


async def _refuse(problem: Problem, path: str, send: Send) -> None:
    body = json.dumps(problem.describe(path)).encode()
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _locate(error: Exception) -> str:
    """The kind of an error and the line that raised it; never its message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {PurePath(last.filename).name}:{last.lineno}"
