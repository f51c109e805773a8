"""Names of what lies elsewhere: ``s3://BUCKET/KEY``, ``gs://BUCKET/KEY``, ``file:///PATH``."""

from __future__ import annotations

import re

__all__ = ["SCHEMES", "hide_secrets", "is_address", "scheme_of", "spell_address"]

SCHEMES = ("s3", "gs")
"""Stores that are read and written."""

_OTHERS = "file|https?|s?ftp|abfss?|az|hdfs|wasbs?"
# Known even where pathlib took a slash, so that no message repeats a secret that one holds.
_KNOWN = re.compile(rf"({'|'.join(SCHEMES)}|{_OTHERS}):/+", re.IGNORECASE)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # one letter is a drive of Windows
_SECRETS = re.compile(r"(?<=://)[^/\s@]*@|(?<=://)[^/\s:@]+:[^\s@]*@")
_SIGNATURE = re.compile(
    r"(://[^\s?]*)\?[^\s]*(?:[Ss]ignature|[Tt]oken|[Cc]redential|AccessKeyId)=[^\s]*"
)


def scheme_of(name: str) -> str:
    """The scheme of an address, in small letters; empty for the name of a file.

    ``Path("s3://bucket/key")`` loses a slash, and is taken for an address, too.
    """
    found = _KNOWN.match(name) or _ADDRESS.match(name)
    return found[1].lower() if found else ""


def is_address(name: str) -> bool:
    """Whether a name is an address, be it of a scheme that nobody reads."""
    return bool(scheme_of(name))


def spell_address(text: str) -> str:
    """An address from which `pathlib` took a slash, with both; any other text as it is."""
    found = _KNOWN.match(text)
    if not found or found[1].lower() == "file":
        return text
    return f"{found[1].lower()}://{text[found.end() :]}"


def hide_secrets(text: str) -> str:
    """A text without passwords and signatures in the addresses that it names."""
    return _SIGNATURE.sub(r"\1?***", _SECRETS.sub("***@", text))
