"""``tumorlens watch`` with a real Orthanc: polled, or as a sender and a receiver of C-STORE."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import pytest
from pydicom import dcmread

import tumorlens
from orthancs import DICOM_PORT, explain_absence, own_network, start_orthanc
from study_tables import write_study_model
from tumorlens.errors import UsageError
from tumorlens.integration.dicom.object_options import OBJECTS
from tumorlens.integration.pacs.watch_plan import WatchPlan, open_watch
from watches import NAME, lay_study

pytest.importorskip("highdicom")
pytest.importorskip("dicomweb_client")
pynetdicom = pytest.importorskip("pynetdicom")

ABSENCE = explain_absence()
pytestmark = pytest.mark.skipif(bool(ABSENCE), reason=ABSENCE or "-")
NODE = f"ORTHANC@127.0.0.1:{DICOM_PORT}"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with own_network(), start_orthanc(tmp_path_factory.mktemp("orthanc")) as orthanc:
        yield orthanc


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return tumorlens.Detector(write_study_model(tmp_path_factory.mktemp("model")), threads=1)


@pytest.fixture
def log():
    return []


@pytest.fixture(scope="module")
def plan(tmp_path_factory, orthanc):
    queue = tmp_path_factory.mktemp("queue")
    return {
        "queue": queue, "orthanc": orthanc.url, "every": 0.2, "pause": 0.5, "objects": ("sr",),
    }  # fmt: skip


def run_once(plan, detector, log):
    with open_watch(WatchPlan(**plan), detector, log=log.append, notice=log.append) as watch:
        return watch.run(once=True)


def store(files, port=DICOM_PORT, title="ORTHANC"):
    """Send files by C-STORE; gives the statuses."""
    entity = pynetdicom.AE(ae_title="SCANNER")
    for uid in sorted({dcmread(path, specific_tags=["SOPClassUID"]).SOPClassUID for path in files}):
        entity.add_requested_context(uid)
    link = entity.associate("127.0.0.1", port, ae_title=title)
    assert link.is_established
    statuses = [link.send_c_store(path).Status for path in files]
    link.release()
    return statuses


def test_a_study_that_reaches_orthanc_is_answered_there_once(
    orthanc, detector, plan, tmp_path, log
):
    files = lay_study(tmp_path / "scan", 11)
    study = "1.2.826.0.1.99.11"
    assert store(files) == [0] * 5
    plan = {**plan, "objects": OBJECTS}
    assert run_once(plan, detector, log)
    there = orthanc.list_instances(study)
    assert sorted({kind for kind, _ in there}) == ["MR", "OT", "SEG", "SR"]
    assert len(there) == 5 + 3
    time.sleep(1.2)  # the answers make the study rest once more
    assert run_once(plan, detector, log)
    assert run_once(
        {**plan, "queue": tmp_path / "another"}, detector, log
    )  # all is lost but Orthanc
    assert orthanc.list_instances(study) == there
    sent = [line for line in log if " sent: " in line]
    assert len(sent) == 2
    assert NAME not in " ".join(log)


def test_a_study_that_grows_is_judged_again(orthanc, detector, plan, tmp_path, log):
    store(lay_study(tmp_path / "scan", 12))
    run_once(plan, detector, log)
    store(lay_study(tmp_path / "more", 12, SeriesInstanceUID="1.2.826.0.1.99.12.5"))
    run_once(plan, detector, log)
    kinds = [kind for kind, _ in orthanc.list_instances("1.2.826.0.1.99.12")]
    assert (kinds.count("MR"), kinds.count("SR")) == (10, 2)


def test_other_modalities_are_left_out(orthanc, detector, plan, tmp_path, log):
    store(lay_study(tmp_path / "scan", 13, Modality="CT"))
    assert run_once(plan, detector, log)
    assert len(orthanc.list_instances("1.2.826.0.1.99.13")) == 5


def test_a_pacs_that_is_down_is_waited_for(orthanc, detector, plan, tmp_path, log):
    store(lay_study(tmp_path / "scan", 14))
    time.sleep(1.2)
    orthanc.stop()
    try:
        assert not run_once(plan, detector, log)
    finally:
        orthanc.start()
    told = "http://127.0.0.1:8042 is not reached; nothing is lost, start the watch again later"
    assert told in log
    assert run_once(plan, detector, log)
    assert len(orthanc.list_instances("1.2.826.0.1.99.14")) == 5 + 1


@contextmanager
def listen(plan, queue, detector, log):
    """A watch that listens, in a thread; gives its port."""
    options = {**plan, "queue": queue, "orthanc": None, "listen": 0, "send_to": NODE}
    with open_watch(WatchPlan(**options), detector, log=log.append, notice=log.append) as watch:
        thread = threading.Thread(target=watch.run)
        thread.start()
        try:
            yield watch.inbox.port
        finally:
            watch.stop.set()
            thread.join()


def wait_for(log, words, seconds=60):
    end = time.monotonic() + seconds
    while not any(words in line for line in log):
        assert time.monotonic() < end, log
        time.sleep(0.05)


def test_what_is_sent_to_a_port_is_answered_by_c_store(orthanc, detector, plan, tmp_path, log):
    files = lay_study(tmp_path / "scan", 15)
    store(files)  # in Orthanc, too, so that the answers find their study there
    with listen(plan, tmp_path / "queue", detector, log) as port:
        assert store(files, port, "TUMORLENS") == [0] * 5
        wait_for(log, " sent: ")
        answers = orthanc.list_instances("1.2.826.0.1.99.15")
        assert len(answers) == 5 + 1
        store(files, port, "TUMORLENS")  # once more: it is known
        own = [path for path in (orthanc.folder / "storage").rglob("*") if path.is_file()]
        own = [path for path in own if b"tumorlens" in path.read_bytes()[:4000]]
        assert set(store(own, port, "TUMORLENS")) == {0}  # and its own answers
        time.sleep(1.5)
    assert len([line for line in log if line.startswith("study")]) == 1
    assert orthanc.list_instances("1.2.826.0.1.99.15") == answers
    assert list((tmp_path / "queue/incoming").iterdir()) == []


def test_a_node_that_is_down_gets_its_answer_later(orthanc, detector, plan, tmp_path, log):
    with listen(plan, tmp_path / "queue", detector, log) as port:
        orthanc.stop()
        try:
            store(lay_study(tmp_path / "scan", 16), port, "TUMORLENS")
            wait_for(log, "takes no association")
        finally:
            orthanc.start()
        wait_for(log, " sent: ")
    assert len(orthanc.list_instances("1.2.826.0.1.99.16")) == 1


def test_a_port_that_is_taken_is_told(plan, detector):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = {
            **plan, "orthanc": None, "listen": taken.getsockname()[1], "send_to": NODE,
        }  # fmt: skip
        with (
            pytest.raises(UsageError, match="cannot be had"),
            open_watch(WatchPlan(**options), detector),
        ):
            pass
