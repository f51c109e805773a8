"""`serve`: verdicts over HTTP, until Ctrl-C or SIGTERM. The door of uvicorn."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tumorlens.arguments import TEXT, Rule, check_arguments, optional
from tumorlens.detector import Detector, open_detector
from tumorlens.errors import UsageError
from tumorlens.integration.service.answers import build_app
from tumorlens.integration.service.ceilings import DEFAULT_SERVICE, ServiceLimits
from tumorlens.integration.service.connections import HEADER_SECONDS, make_protocol
from tumorlens.integration.service.desk import Desk
from tumorlens.integration.service.entrance import Entrance, check_token
from tumorlens.optional import load
from tumorlens.progress import Notice, stay_silent
from tumorlens.serving.listening import listen
from tumorlens.writing import end_as_interrupted

__all__ = ["check_libraries", "serve"]

LOOPBACK = "127.0.0.1"
PORT = 8000
_PATIENCE = 5  # seconds for answers that are under way when the service ends
_TALKERS = ("asyncio", "PIL", "nibabel", "pydicom", "python_multipart")
_CONNECTIONS = 256  # open at once; one more is answered 503

Path_ = str | os.PathLike[str]
_LIMITS = Rule("ServiceLimits", lambda value: isinstance(value, ServiceLimits))


@check_arguments(token=optional(TEXT), limits=_LIMITS)
def serve(
    *,
    model: Path_ | Detector = "default",
    operating_point: str | None = None,
    host: str = LOOPBACK,
    port: int = PORT,
    token: str | None = None,
    limits: ServiceLimits = DEFAULT_SERVICE,
    notice: Notice | None = None,
    log: Notice = stay_silent,
) -> None:
    """Answer requests with verdicts; returns when it is interrupted (Ctrl-C) or told to end.

    It does what ``tumorlens serve`` does. Files lie in a temporary folder while they are judged,
    results of jobs for `ServiceLimits.keep_seconds`.

    Args:
        model: name of the registry, an ``.onnx`` file, or a `Detector`.
        operating_point: name of one of the model's operating points, by default ``balanced``.
        host: the address to listen at; by default this machine alone can ask.
        port: 0: any that is free.
        token: that requests must carry (``Authorization: Bearer TOKEN``). Needed where other
            machines can ask.
        limits: on size, number, time and memory.
        notice: takes sentences for a person; the first names the address.
        log: takes a line a request, without names of files or patients.

    Raises:
        UsageError: the port is taken, other machines could ask without a token, or no such
            operating point.
        ModelFileError: the model is unknown, or its file breaks the contract.
        MissingExtra: the libraries of the extra ``serve`` are not installed.
    """
    check_libraries()
    check_access(host, token)
    say = notice or stay_silent
    # From here on, for there are files from the first moment on.
    with end_as_interrupted(), suppress(KeyboardInterrupt), listen(host, port) as listening:
        desk = Desk(open_detector(model, operating_point=operating_point), limits)
        try:
            say(f"tumorlens serves {desk.detector.name} at {_name_address(listening)}")
            who = "Requests need the token." if token else "Only this computer can ask."
            say(f"{who} End it with Ctrl-C.")
            _run(desk, listening, token, log)
        finally:
            desk.close()


def check_libraries() -> None:
    """Find out whether the service can run.

    Raises:
        MissingExtra: the libraries of the extra ``serve`` are not installed.
    """
    for module in ("fastapi", "prometheus_client", "python_multipart", "uvicorn"):
        load(module, "serve")


def check_access(host: str, token: str | None) -> None:
    """Refuse to let other machines ask without a token.

    Raises:
        UsageError: says what is missing.
    """
    if token is not None:
        check_token(token)
    elif not _is_loopback(host):
        raise UsageError(
            f"`host={host}` lets other machines ask, so a token is needed: give `token_file=`, or "
            f"`host={LOOPBACK}` for this machine alone"
        )


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _name_address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(desk: Desk, listening: socket.socket, token: str | None, log: Notice) -> None:
    config = build_config(build_entrance(desk, listening, token, log))
    with _hush_libraries(), suppress(KeyboardInterrupt):
        load("uvicorn", "serve").Server(config).run(sockets=[listening])


def build_config(entrance: Entrance, *, header_seconds: float = HEADER_SECONDS) -> Any:
    """How uvicorn serves it.

    Args:
        entrance: the service.
        header_seconds: see `make_protocol`.
    """
    return load("uvicorn", "serve").Config(
        entrance, http=make_protocol(header_seconds), ws="none", lifespan="off",
        access_log=False, server_header=False,
        log_config=None, log_level="critical",  # a traceback may hold what a file says of a patient
        limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=_PATIENCE,
    )  # fmt: skip


def build_entrance(
    desk: Desk, listening: socket.socket, token: str | None, log: Notice
) -> Entrance:
    """The whole service as an ASGI application."""
    port = listening.getsockname()[1]
    names = (LOOPBACK, "localhost", "[::1]", listening.getsockname()[0])
    hosts = frozenset(f"{name}:{port}" for name in names)
    most = desk.limits.bytes
    return Entrance(build_app(desk), most, desk.counters, log, token, hosts)


@contextmanager
def _hush_libraries() -> Iterator[None]:
    """What libraries say of a file may name a patient; records have it in their notes."""
    loggers = [logging.getLogger(name) for name in _TALKERS]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
