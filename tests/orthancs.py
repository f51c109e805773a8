"""A real Orthanc for tests, with DICOMweb, in a network of its own.

Orthanc 1.10 listens on all interfaces, whatever its settings say. So it runs in a network namespace
that has nothing but a loopback: the calling thread moves into it, and back at the end. Threads and
processes that are started in between are in it, too.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Orthanc", "explain_absence", "own_network", "start_orthanc"]

PROGRAM = shutil.which("Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
HTTP_PORT, DICOM_PORT = 8042, 4242
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_SET_FLAGS, _UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP


def explain_absence() -> str:
    """Why there is no Orthanc here; empty if there is one."""
    if PROGRAM is None or not DICOMWEB.exists():
        return "Orthanc is not installed: apt-get install orthanc orthanc-dicomweb"
    try:
        with own_network():
            return ""
    except OSError as error:
        return f"no network namespace can be made here ({error.strerror})"


@contextmanager
def own_network() -> Iterator[None]:
    """Be in a network of one's own, with a loopback, for the length of a block."""
    system = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        if system.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
                fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))
            yield
        finally:
            system.setns(before.fileno(), _NEW_NETWORK)


class Orthanc:
    """A running Orthanc."""

    url = f"http://127.0.0.1:{HTTP_PORT}"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert PROGRAM is not None
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, str(self.folder / "orthanc.json")], stdout=log, stderr=log
            )
        end = time.monotonic() + 30
        while True:
            try:
                self.read("/system")
                return
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """End it. What it has stored stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def read(self, path: str, data: str | None = None) -> object:
        """What its REST interface says."""
        body = None if data is None else data.encode()
        with urllib.request.urlopen(f"{self.url}{path}", body, timeout=20) as answer:
            return json.load(answer)

    def list_instances(self, study: str) -> list[tuple[str, str]]:
        """Modality and SOP Instance UID of what it has of a study."""
        found = self.read("/tools/lookup", study)
        name = next(one["ID"] for one in found if one["Type"] == "Study")  # type: ignore[attr-defined]
        listed = []
        for series in self.read(f"/studies/{name}/series"):  # type: ignore[attr-defined]
            for one in self.read(f"/series/{series['ID']}/instances"):  # type: ignore[attr-defined]
                tags = series["MainDicomTags"], one["MainDicomTags"]
                listed.append((tags[0]["Modality"], tags[1]["SOPInstanceUID"]))
        return sorted(listed)


@contextmanager
def start_orthanc(folder: Path, **settings: object) -> Iterator[Orthanc]:
    """Run an Orthanc whose files lie in a folder; a study comes to rest after a second."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": HTTP_PORT,
        "DicomPort": DICOM_PORT,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "StableAge": 1,
        "Plugins": [str(DICOMWEB)],
        "DicomWeb": {"Enable": True},
        **settings,
    }
    (folder / "orthanc.json").write_text(json.dumps(told), encoding="utf-8")
    orthanc = Orthanc(folder)
    try:
        orthanc.start()
        yield orthanc
    finally:
        orthanc.stop()
