"""Who is at the other end: a DICOM node, or a URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tumorlens.errors import UsageError

__all__ = ["Node", "hide_password"]

_NODE = re.compile(r"(?P<title>[^@]{1,16})@(?P<host>[^@]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Node:
    """A DICOM node.

    Attributes:
        title: its application entity title.
        host, port: where it listens.
    """

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Node:
        """Read ``AET@HOST:PORT``.

        Raises:
            UsageError: it is not of this form.
        """
        found = _NODE.fullmatch(text.strip())
        if found is None or not 0 < int(found["port"]) < 65536:
            raise UsageError(f"`send_to={text}`: expected AET@HOST:PORT, e.g. PACS@10.0.0.5:104")
        return cls(found["title"].strip(), found["host"].strip("[]"), int(found["port"]))


def hide_password(url: str) -> str:
    """A URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
