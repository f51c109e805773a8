"""Addresses of files of this machine: ``file:///PATH``."""

from __future__ import annotations

import os
import re

from tumorlens.errors import UsageError
from tumorlens.remote.addresses import hide_secrets

__all__ = ["drop_host"]

_OF_HOST = re.compile(r"file://([^/]+)", re.IGNORECASE)


def drop_host(name: str | os.PathLike[str]) -> str:
    """``file:///PATH`` for ``file://localhost/PATH`` (RFC 8089); any other name as it is.

    A name must come here before `pathlib` takes a slash from it: then nobody can tell the host
    from a folder.

    Raises:
        UsageError: it names a file of another machine.
    """
    spelled = os.fspath(name)
    found = _OF_HOST.match(spelled)
    if not found:
        return spelled
    if found[1].lower() != "localhost":
        raise UsageError(
            f"{hide_secrets(spelled)}: file:// names a file of this machine from the root on, e.g. "
            "file:///data/scans; give that, or the path alone"
        )
    return f"file://{spelled[found.end() :]}"
