"""Object stores: listed, read and written. The one door to fsspec."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tumorlens.errors import InputError, UsageError
from tumorlens.optional import load
from tumorlens.remote.addresses import hide_secrets

__all__ = ["HEAD", "Store", "StoreError"]

HEAD = 4096
"""Bytes at the begin of an object that tell what it is."""

_PATTERN = re.compile(r"[*?\[]")
_SECONDS = 15  # that a store may take to answer at all
_PURPOSE = "reading and writing {}://"
_TOGETHER = (".mhd", ".nhdr", ".hdr", ".img", ".hdr.gz", ".img.gz")
"""Endings of files that are read with what lies beside them under the same name."""

_SPELLING = "check the spelling of the bucket and of what follows it"
_RIGHTS = {
    "s3": (
        "check the credentials (`aws configure`, AWS_PROFILE, AWS_ACCESS_KEY_ID), whether they "
        "have expired, and the rights"
    ),
    "gs": "check the credentials (`gcloud auth application-default login`) and the rights",
}
_CREDENTIALS = (
    *("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed"),
    *("SignatureDoesNotMatch", "TokenRefreshRequired"),
)
"""Answers of S3 that are about the credentials, and so true of every object."""

_NETWORK = {
    "s3": "check the network, and AWS_ENDPOINT_URL for a store of your own",
    "gs": "check the network, and STORAGE_EMULATOR_HOST for a store of your own",
}
_UNREACHED = ("Connect", "Timeout", "HTTPClientError", "ServerDisconnected", "Transport")


class StoreError(InputError):
    """The store gives no answer: what is asked for may be there, and asking for more is vain."""


class Store:
    """One kind of object store, with the credentials of the surroundings.

    Args:
        scheme: ``s3`` or ``gs``.

    Raises:
        MissingExtra: its library is not installed.
    """

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        # They log each try in full; what is to be said of the last one, an error says.
        for library in ("fsspec", "gcsfs", "s3fs"):
            logging.getLogger(library).setLevel(logging.CRITICAL)
        purpose = _PURPOSE.format(scheme)
        load("fsspec", purpose)
        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
        if scheme == "s3":
            options["config_kwargs"] = {"connect_timeout": _SECONDS, "read_timeout": 4 * _SECONDS}
            options["max_concurrency"] = 1  # of a file, which else is held in memory, 500 MB of it
            made = load("s3fs", purpose).S3FileSystem
        else:
            made = load("gcsfs", purpose).GCSFileSystem
        with self._named(f"{scheme}://"):
            self._files = made(**options)

    def find(self, place: str) -> dict[str, int]:
        """What a place stands for: place -> bytes.

        Args:
            place: ``BUCKET/KEY`` of an object, a folder or a pattern; or of a member of an archive.
                With a slash at its end it is a folder, also where an object has the same name.

        Raises:
            InputError: there is nothing, or it cannot be listed.
        """
        with self._named(place):
            found = self._find(place)
        if not found:
            raise InputError(self.name(place), "holds no object", _SPELLING)
        return found

    def list_below(self, place: str) -> dict[str, int]:
        """Objects of a folder, which need not be there: place -> bytes.

        Raises:
            InputError: it cannot be listed.
        """
        with self._named(place):
            try:
                return _sizes(self._files.find(place, detail=True))
            except FileNotFoundError:
                return {}

    def match(self, place: str) -> list[str]:
        """Files of records that a pattern stands for, in order; what is no pattern is itself.

        Raises:
            InputError: none is there, or they cannot be listed.
        """
        if not _PATTERN.search(place) or self.measure(place) is not None:
            return [place]
        with self._named(place):
            found = [str(one) for one in self._files.glob(place)]
        files = sorted(one for one in found if not one.endswith((".partial", ".shard.json")))
        if not files:
            raise InputError(self.name(place), "no object matches this pattern", _SPELLING)
        return files

    def measure(self, place: str) -> int | None:
        """Bytes of an object; None if there is none.

        Raises:
            InputError: the store does not say.
        """
        with self._named(place):
            try:
                info = self._files.info(place)
            except FileNotFoundError:
                return None
        return int(info["size"] or 0) if info["type"] == "file" else None

    def is_folder(self, place: str) -> bool:
        """Whether other objects lie below a place, and none at it.

        Raises:
            InputError: the store does not say.
        """
        with self._named(place):
            try:
                return bool(self._files.info(place)["type"] == "directory")
            except FileNotFoundError:
                return False

    def read_head(self, place: str) -> bytes:
        """The first `HEAD` bytes of an object that is not empty."""
        with self._named(place):
            return bytes(self._files.cat_file(place, start=0, end=HEAD))

    def fetch(self, place: str, file: Path) -> None:
        """Copy an object to a file.

        Raises:
            InputError: it cannot be read, or the disk is full.
        """
        with self._named(place):
            self._files.get_file(place, str(file))

    def store(self, file: Path, place: str) -> None:
        """Copy a file to an object, which is replaced whole or not at all.

        Raises:
            UsageError: it cannot be written.
        """
        with self._writing(place):
            self._files.put_file(str(file), place)

    def clear(self, place: str) -> None:
        """Write an object that is empty."""
        with self._writing(place):
            self._files.pipe_file(place, b"")

    def remove(self, place: str) -> None:
        """Remove an object."""
        with self._writing(place):
            self._files.rm_file(place)

    def name(self, place: str) -> str:
        """The address of a place."""
        return f"{self.scheme}://{place}"

    def _find(self, place: str) -> dict[str, int]:
        bare = place.rstrip("/")
        try:
            info = self._files.info(bare)
        except FileNotFoundError:
            return self._match(bare)
        return self._expand(bare, info, as_folder=place.endswith("/"))

    def _expand(
        self, place: str, info: Mapping[str, Any], *, as_folder: bool = False
    ) -> dict[str, int]:
        """All objects of a folder; or one object, and what it is read with."""
        if as_folder or info["type"] == "directory":
            return _sizes(self._files.find(place, detail=True))
        return _sizes({place: info}) | self._list_beside(place)

    def _match(self, place: str) -> dict[str, int]:
        """Objects of a pattern, or the archive that a member lies in."""
        if _PATTERN.search(place):
            found: dict[str, int] = {}
            for match, info in self._files.glob(place, detail=True).items():
                found |= self._expand(match, info)
            return found
        holders = [place.rsplit("/", steps)[0] for steps in range(1, place.count("/"))]
        for holder in holders:
            size = self.measure(holder)
            if size is not None:
                return {holder: size}
        raise FileNotFoundError(place)

    def _list_beside(self, place: str) -> dict[str, int]:
        """What an object is read with: the disc of a DICOMDIR, the other half of a pair."""
        folder, _, name = place.rpartition("/")
        if name.upper() == "DICOMDIR":
            return _sizes(self._files.find(folder, detail=True))
        ending = next((end for end in _TOGETHER if name.lower().endswith(end)), "")
        if not ending:
            return {}
        stem = place[: -len(ending)]
        beside = {info["name"]: info for info in self._files.ls(folder, detail=True)}
        return {one: size for one, size in _sizes(beside).items() if one.startswith(f"{stem}.")}

    @contextmanager
    def _named(self, place: str) -> Iterator[None]:
        """Say of what a library complains, and what to do.

        Raises:
            InputError: an object or folder is not there, or denied, or no possible one.
            StoreError: anything else, such as credentials that have expired.
        """
        try:
            yield
        except (InputError, KeyboardInterrupt):
            raise
        except Exception as error:  # stores and their libraries raise what they like
            kind = InputError if _is_of_one_place(error) else StoreError
            raise kind(self.name(place), *self._explain(error)) from error

    @contextmanager
    def _writing(self, place: str) -> Iterator[None]:
        try:
            with self._named(place):
                yield
        except InputError as error:
            raise UsageError(
                f"{error.path}: cannot be written ({error.reason}); {error.advice}"
            ) from error

    def _explain(self, error: Exception) -> tuple[str, str]:
        """Cause and next step."""
        rights, network = _RIGHTS[self.scheme], _NETWORK[self.scheme]
        kinds, answer = _list_kinds(error), _find_answer(error)
        denied = isinstance(error, PermissionError) or getattr(error, "code", 0) in (401, 403)
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        unknown = bool(kinds & {"NoCredentialsError", "DefaultCredentialsError"})
        known = (
            (full, "the disk is full", "make room, or let TMPDIR name a folder on a larger disk"),
            ("FileNotFoundError" in kinds, "there is no such bucket, folder or object", _SPELLING),
            ("ParamValidationError" in kinds, "no bucket or object can have this name", _SPELLING),
            (str(error).startswith("Invalid endpoint"), "the endpoint is no address", network),
            (unknown, "no credentials were found", rights),
            (answer in _CREDENTIALS, f"the credentials are not accepted ({answer})", rights),
            (denied, "access is denied", rights),
            (_is_unreached(kinds), "the store cannot be reached", network),
        )
        said = hide_secrets(str(error).partition("\n")[0])[:200]
        other = (True, f"the store answers {type(error).__name__}: {said}", rights)
        return next((reason, advice) for fits, reason, advice in (*known, other) if fits)


def _list_kinds(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _is_unreached(kinds: set[str]) -> bool:
    plain = bool(kinds & {"ConnectionError", "TimeoutError"})
    return plain or any(
        kind.startswith(_UNREACHED) or kind.endswith("ConnectionError") for kind in kinds
    )


def _find_answer(error: Exception) -> str:
    """The code with which S3 answers, as s3fs hands it on; empty if there is none."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _is_of_one_place(error: Exception) -> bool:
    """Whether other objects may still be read."""
    if _find_answer(error) in _CREDENTIALS:
        return False
    told = isinstance(error, (FileNotFoundError, PermissionError))
    return told or "ParamValidationError" in _list_kinds(error)


def _sizes(found: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Objects and their bytes, without folders and what some programs write in their place."""
    return {
        place: int(info["size"] or 0)
        for place, info in found.items()
        if info["type"] == "file" and not (place.endswith("/") and not info["size"])
    }
