"""What a watch is asked for, checked as a whole, and the parts that do it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tumorlens.errors import UsageError
from tumorlens.integration.dicom.object_options import OBJECTS, DicomOptions, ObjectKind
from tumorlens.integration.pacs.boxes import Inbox, Outbox
from tumorlens.integration.pacs.image_headers import SeriesFilter
from tumorlens.integration.pacs.node import Node, hide_password
from tumorlens.integration.pacs.spool import Spool
from tumorlens.integration.pacs.study_queue import StudyQueue
from tumorlens.integration.pacs.watching import Watch
from tumorlens.optional import load
from tumorlens.progress import Notice, stay_silent
from tumorlens.writing import check_writable

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = ["WatchPlan", "open_watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPlan:
    """What a watch is asked for; the parameters are the options of ``tumorlens watch``.

    Raises:
        UsageError: no source or several, no place for the answers, or options that contradict
            each other.
    """

    folder: tuple[Path, Path] | None = None
    orthanc: str | None = None
    listen: int | None = None
    send_to: str | None = None
    host: str = "127.0.0.1"
    aet: str = "TUMORLENS"
    wanted: SeriesFilter = field(default_factory=SeriesFilter)
    objects: tuple[ObjectKind, ...] = OBJECTS
    uid_root: str | None = None
    queue: Path | None = None
    pause: float = 10.0
    every: float = 5.0
    metrics: Path | None = None

    def __post_init__(self) -> None:
        DicomOptions(
            folder=Path(), objects=self.objects, uid_root=self.uid_root, overwrite=True
        )  # which refuses unknown kinds and roots
        sources = [self.folder, self.orthanc, self.listen]
        if sum(one is not None for one in sources) != 1:
            raise UsageError("name one source: `folder=IN OUT`, `orthanc=URL` or `listen=PORT`")
        if self.folder is not None and self.send_to is not None:
            raise UsageError("`send_to=` serves `orthanc=` and `listen=`; a folder has its OUT")
        if self.listen is not None and self.send_to is None:
            raise UsageError("`listen=` needs `send_to=AET@HOST:PORT`: where do the answers go?")
        if not 0 < len(self.aet.strip()) <= 16:
            raise UsageError(f"`aet=` has 1 to 16 characters, got {self.aet!r}")
        if self.orthanc is not None and urlsplit(self.orthanc).scheme not in ("http", "https"):
            raise UsageError("`orthanc=` is a URL, e.g. http://127.0.0.1:8042")
        if self.send_to is not None:
            Node.parse(self.send_to)
        if self.metrics is not None:
            check_writable(self.metrics, overwrite=True)

    @property
    def source(self) -> str:
        """The source in words, without a password."""
        if self.folder is not None:
            return str(self.folder[0])
        if self.orthanc is not None:
            return hide_password(self.orthanc)
        return f"port {self.listen} of {self.host}"

    @property
    def queue_folder(self) -> Path:
        """Where the queue is: the same place for the same source and the same answers."""
        if self.queue is not None:
            return self.queue
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        folders = "" if self.folder is None else " ".join(map(os.path.realpath, self.folder))
        named = f"{folders} {self.source if self.folder is None else ''} {self.send_to}"
        return Path(state, "tumorlens", f"watch-{sha256(named.encode()).hexdigest()[:12]}")

    def check_libraries(self) -> None:
        """Refuse early what an extra is missing for.

        Raises:
            MissingExtra: it names the extra.
        """
        from tumorlens.integration.dicom.object_folder import check_library

        check_library()
        if self.orthanc is not None:
            load("dicomweb_client", "a watch over Orthanc")
        if self.listen is not None or self.send_to is not None:
            load("pynetdicom", "sending and receiving by C-STORE")


@contextmanager
def open_watch(
    plan: WatchPlan,
    detector: Detector,
    *,
    stop: Event | None = None,
    log: Notice = stay_silent,
    notice: Notice = stay_silent,
) -> Iterator[Watch]:
    """Give a watch that is ready to run; at the end of the block its ports and files are closed.

    Args:
        plan: what is asked for.
        detector: the model.
        stop: set it to end the watch after the study at hand.
        log: takes a line a study.
        notice: takes sentences for a person.

    Raises:
        UsageError: another watch has the queue, or a folder or a port cannot be used.
    """
    from tumorlens.integration.pacs.answering import Answerer

    answerer = Answerer(detector, plan.objects, plan.uid_root)
    outbox = _open_outbox(plan)
    spool = Spool(plan.queue_folder)
    with (
        closing(StudyQueue(spool.database)) as queue,
        closing(_open_inbox(plan, spool, notice)) as inbox,
    ):
        yield Watch(
            inbox, outbox, answerer, spool, queue, every=plan.every, log=log, notice=notice,
            metrics=plan.metrics, stop=stop or Event(),
        )  # fmt: skip


def _open_inbox(plan: WatchPlan, spool: Spool, notice: Notice) -> Inbox:
    if plan.folder is not None:
        from tumorlens.integration.pacs.folder_boxes import FolderInbox

        return FolderInbox(plan.folder[0], plan.wanted, plan.pause, notice)
    if plan.orthanc is not None:
        from tumorlens.integration.pacs.orthanc_boxes import Orthanc, OrthancInbox

        return OrthancInbox(Orthanc(plan.orthanc), plan.wanted)
    from tumorlens.integration.pacs.store_nodes import StoreListener

    return StoreListener(
        spool, plan.wanted, plan.pause, plan.host, plan.listen or 0, plan.aet, notice
    )


def _open_outbox(plan: WatchPlan) -> Outbox:
    if plan.folder is not None:
        from tumorlens.integration.pacs.folder_boxes import FolderOutbox

        return FolderOutbox(plan.folder[1])
    if plan.send_to is not None:
        from tumorlens.integration.pacs.store_nodes import StoreOutbox

        return StoreOutbox(Node.parse(plan.send_to), plan.aet)
    from tumorlens.integration.pacs.orthanc_boxes import Orthanc, OrthancOutbox

    return OrthancOutbox(Orthanc(plan.orthanc or ""))
