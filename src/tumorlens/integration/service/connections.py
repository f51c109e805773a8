"""A connection on which no request comes is closed, so that nobody can hold all of them."""

from __future__ import annotations

import asyncio
from typing import Any

from tumorlens.optional import load

__all__ = ["HEADER_SECONDS", "make_protocol"]

HEADER_SECONDS = 10.0
"""For the headers of a request; uvicorn itself waits for them without end."""


def make_protocol(header_seconds: float = HEADER_SECONDS) -> type[Any]:
    """The protocol of uvicorn, with an end of its patience.

    Args:
        header_seconds: a connection is closed after one to two times as long without a request.
    """
    module = load("uvicorn.protocols.http.h11_impl", "serve")
    base: Any = module.H11Protocol
    idle = module.h11.IDLE

    class Impatient(base):  # type: ignore[misc]
        _look: asyncio.TimerHandle

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._wait(None)

        def connection_lost(self, exc: Exception | None) -> None:
            self._look.cancel()
            super().connection_lost(exc)

        def _wait(self, before: object) -> None:
            self._look = self.loop.call_later(header_seconds, self._end_if_idle, before)

        def _end_if_idle(self, before: object) -> None:
            """Close it if it has waited since the last look, for the request after ``before``."""
            waits_after = ("waits", self.cycle) if self.conn.their_state is idle else None
            if waits_after is not None and waits_after == before:
                self.transport.close()
            else:
                self._wait(waits_after)

    return Impatient
