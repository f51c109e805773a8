"""C-STORE, PS3.4, annex B: a node that receives studies, and one that answers are sent to."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from tumorlens.errors import UsageError
from tumorlens.imaging.files.refusal import silence
from tumorlens.integration.pacs.boxes import Refused, Unreachable
from tumorlens.integration.pacs.image_headers import (
    SeriesFilter,
    make_arrival,
    read_image_header,
)
from tumorlens.integration.pacs.node import Node
from tumorlens.integration.pacs.spool import Spool, name_image, save_whole
from tumorlens.integration.pacs.study_queue import QueuedStudy, StudyQueue
from tumorlens.optional import load
from tumorlens.progress import Notice, stay_silent

__all__ = ["StoreListener", "StoreOutbox"]

_WHY = "sending and receiving by C-STORE"
_SUCCESS, _NO_ROOM, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000  # PS3.4, table B.2-1
_WARNINGS = range(0xB000, 0xC000)
_TIMEOUT = 30.0  # seconds


def _load_network() -> Any:
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # the watch says it in its words
    return load("pynetdicom", _WHY)


@dataclass(slots=True)
class StoreListener:
    """Studies that are sent to a port of this machine.

    An image is acknowledged when it is on the disk. A study is complete when no image has come for
    a while.

    Attributes:
        spool: where images are kept.
        wanted: the filters.
        pause: seconds without an image.
        host, port: where it listens; port 0 is any free one.
        title: our application entity title.
        notice: takes sentences for a person.
        keeps_images: yes: who sent them may have forgotten them.

    Raises:
        UsageError: the port cannot be had.
    """

    spool: Spool
    wanted: SeriesFilter
    pause: float = 10.0
    host: str = "127.0.0.1"
    port: int = 0
    title: str = "TUMORLENS"
    notice: Notice = stay_silent
    keeps_images: bool = True
    _server: Any = field(init=False, repr=False)
    _lock: Any = field(init=False, repr=False, default_factory=Lock)
    _news: dict[str, float] = field(init=False, repr=False, default_factory=dict)
    """Folder of a study -> when its last image came, by a clock that nobody sets."""

    def __post_init__(self) -> None:
        for left in self.spool.incoming.glob(".*"):  # by a watch that was killed
            shutil.rmtree(left, ignore_errors=True)
            left.unlink(missing_ok=True)
        network = _load_network()
        every = load("pynetdicom._globals", _WHY).ALL_TRANSFER_SYNTAXES
        entity = network.AE(ae_title=self.title)
        for context in network.AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, every)
        entity.add_supported_context("1.2.840.10008.1.1")  # Verification: C-ECHO
        handlers = [(network.evt.EVT_C_STORE, self._take)]
        try:
            self._server = entity.start_server(
                (self.host, self.port), block=False, evt_handlers=handlers
            )
        except OSError as error:
            raise UsageError(
                f"port {self.port} of {self.host} cannot be had ({error.strerror}); end the "
                "program that has it, or name another with `listen=`"
            ) from error
        self.port = self._server.server_address[1]
        self.notice(f"{self.title} listens on port {self.port} of {self.host}")

    def look(self, queue: StudyQueue) -> bool:
        """See `boxes.Inbox`."""
        arriving = False
        for place in sorted(self.spool.incoming.iterdir()):
            if place.name.startswith("."):
                continue
            # What an earlier watch left has come when this one saw it first.
            if time.monotonic() - self._news.setdefault(place.name, time.monotonic()) < self.pause:
                arriving = True
            else:
                self._complete(place, queue)
        return arriving

    def fetch(self, study: QueuedStudy, folder: Path) -> bool:
        """See `boxes.Inbox`. The images lie in the spool already."""
        return False

    def close(self) -> None:
        """See `boxes.Inbox`."""
        self._server.shutdown()

    def _take(self, event: Any) -> int:
        """Keep an image; gives the status that the sender sees."""
        arrived = self.spool.incoming / f".{uuid4().hex}"
        try:
            save_whole(arrived, event.encoded_dataset())
            header = read_image_header(arrived)
            if header is None:
                return _NOT_UNDERSTOOD
            if not header.is_own:
                self._keep(arrived, header.study, header.instance)
        except OSError:
            return _NO_ROOM
        finally:
            arrived.unlink(missing_ok=True)
        return _SUCCESS

    def _keep(self, arrived: Path, study: str, instance: str) -> None:
        place = self.spool.incoming / sha256(study.encode()).hexdigest()[:24]
        with self._lock:
            place.mkdir(exist_ok=True, mode=0o700)
            arrived.rename(place / name_image(instance))
            self._news[place.name] = time.monotonic()

    def _complete(self, place: Path, queue: StudyQueue) -> None:
        """Move a study into the queue. If that breaks off, its images still are in one place."""
        with self._lock:
            headers = {path: read_image_header(path) for path in sorted(place.iterdir())}
            images = {
                header.instance: path
                for path, header in headers.items()
                if header is not None and self.wanted.passes(header)
            }
            study = next((one.study for one in headers.values() if one is not None), "")
            if study:
                arrival = make_arrival(study, images)
                target = self.spool.folder / "studies" / arrival.key / "images"
                known = queue.find(arrival.key)
                failed = known is not None and known.state == "failed"
                if failed or (arrival.images and known is None and not target.exists()):
                    with self.spool.fill(target) as folder:
                        for path in images.values():
                            shutil.copyfile(path, folder / path.name)
                queue.receive(arrival, time.time())
                if known is not None and failed:  # whoever sends it again wants an answer
                    queue.end(known, "received", time.time())
            done = place.rename(place.with_name(f".done-{uuid4().hex}"))
            del self._news[place.name]
        shutil.rmtree(done, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class StoreOutbox:
    """Answers to a DICOM node, by C-STORE.

    Attributes:
        node: that gets them.
        title: our application entity title.
    """

    node: Node
    title: str = "TUMORLENS"

    @property
    def name(self) -> str:
        """For the log."""
        return f"{self.node.title} at {self.node.host}:{self.node.port}"

    def deliver(self, study: str, files: Mapping[str, Path]) -> Iterator[str]:
        """See `boxes.Outbox`. A node that has an object already has it once afterwards, too."""
        if not files:
            return
        link = self._associate(files)
        try:
            for instance, path in files.items():
                with silence():
                    answer = link.send_c_store(path)
                self._check(answer.get("Status"))
                yield instance
        except (RuntimeError, AttributeError) as error:  # the association has ended
            raise Unreachable(f"{self.name} broke the association off") from error
        finally:
            link.release()

    def _associate(self, files: Mapping[str, Path]) -> Any:
        from pydicom import dcmread

        entity = _load_network().AE(ae_title=self.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT
        entity.connection_timeout = _TIMEOUT
        for path in files.values():
            with silence():
                meta = dcmread(path, stop_before_pixels=True).file_meta
            entity.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
        link = entity.associate(self.node.host, self.node.port, ae_title=self.node.title)
        if not link.is_established:
            rejected = " (it rejects our title)" if link.is_rejected else ""
            raise Unreachable(f"{self.name} takes no association{rejected}")
        return link

    def _check(self, status: int | None) -> None:
        if status is None:
            raise Unreachable(f"{self.name} broke the association off")
        if status in range(0xA700, 0xA800):
            raise Unreachable(f"{self.name} has no room (status 0x{status:04x})")
        if status != _SUCCESS and status not in _WARNINGS:
            raise Refused(f"{self.name} refused an object (status 0x{status:04x})")
