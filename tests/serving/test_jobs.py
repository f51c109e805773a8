"""Jobs run one after another, tell how far they are, and leave nothing behind."""

from __future__ import annotations

import time
from threading import Event

import pytest

from heads import write_folder
from models import write_tiny_model
from tumorlens.detector import Detector
from tumorlens.errors import UsageError
from tumorlens.serving.deposits import Deposit
from tumorlens.serving.jobs import Jobs


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"), threads=1)


@pytest.fixture
def jobs(detector, tmp_path):
    (tmp_path / "jobs").mkdir()
    made = Jobs(detector, most=3, parent=tmp_path / "jobs")
    yield made
    made.close()


def wait(job, seconds=20):
    end = time.monotonic() + seconds
    while job.state in ("waiting", "judging"):
        assert time.monotonic() < end
        time.sleep(0.01)
    return job


def test_a_job_tells_how_far_it_is_and_what_came_of_it(jobs, tmp_path):
    write_folder(tmp_path / "scans")
    job = wait(jobs.start((str(tmp_path / "scans"),), title="scans"))
    assert (job.state, job.error) == ("done", None)
    assert (job.heard.files, job.heard.slices) == (6, 6)
    assert len(job.judgement.scenes) == 6
    assert 0 < job.ended - job.begun < 20
    assert jobs.find(job.key) is job
    assert list(jobs) == [job]


def test_a_job_that_fails_says_why(jobs, tmp_path):
    (tmp_path / "empty").mkdir()
    job = wait(jobs.start((str(tmp_path / "empty"),), title="empty"))
    assert job.state == "failed"
    assert "no image found" in job.error
    assert not job.folder.exists()


def test_a_deleted_job_stops_and_leaves_nothing(jobs, tmp_path):
    deposit = Deposit(parent=tmp_path / "jobs")
    write_folder(deposit.files / "scans", tumors=40, healthy=0)
    job = jobs.start(
        (str(deposit.files),), title="scans", below=deposit.files, at_end=deposit.close
    )
    jobs.delete(job.key)
    jobs.delete("unknown")
    assert wait(job).state == "stopped"
    assert jobs.find(job.key) is None
    jobs.close()
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_job_that_has_ended_is_deleted_while_another_runs(jobs, tmp_path):
    write_folder(tmp_path / "scans")
    ended = wait(jobs.start((str(tmp_path / "scans"),), title="scans"))
    release = Event()
    jobs._pool.submit(release.wait)
    try:
        jobs.delete(ended.key)
        assert not ended.folder.exists()
    finally:
        release.set()


def test_too_many_jobs_are_refused(jobs, tmp_path):
    for _ in range(3):
        jobs.start((str(tmp_path),), title="x")
    with pytest.raises(UsageError, match="3 results are kept already; delete some first"):
        jobs.start((str(tmp_path),), title="x")
