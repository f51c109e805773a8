"""What serves HTTP sends small answers at once."""

from __future__ import annotations

import asyncio
import socket

from tumorlens.serving.listening import listen


def test_answers_are_not_held_back_until_the_client_has_spoken():
    async def accept() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def note(_, writer: asyncio.StreamWriter) -> None:
            held = writer.get_extra_info("socket")
            accepted.set_result(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listening:
            server = await asyncio.start_server(note, sock=listening)
            _, writer = await asyncio.open_connection(*listening.getsockname())
            immediate = await accepted
            writer.close()
            server.close()
        return immediate

    assert asyncio.run(accept()) != 0
