"""`view`: scans in a browser on this machine, until Ctrl-C. The door of uvicorn."""

from __future__ import annotations

import os
import secrets
import socket
import webbrowser
from collections.abc import Iterable
from glob import has_magic
from pathlib import Path
from threading import Thread

from tumorlens.arguments import check_arguments
from tumorlens.detector import Detector, open_detector
from tumorlens.errors import UsageError
from tumorlens.optional import load
from tumorlens.progress import Notice, stay_silent
from tumorlens.remote.addresses import hide_secrets, is_address, spell_address
from tumorlens.serving.jobs import Jobs
from tumorlens.serving.listening import listen
from tumorlens.viewing.guarding import Guard
from tumorlens.viewing.routes import Desk, build_app
from tumorlens.writing import end_as_interrupted

__all__ = ["check_libraries", "view"]

LOOPBACK = "127.0.0.1"
_PATIENCE = 2  # seconds for answers that are under way when the viewer ends

Path_ = str | os.PathLike[str]


@check_arguments()
def view(
    paths: Path_ | Iterable[Path_] = (),
    *,
    model: Path_ | Detector = "default",
    operating_point: str | None = None,
    port: int = 0,
    browser: bool = True,
    notice: Notice | None = None,
) -> None:
    """Look at scans and their verdicts in a browser; returns when it is interrupted (Ctrl-C).

    The end of its terminal, and SIGTERM, end it in the same way.

    It does what ``tumorlens view`` does: a server that only this machine reaches, on an address
    with a random token. What the page hands in lies in a temporary folder until then.

    Args:
        paths: files, folders or patterns that are judged at once; more can be dropped onto the
            page.
        model: name of the registry, an ``.onnx`` file, or a `Detector`.
        operating_point: name of one of the model's operating points, by default ``balanced``.
        port: of the server; 0: any that is free.
        browser: open the page in the browser.
        notice: takes sentences for a person; the first names the address.

    Raises:
        UsageError: the port is taken, or no such operating point.
        ModelFileError: the model is unknown, or its file breaks the contract.
        MissingExtra: the libraries of the extra ``view`` are not installed.
    """
    check_libraries()
    scans = _list_scans(paths)
    with end_as_interrupted(), listen(LOOPBACK, port) as listening:
        desk = Desk(Jobs(open_detector(model, operating_point=operating_point)))
        token, address = secrets.token_urlsafe(18), f"{LOOPBACK}:{listening.getsockname()[1]}"
        url = f"http://{address}/{token}/"
        if scans:
            desk.jobs.start(scans, title=_name_scans(scans))
        say = notice or stay_silent
        say(f"tumorlens is at {url}")
        say("Only this computer can reach it. End it with Ctrl-C.")
        try:
            _serve(desk, token, listening, url if browser else "")
        finally:
            desk.close()


def check_libraries() -> None:
    """Find out whether the viewer can run.

    Raises:
        MissingExtra: the libraries of the extra ``view`` are not installed.
    """
    for module in ("uvicorn", "starlette.applications"):
        load(module, "view")


def _serve(desk: Desk, token: str, listening: socket.socket, opened: str) -> None:
    uvicorn, port = load("uvicorn"), listening.getsockname()[1]
    hosts = frozenset({f"{LOOPBACK}:{port}", f"localhost:{port}"})
    config = uvicorn.Config(
        Guard(build_app(desk, token), token, hosts), log_level="error", access_log=False,
        server_header=False, timeout_graceful_shutdown=_PATIENCE, lifespan="off",
    )  # fmt: skip
    if opened:
        Thread(target=webbrowser.open, args=(opened,), daemon=True).start()  # it may wait for one
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        return


def _list_scans(paths: Path_ | Iterable[Path_]) -> tuple[str, ...]:
    """Paths that are there, and patterns.

    Raises:
        UsageError: a path leads nowhere.
    """
    named = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    scans = tuple(os.fspath(path) for path in named)
    for path in scans:
        if is_address(path) and not os.path.lexists(path):
            raise UsageError(
                f"{hide_secrets(spell_address(path))}: is an address, and this shows files of this "
                "machine; copy what lies there first"
            )
        if not os.path.lexists(path) and not has_magic(path):
            raise UsageError(f"{path}: does not exist; check the spelling")
    return scans


def _name_scans(paths: tuple[str, ...]) -> str:
    return Path(paths[0]).name or paths[0] if len(paths) == 1 else f"{len(paths)} scans"
