"""`Guard`: who may speak with the viewer, and what its pages may do.

A web page from anywhere may send requests to a server on this machine, and a name that it owns may
be made to point here (DNS rebinding). So a request must name this server as its host, must not come
from another page, and must know the token of this run, which is the first part of every path.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Guard"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""niivue decodes its font and its colour maps from data in the script itself."""

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI application around another one.

    Attributes:
        app: gets the requests that pass.
        token: first part of every path.
        hosts: what the header ``Host`` may say.
    """

    app: App
    token: str
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to strangers; else let the application answer, with safe headers."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        if not self._is_known(scope):
            await _refuse(send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _add_headers(list(message.get("headers", ())))
            await send(message)

        await self.app(scope, receive, answer)

    def _is_known(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        own = not origin or origin in {f"http://{name}" for name in self.hosts}
        alone = headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin")
        path = str(scope["path"])
        named = path == f"/{self.token}" or path.startswith(f"/{self.token}/")
        return host in self.hosts and own and alone and named


def _add_headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    known = {name for name, _ in given}
    policy = (b"content-security-policy", PAGE_POLICY.encode())
    return given + [pair for pair in (*_ALWAYS, policy) if pair[0] not in known]


async def _refuse(send: Send) -> None:
    words = b"This address is not known here. Open the one that the command printed.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_ALWAYS]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": words})
