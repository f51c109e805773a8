"""A service as a real server of this process, and one that asks it."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn

from tumorlens.detector import Detector
from tumorlens.integration.service.ceilings import DEFAULT_SERVICE, ServiceLimits
from tumorlens.integration.service.connections import HEADER_SECONDS
from tumorlens.integration.service.desk import Desk
from tumorlens.integration.service.hosting import build_config, build_entrance
from tumorlens.serving.listening import listen


@dataclass
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """A service that runs.

    Attributes:
        desk: behind it.
        port: on this machine.
        lines: of its log.
    """

    desk: Desk
    port: int
    lines: list[str] = field(default_factory=list)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Reply:
        """An answer; names of headers have underscores here."""
        connection = self.connect()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, kind: str = "application/zip", **headers: str) -> Reply:
        return self.ask(path, "POST", body, content_type=kind, **headers)

    def post_form(self, path: str, files: Sequence[tuple[str, bytes]], **headers: str) -> Reply:
        kind, body = make_form(files)
        return self.post(path, body, kind, **headers)

    def wait(self, job: str, seconds: float = 30) -> Any:
        """A job that has ended."""
        end = time.monotonic() + seconds
        while (told := self.ask(f"/jobs/{job}").json)["state"] in ("waiting", "judging"):
            assert time.monotonic() < end
            time.sleep(0.02)
        return told


def make_form(files: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """The type and the body of a form of files, (name, bytes) each."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


@contextmanager
def open_service(
    detector: Detector,
    parent: Path,
    limits: ServiceLimits = DEFAULT_SERVICE,
    token: str | None = None,
    header_seconds: float = HEADER_SECONDS,
) -> Iterator[Service]:
    """A service on a free port; its files lie below ``parent``, and none is left at the end."""
    with listen("127.0.0.1", 0) as listening:
        desk = Desk(detector, limits, parent=parent)
        service = Service(desk, listening.getsockname()[1])
        entrance = build_entrance(desk, listening, token, service.lines.append)
        server = uvicorn.Server(build_config(entrance, header_seconds=header_seconds))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield service
        finally:
            server.should_exit = True
            thread.join()
            desk.close()
