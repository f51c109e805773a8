"""``tumorlens watch --listen``: what is received by C-STORE, and a node that gets the answers."""

from __future__ import annotations

import os
import time
from contextlib import closing, contextmanager

import pytest
from pydicom import dcmread

import tumorlens
from limits_of_disk import small_files
from study_tables import write_study_model
from tumorlens.integration.pacs.image_headers import SeriesFilter
from tumorlens.integration.pacs.keeping_watch import keep_watch
from tumorlens.integration.pacs.spool import Spool
from tumorlens.integration.pacs.store_nodes import StoreListener
from tumorlens.integration.pacs.study_queue import StudyQueue
from tumorlens.integration.pacs.watch_plan import WatchPlan
from watches import lay_study

pytest.importorskip("highdicom")
pynetdicom = pytest.importorskip("pynetdicom")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return tumorlens.Detector(write_study_model(tmp_path_factory.mktemp("model")), threads=1)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "queue")


@contextmanager
def receive(spool, pause=60.0):
    """A listener with its queue, as a watch opens them."""
    with (
        closing(StudyQueue(spool.database)) as queue,
        closing(StoreListener(spool, SeriesFilter(), pause)) as listener,
    ):
        yield listener, queue


@pytest.fixture
def node():
    """A node that takes everything; gives its address and the UIDs of what it got."""
    got = []

    def take(event):
        got.append(event.request.AffectedSOPInstanceUID)
        return 0

    entity = pynetdicom.AE(ae_title="NODE")
    entity.supported_contexts = pynetdicom.AllStoragePresentationContexts
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(pynetdicom.evt.EVT_C_STORE, take)]
    )
    yield f"NODE@127.0.0.1:{server.server_address[1]}", got
    server.shutdown()


def store(files, port):
    entity = pynetdicom.AE(ae_title="SCANNER")
    entity.add_requested_context(dcmread(files[0]).SOPClassUID)
    link = entity.associate("127.0.0.1", port, ae_title="TUMORLENS")
    statuses = {link.send_c_store(path).Status for path in files}
    link.release()
    assert statuses == {0}


def test_a_clock_that_is_set_back_cuts_no_study_in_two(spool, tmp_path):
    with receive(spool) as (listener, queue):
        store(lay_study(tmp_path / "scan"), listener.port)
        for place in spool.incoming.iterdir():  # their times lie in the future then
            os.utime(place, (time.time() + 3600,) * 2)
        assert listener.look(queue)
        assert queue.take_next(time.time()) is None


def test_what_an_earlier_watch_received_is_complete_after_the_pause(spool, tmp_path):
    with receive(spool) as (listener, _):
        store(lay_study(tmp_path / "scan"), listener.port)
    with receive(spool, pause=0.2) as (listener, queue):
        assert listener.look(queue)
        time.sleep(0.3)
        assert not listener.look(queue)
        assert queue.take_next(time.time()).images == 5
    assert list(spool.incoming.iterdir()) == []


def test_a_study_that_was_sent_and_failed_gets_another_chance(spool, tmp_path, detector, node):
    with receive(spool, pause=0.0) as (listener, queue):
        store(lay_study(tmp_path / "scan"), listener.port)
        listener.look(queue)
        queue.end(queue.take_next(time.time()), "failed", time.time(), "the node refused it")
    address, got = node
    log = []
    plan = WatchPlan(listen=0, send_to=address, queue=spool.folder, every=0.1, objects=("sr",))
    for retry, sent in ((False, 0), (True, 1)):
        assert keep_watch(plan, detector, once=True, retry_failed=retry, notice=log.append)
        assert len(got) == sent
    assert "studies that failed and get another chance: 1" in log
    assert list((spool.folder / "studies").iterdir()) == []


def test_no_room_for_what_was_received_is_waited_for(spool, tmp_path, detector, node):
    address, got = node
    with receive(spool) as (listener, _):
        store(lay_study(tmp_path / "scan"), listener.port)
    (place,) = spool.incoming.iterdir()
    big = next(place.iterdir())
    log = []
    plan = WatchPlan(
        listen=0, send_to=address, queue=spool.folder, every=0.1, pause=0.0, objects=("sr",)
    )
    with big.open("ab") as stream:
        stream.write(bytes(150_000))
    with small_files(150_000):
        assert not keep_watch(plan, detector, once=True, notice=log.append)
    told = "the disk fails (File too large); nothing is lost, start the watch again later"
    assert told in log
    assert keep_watch(plan, detector, once=True, notice=log.append)
    assert len(got) == 1


def test_a_study_that_failed_and_is_sent_again_is_judged_again(spool, tmp_path, detector, node):
    address, got = node
    files = lay_study(tmp_path / "scan")
    whole = [path.read_bytes() for path in files]
    plan = WatchPlan(
        listen=0, send_to=address, queue=spool.folder, every=0.1, pause=0.0, objects=("sr",)
    )
    for broken, sent in ((True, 0), (False, 1)):
        for path, content in zip(files, whole, strict=True):
            path.write_bytes(content)
            if broken:
                made = dcmread(path)
                made.PixelData = made.PixelData[:-3000]
                made.save_as(path)
        with receive(spool) as (listener, _):
            store(files, listener.port)
        assert keep_watch(plan, detector, once=True) is not broken
        assert len(got) == sent
