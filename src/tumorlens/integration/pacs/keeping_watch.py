"""From options to a watch that runs: `watch`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from tumorlens.arguments import IN_OUT, check_arguments
from tumorlens.detector import Detector, open_detector
from tumorlens.integration.dicom.object_options import OBJECTS, ObjectKind
from tumorlens.integration.pacs.image_headers import SeriesFilter
from tumorlens.integration.pacs.watch_plan import WatchPlan, open_watch
from tumorlens.progress import Notice, stay_silent

__all__ = ["keep_watch", "watch"]

Path_ = str | os.PathLike[str]


@check_arguments(folder=IN_OUT)
def watch(
    *,
    folder: tuple[Path_, Path_] | None = None,
    orthanc: str | None = None,
    listen: int | None = None,
    send_to: str | None = None,
    host: str = "127.0.0.1",
    aet: str = "TUMORLENS",
    modalities: Sequence[str] = ("MR",),
    descriptions: Sequence[str] = (),
    body_parts: Sequence[str] = (),
    objects: Sequence[ObjectKind] = OBJECTS,
    uid_root: str | None = None,
    queue: Path_ | None = None,
    pause: float = 10.0,
    every: float = 5.0,
    once: bool = False,
    retry_failed: bool = False,
    metrics: Path_ | None = None,
    model: Path_ | Detector = "default",
    operating_point: str | None = None,
    log: Notice = stay_silent,
    notice: Notice | None = None,
) -> bool:
    """Judge studies as they come, and send the answers as DICOM objects. For research only.

    It does what ``tumorlens watch`` does: it runs until it is interrupted (Ctrl-C, which raises
    `KeyboardInterrupt`) or told to end (SIGTERM, after the study at hand). What is on its way is
    kept on the disk, and the next watch on the same queue takes it up.

    Args:
        folder: (IN, OUT): studies that are laid into IN; their answers are written into OUT.
        orthanc: URL of an Orthanc that has the studies, with user and password if it asks for them.
        listen: port that studies are sent to by C-STORE; 0: any that is free.
        send_to: ``AET@HOST:PORT`` of the DICOM node that gets the answers; with ``orthanc`` they
            go back there if no node is named.
        host: the address to listen at; by default only this machine can send.
        aet: our application entity title.
        modalities: of series that are judged; empty for any.
        descriptions: patterns such as ``*head*``; the description of study or series or the
            protocol fits one of them. Empty for any.
        body_parts: Body Part Examined of series that are judged; empty for any.
        objects: some of ``"sr"``, ``"seg"`` and ``"sc"``.
        uid_root: new UIDs begin with it.
        queue: folder of the queue; by default one for each source, in the user's state folder.
        pause: seconds without a new file after which a study of a folder or a port is complete.
        every: seconds between two looks for new studies.
        once: return when nothing is left to do.
        retry_failed: give studies that failed another chance.
        metrics: file for numbers in Prometheus's text format.
        model: name of the registry, an ``.onnx`` file, or a `Detector`.
        operating_point: name of one of the model's operating points, by default ``balanced``.
        log: takes a line a study, which names no patient.
        notice: takes sentences for a person.

    Returns:
        Whether nothing went wrong: no study of this run failed or waits for another try.

    Raises:
        UsageError: no source or several, options that contradict each other, another watch has the
            queue, or a folder or a port cannot be used.
        ModelFileError: the model is unknown, or its file breaks the contract.
        MissingExtra: the libraries of the extra ``pacs`` (for folders ``dicom``) are not installed.
    """
    plan = WatchPlan(
        folder=None if folder is None else (Path(folder[0]), Path(folder[1])),
        orthanc=orthanc, listen=listen, send_to=send_to, host=host, aet=aet,
        wanted=SeriesFilter(tuple(modalities), tuple(descriptions), tuple(body_parts)),
        objects=tuple(objects), uid_root=uid_root, queue=None if queue is None else Path(queue),
        pause=pause, every=every, metrics=None if metrics is None else Path(metrics),
    )  # fmt: skip
    plan.check_libraries()
    detector = open_detector(model, operating_point=operating_point)
    say = notice or stay_silent
    return keep_watch(plan, detector, once=once, retry_failed=retry_failed, log=log, notice=say)


def keep_watch(
    plan: WatchPlan,
    detector: Detector,
    *,
    once: bool = False,
    retry_failed: bool = False,
    log: Notice = stay_silent,
    notice: Notice = stay_silent,
) -> bool:
    """Run a watch; the parameters are those of `watch`."""
    with _stop_on_terminate() as stop, open_watch(
        plan, detector, stop=stop, log=log, notice=notice
    ) as opened:  # fmt: skip
        notice(
            f"watching {plan.source}; answers go to {opened.outbox.name}; "
            f"the queue is {plan.queue_folder}"
        )
        if retry_failed:
            notice(f"studies that failed and get another chance: {opened.revive():,}")
        return opened.run(once=once)


@contextmanager
def _stop_on_terminate() -> Iterator[Event]:
    """An event that SIGTERM sets, as service managers send it: the study at hand is finished."""
    stop = Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: Any = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
