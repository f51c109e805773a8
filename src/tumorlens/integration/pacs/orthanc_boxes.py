"""A watch over Orthanc: its list of changes says what is complete, DICOMweb carries the images.

https://orthanc.uclouvain.be/book/users/rest.html#tracking-changes; PS3.18 for WADO-RS and STOW-RS.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tumorlens.imaging.files.refusal import silence
from tumorlens.integration.pacs.boxes import Refused, Unreachable
from tumorlens.integration.pacs.image_headers import (
    ImageHeader,
    SeriesFilter,
    is_uid,
    make_arrival,
)
from tumorlens.integration.pacs.node import hide_password
from tumorlens.integration.pacs.spool import name_image
from tumorlens.integration.pacs.study_queue import Arrival, QueuedStudy, StudyQueue
from tumorlens.optional import load

__all__ = ["Orthanc", "OrthancInbox", "OrthancOutbox"]

_TIMEOUT = 60.0  # seconds
_PAGE = 100  # changes a request
_MARK, _PENDING = "changes", "pending "
_AS_STORED = (("application/dicom", "*"),)  # in whatever transfer syntax it was stored
_STUDY_NEWS, _SERIES_NEWS = ("NewStudy", "StableStudy"), "NewSeries"
"""Changes that are looked at. What was new when Orthanc ended is never told as stable."""


@dataclass(slots=True)
class Orthanc:
    """An Orthanc server.

    Attributes:
        url: of its REST interface, with user and password if it asks for them.
    """

    url: str
    _session: Any = field(init=False, repr=False)
    _web: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._session = load(
            "dicomweb_client.session_utils", "a watch over Orthanc"
        ).create_session()
        if parts.username is not None:
            self._session.auth = unquote(parts.username), unquote(parts.password or "")
        self.url = hide_password(self.url).rstrip("/")
        client = load("dicomweb_client.web", "a watch over Orthanc").DICOMwebClient
        self._web = client(f"{self.url}/dicom-web", session=self._session, timeout=_TIMEOUT)
        self._web.set_http_retry_params(retry=False)  # the queue tries again

    def read(self, path: str, **parameters: object) -> Any:
        """What its REST interface says; None for what is not there (any more).

        Raises:
            Unreachable: it does not answer, or refuses.
        """
        with self.reach():
            answer = self._session.get(f"{self.url}{path}", params=parameters, timeout=_TIMEOUT)
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
            return answer.json()

    def look_up(self, uid: str) -> str | None:
        """Its own name of the study of this UID."""
        with self.reach():
            answer = self._session.post(f"{self.url}/tools/lookup", data=uid, timeout=_TIMEOUT)
            answer.raise_for_status()
            names = [one["ID"] for one in answer.json() if one["Type"] == "Study"]
        return str(names[0]) if names else None

    def fetch_series(self, study: str, series: str) -> Iterator[Any]:
        """Its objects, as pydicom data sets."""
        with self.reach("DICOMweb of "), silence():
            yield from self._web.iter_series(study, series, media_types=_AS_STORED)

    def has(self, study: str, instance: str) -> bool:
        """Whether it has an object."""
        with self.reach("DICOMweb of "):
            found = self._web.search_for_instances(
                study, search_filters={"SOPInstanceUID": instance}
            )
        return bool(found)

    def store(self, study: str, path: Path) -> None:
        """Store an object.

        Raises:
            Refused: it does not take it.
        """
        from pydicom import dcmread

        with silence():
            dataset = dcmread(path)
            with self.reach("DICOMweb of "):
                answer = self._web.store_instances([dataset], study_instance_uid=study)
        for failed in answer.get("FailedSOPSequence", ()):
            reason = int(failed.get("FailureReason", 0))
            raise Refused(f"{self.url} refused an object (reason 0x{reason:04x})")

    @contextmanager
    def reach(self, part: str = "") -> Iterator[None]:
        """Turn errors of the network into `Unreachable`. Their own words name the study."""
        try:
            yield
        except OSError as error:  # as which requests raises its own
            if error.errno is not None and getattr(error, "request", None) is None:
                raise  # of the disk
            status = getattr(getattr(error, "response", None), "status_code", None)
            raise Unreachable(f"{part}{self.url} {_explain(status, error)}") from error
        except ValueError as error:  # no JSON
            raise Unreachable(f"{part}{self.url} does not answer as an Orthanc does") from error


def _explain(status: int | None, error: OSError) -> str:
    if status in (401, 403):
        return f"refuses the user (HTTP {status}); give http://USER:PASSWORD@HOST:PORT"
    if status is not None:
        return f"answers with HTTP {status}"
    return "does not answer in time" if "Timeout" in type(error).__name__ else "is not reached"


@dataclass(slots=True)
class OrthancInbox:
    """Studies that have come to rest in Orthanc.

    Attributes:
        server: the Orthanc.
        wanted: the filters.
        keeps_images: no: they are in Orthanc.
    """

    server: Orthanc
    wanted: SeriesFilter
    keeps_images: bool = False

    def look(self, queue: StudyQueue) -> bool:
        """See `boxes.Inbox`."""
        self._follow(queue)
        for name in queue.list_marks(_PENDING):
            self._receive(queue, name)
        return bool(queue.list_marks(_PENDING))

    def _follow(self, queue: StudyQueue) -> None:
        """Note all studies that the list of changes names since the last look."""
        since, done = queue.read_mark(_MARK) or 0, False
        while not done:
            page = self.server.read("/changes", since=since, limit=_PAGE)
            if not isinstance(page, dict) or "Changes" not in page:
                raise Unreachable(f"{self.server.url} does not answer as an Orthanc does")
            for study in filter(None, map(self._name_study, page["Changes"])):
                queue.write_mark(f"{_PENDING}{study}", 1)
            last, done = int(page.get("Last", since)), bool(page.get("Done", True))
            if last < since:  # its database is a new one
                last, done = 0, False
            if last != since:
                queue.write_mark(_MARK, last)
            done = done or last == since
            since = last

    def _name_study(self, change: Mapping[str, Any]) -> str | None:
        """The study that a change is about, in Orthanc's own words; None if it is no news."""
        kind = change.get("ChangeType")
        if kind in _STUDY_NEWS:
            return str(change["ID"])
        if kind != _SERIES_NEWS:
            return None
        series = self.server.read(f"/series/{change['ID']}") or {}
        own = _make_header(series.get("MainDicomTags", {}), "").is_own
        return None if own else series.get("ParentStudy")

    def _receive(self, queue: StudyQueue, name: str) -> None:
        """Take a study into the queue, if it has come to rest."""
        study = self.server.read(f"/studies/{name.removeprefix(_PENDING)}")
        if study is None:
            queue.delete_mark(name)
        elif study.get("IsStable", True):
            uid = str(study.get("MainDicomTags", {}).get("StudyInstanceUID", ""))
            if is_uid(uid):
                queue.receive(self._describe(uid, study), time.time())
            queue.delete_mark(name)

    def _describe(self, uid: str, study: Mapping[str, Any]) -> Arrival:
        return make_arrival(uid, [one for _, many in self._list(study) for one in many])

    def _list(self, study: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
        """UID of each series that passes the filters, and those of its images."""
        about = study.get("MainDicomTags", {}).get("StudyDescription", "")
        for series in self.server.read(f"/studies/{study['ID']}/series") or ():
            tags = series.get("MainDicomTags", {})
            if self.wanted.passes(_make_header(tags, about)):
                images = self.server.read(f"/series/{series['ID']}/instances") or ()
                yield str(tags["SeriesInstanceUID"]), [_name(one) for one in images]

    def fetch(self, study: QueuedStudy, folder: Path) -> bool:
        """See `boxes.Inbox`."""
        name = self.server.look_up(study.study)
        found = None if name is None else self.server.read(f"/studies/{name}")
        if found is None:
            return False
        series = dict(self._list(found))
        wanted = {one for many in series.values() for one in many}
        if make_arrival(study.study, wanted).content != study.content:
            return False
        there = set[str]()
        for uid in series:
            there |= self._save(self.server.fetch_series(study.study, uid), folder)
        if wanted - there:
            missing = len(wanted - there)
            raise Refused(f"{self.server.url} gives {missing} of {len(wanted)} images not")
        return True

    def _save(self, datasets: Iterator[Any], folder: Path) -> set[str]:
        saved = set[str]()
        with silence():
            for dataset in datasets:
                instance = str(dataset.SOPInstanceUID)
                dataset.save_as(folder / name_image(instance))
                saved.add(instance)
        return saved

    def close(self) -> None:
        """See `boxes.Inbox`."""


def _make_header(tags: Mapping[str, Any], about: str) -> ImageHeader:
    described = (about, tags.get("SeriesDescription", ""), tags.get("ProtocolName", ""))
    return ImageHeader(
        "", str(tags.get("SeriesInstanceUID", "")), "", str(tags.get("Modality", "")),
        str(tags.get("BodyPartExamined", "")), tuple(filter(None, described)),
        str(tags.get("Manufacturer", "")),
    )  # fmt: skip


def _name(instance: Mapping[str, Any]) -> str:
    return str(instance["MainDicomTags"]["SOPInstanceUID"])


@dataclass(frozen=True, slots=True)
class OrthancOutbox:
    """Answers into Orthanc, by STOW-RS.

    Attributes:
        server: the Orthanc.
    """

    server: Orthanc

    @property
    def name(self) -> str:
        """For the log."""
        return self.server.url

    def deliver(self, study: str, files: Mapping[str, Path]) -> Iterator[str]:
        """See `boxes.Outbox`."""
        for instance, path in files.items():
            if not self.server.has(study, instance):
                self.server.store(study, path)
            yield instance
