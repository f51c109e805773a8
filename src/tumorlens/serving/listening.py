"""`listen`: a socket that waits for connections, before anybody is told its address."""

from __future__ import annotations

import os
import socket

from tumorlens.errors import UsageError

__all__ = ["listen"]


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: an address of this machine, or its name.
        port: 0: any that is free.

    Raises:
        UsageError: the host is none of this machine, or the port is taken or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"`host={host}` is no address of this machine; 127.0.0.1 is this machine alone, "
            "0.0.0.0 all its networks"
        ) from error
    # asyncio sends answers at once only where it is told that the socket is TCP; else the body
    # waits for the client's word on the headers, which takes 40 ms.
    listening = socket.socket(family, kind, protocol)
    if os.name == "posix":  # elsewhere it would let another program take the port as well
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(128)  # so that whoever is told the address gets in, and waits
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"port {port} cannot be used ({reason}); name another one with `port=`, or "
            "0: then a free one is taken"
        ) from error
    return listening
