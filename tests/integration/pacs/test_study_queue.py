"""The queue on the disk: one state machine a study, that outlives its process."""

from __future__ import annotations

import os
import sqlite3

import pytest

from rights import as_nobody
from tumorlens.errors import UsageError
from tumorlens.integration.pacs.study_queue import Arrival, StudyQueue


@pytest.fixture
def path(tmp_path):
    return tmp_path / "queue.sqlite"


@pytest.fixture
def queue(path):
    queue = StudyQueue(path)
    yield queue
    queue.close()


def arrive(number, content="c", images=3):
    return Arrival(f"1.2.{number}", content * 64, images)


def test_a_study_goes_its_way(queue):
    assert queue.receive(arrive(1), now=10.0)
    study = queue.take_next(now=10.0)
    assert (study.study, study.state, study.images) == ("1.2.1", "received", 3)
    assert queue.begin(study)
    queue.judge(study, {"2.25.1": "a.sr.dcm", "2.25.2": "b.seg.dcm"}, 11.0, "tumor 93.0 %")
    judged = queue.take_next(now=11.0)
    assert judged.state == "judged"
    assert queue.list_unsent(judged) == {"2.25.1": "a.sr.dcm", "2.25.2": "b.seg.dcm"}
    queue.mark_sent(judged, "2.25.1")
    assert queue.list_unsent(judged) == {"2.25.2": "b.seg.dcm"}
    queue.end(judged, "sent", 12.0)
    assert queue.take_next(now=13.0) is None
    assert queue.count_states() == {
        "received": 0, "judged": 0, "sent": 1, "left_out": 0, "failed": 0,
    }  # fmt: skip


def test_a_study_that_comes_again_is_known(queue):
    assert queue.receive(arrive(1), now=10.0)
    assert not queue.receive(arrive(1), now=11.0)
    queue.end(queue.take_next(now=11.0), "sent", 12.0)
    assert not queue.receive(arrive(1), now=13.0)


def test_a_study_with_more_images_is_another_one(queue):
    queue.receive(arrive(1, "c"), now=10.0)
    assert queue.receive(arrive(1, "d"), now=11.0)


def test_a_study_without_images_to_judge_is_left_out(queue):
    queue.receive(arrive(1, images=0), now=10.0)
    assert queue.take_next(now=11.0) is None
    assert queue.count_states()["left_out"] == 1


def test_the_queue_outlives_its_process(queue, path):
    queue.receive(arrive(1), now=10.0)
    queue.write_mark("changes", 17)
    queue.close()
    again = StudyQueue(path)
    assert again.take_next(now=11.0).study == "1.2.1"
    assert again.read_mark("changes") == 17
    again.close()


def test_two_watches_do_not_share_a_queue(queue, path):
    with pytest.raises(UsageError, match="another tumorlens watch works on this queue"):
        StudyQueue(path)


def test_a_study_that_waits_lets_others_pass(queue):
    for number in (1, 2):
        queue.receive(arrive(number), now=10.0)
    queue.postpone(queue.take_next(now=10.0), due=20.0)
    assert queue.take_next(now=11.0).study == "1.2.2"
    waiting = queue.take_next(now=20.0)
    assert (waiting.study, waiting.tries) == ("1.2.1", 1)


def test_a_clock_that_was_set_back_holds_nothing_up(queue):
    queue.receive(arrive(1), now=10_000.0)
    queue.postpone(queue.take_next(now=10_000.0), due=10_002.0)
    assert queue.take_next(now=500.0).study == "1.2.1"


def test_a_study_that_ends_the_process_comes_last_and_is_given_up(queue):
    for number in (1, 2):
        queue.receive(arrive(number), now=10.0)
    first = queue.take_next(now=10.0)
    assert queue.begin(first)  # and then nothing more was heard
    assert queue.take_next(now=11.0).study == "1.2.2"
    queue.end(queue.take_next(now=11.0), "sent", 12.0)
    for _ in range(4):
        assert queue.begin(queue.take_next(now=12.0))
    assert not queue.begin(queue.take_next(now=12.0))


def test_failed_studies_get_another_chance(queue):
    queue.receive(arrive(1), now=10.0)
    queue.end(queue.take_next(now=10.0), "failed", 11.0, "no image of it can be read")
    assert queue.take_next(now=12.0) is None
    assert queue.revive(now=13.0) == 1
    assert queue.take_next(now=13.0).state == "received"


def test_what_is_no_queue_is_refused(path):
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UsageError, match="the queue cannot be used"):
        StudyQueue(path)


def test_a_queue_of_a_newer_version_is_refused(queue, path):
    queue.close()
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(UsageError, match="newer tumorlens"):
        StudyQueue(path)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="access rights as Unix has them")
def test_a_read_only_queue_is_told_as_such(queue, path):
    queue.close()
    place = path.parent
    for folder in (place, *list(place.parents)[:2]):
        folder.chmod(0o755)
    place.chmod(0o555)
    path.chmod(0o444)
    try:
        with as_nobody(), pytest.raises(UsageError, match="its folder is read-only; permit"):
            StudyQueue(path)
    finally:
        place.chmod(0o755)
