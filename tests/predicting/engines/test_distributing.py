"""Shards as jobs: what they give, and what is left when a job, the driver or a place breaks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

import tumorlens
from heads import write_folder
from models import write_tiny_model
from tumorlens.cli.main import run
from tumorlens.errors import UsageError
from tumorlens.predicting.engines.submission import LocalEngine, SlurmEngine

pytest.importorskip("submitit", reason="the extra slurm is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    write_folder(folder, tumors=6, healthy=6)
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "letter.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """So many pictures that a job takes a while."""
    folder = tmp_path_factory.mktemp("many")
    first, second = write_folder(folder, tumors=1, healthy=1)
    for number in range(1500):
        os.link(first if number % 3 else second, folder / f"{number:04}.png")
    return folder


def timeless(path):
    return re.sub(rb'"seconds": [^,]+', b'"seconds"', path.read_bytes())


def find_workers(folder):
    """Processes of jobs of a run that judge: neither the driver nor what watches over them."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in words and b"submitit.core._submit" in words:
            yield int(place.name)


def count_lines(folder):
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl*") if path.is_file())


def wait_for(condition, seconds=60):
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "waited in vain"
        sleep(0.1)


def test_jobs_give_the_records_of_one_run(tmp_path, scans, model, capsys):
    whole = tumorlens.write_records(scans, tmp_path / "whole.jsonl", model=model)
    target = tmp_path / "jobs.jsonl"
    words = ["predict", str(scans), "--model", str(model), "--engine", "local", "--shards", "2"]
    assert run([*words, "--output", str(target)]) == 1  # one input is no picture
    assert timeless(target) == timeless(tmp_path / "whole.jsonl")
    assert "12 slices: 6 tumor, 6 no tumor; 1 unreadable" in capsys.readouterr().err
    parts = tmp_path / "jobs.jsonl.parts"
    book = json.loads((parts / "jobs.json").read_text())
    assert (book["engine"], book["shards"], set(book["jobs"])) == ("local", 2, {"1", "2"})
    # What is done is not done again: no job is started.
    target.unlink()
    told = []
    again = tumorlens.distribute(
        scans, target, engine="local", model=model, resume=True, notice=told.append
    )
    assert again.counts == whole.counts
    assert told == ["2 of 2 shards are done already"]
    assert json.loads((parts / "jobs.json").read_text()) == book


@pytest.mark.slow
def test_a_killed_worker_is_started_again_where_it_was(tmp_path, many, model):
    target, killed, told = tmp_path / "r.jsonl", [], []
    parts = tmp_path / "r.jsonl.parts"

    def kill_once(what, done, total):
        workers = list(find_workers(parts))
        if not killed and workers and count_lines(parts) > 20:
            os.kill(workers[0], signal.SIGKILL)
            killed.append(count_lines(parts))

    done = tumorlens.distribute(
        many, target, engine="local", shards=1, model=model, progress=kill_once, notice=told.append
    )
    assert killed and killed[0] < 1502, "the job was faster than the test"
    assert told == [
        "shard 1/1 failed (it was ended from outside); it goes on where it was, restart 1 of 2"
    ]
    assert sum(done.counts.values()) == 1502
    tumorlens.write_records(many, tmp_path / "whole.jsonl", model=model)
    assert timeless(target) == timeless(tmp_path / "whole.jsonl")


@pytest.mark.slow
def test_a_killed_driver_loses_nothing(tmp_path, many, model):
    target = tmp_path / "r.jsonl"
    parts = tmp_path / "r.jsonl.parts"
    words = ["predict", str(many), "--model", str(model), "--engine", "local", "--shards", "3"]
    command = [sys.executable, "-m", "tumorlens", *words, "--at-once", "1", "-o", str(target)]
    driver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: parts.exists() and count_lines(parts) > 20)
    driver.kill()
    driver.wait()
    assert list(find_workers(parts)), "the job goes on without its driver"
    with pytest.raises(UsageError, match=r"r\.jsonl\.parts: is left from a broken run"):
        tumorlens.distribute(many, target, engine="local", shards=3, model=model)
    with pytest.raises(UsageError, match="it has mirror False in place of True"):
        tumorlens.distribute(many, target, engine="local", model=model, resume=True, mirror=True)
    first = json.loads((parts / "jobs.json").read_text())["jobs"]
    told = []
    done = tumorlens.distribute(
        many, target, engine="local", model=model, resume=True, notice=told.append
    )
    assert sum(done.counts.values()) == 1502
    assert len(told) == 1, "no shard failed"
    assert json.loads((parts / "jobs.json").read_text())["jobs"]["1"] == first["1"]


@pytest.mark.slow
def test_a_shard_that_cannot_be_written_keeps_the_others(tmp_path, scans, model):
    target = tmp_path / "r.jsonl"
    parts = tmp_path / "r.jsonl.parts"
    (parts / "2.jsonl").mkdir(parents=True)
    (parts / "jobs.json").write_text("{}")
    with pytest.raises(UsageError, match=r"jobs\.json: cannot be read"):
        tumorlens.distribute(scans, target, engine="local", shards=2, model=model, resume=True)
    (parts / "jobs.json").unlink()
    with pytest.raises(UsageError) as caught:
        tumorlens.distribute(scans, target, engine="local", shards=2, model=model, resume=True)
    said = str(caught.value)
    assert "1 shard of 2 failed 3 times, and nothing was merged" in said
    assert f"shard 2/2: {parts / '2.jsonl'}: is a folder; name a file" in said
    assert not target.exists()
    (parts / "2.jsonl").rmdir()
    finished = (parts / "1.jsonl").stat().st_mtime_ns
    done = tumorlens.distribute(scans, target, engine="local", model=model, resume=True)
    assert sum(done.counts.values()) == 13
    assert (parts / "1.jsonl").stat().st_mtime_ns == finished


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shards", "2"], "--shards needs --engine slurm or local"),
        (["--engine", "local"], "--engine writes records; name their file with --output"),
        (["--engine", "local", "-o", "r.jsonl", "--shard", "1/2"], "--shard does not go with"),
        (["--engine", "slurm", "-o", "r.jsonl"], "--engine slurm needs the number of parts"),
        (["--engine", "local", "-o", "r.jsonl", "--job", "time"], "--job time: expected NAME="),
        (
            ["--engine", "local", "-o", "r.jsonl", "--job", "bananas=3"],
            "--engine local: its jobs cannot be started; --job changes how: Parameter 'bananas'",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path, monkeypatch, capsys, scans, words, said):
    monkeypatch.chdir(tmp_path)
    assert run(["predict", str(scans), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_result_lies_outside_of_the_scans(scans, model):
    with pytest.raises(UsageError, match="whose files are judged, and so would the shards"):
        tumorlens.distribute(scans, scans / "r.jsonl", engine="local", model=model)


def test_another_folder_is_not_thrown_away(tmp_path, scans, model):
    (tmp_path / "r.jsonl.parts").mkdir()
    (tmp_path / "r.jsonl.parts/mine.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"holds no jobs\.json"):
        tumorlens.distribute(
            scans, tmp_path / "r.jsonl", engine="local", model=model, overwrite=True
        )
    assert (tmp_path / "r.jsonl.parts/mine.txt").exists()


def test_a_number_of_another_process_is_no_job(tmp_path):
    engine = LocalEngine(tmp_path, {})
    assert engine.find_live([str(os.getpid()), "999999999"]) == {}


@pytest.mark.slow
def test_a_disk_without_room_is_named(tmp_path, many, model):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=250k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        target, told = disk / "r.jsonl", []
        options = {"engine": "local", "model": model, "notice": told.append}
        with pytest.raises(UsageError, match=r"free space|failed 3 times"):
            tumorlens.distribute(many, target, shards=1, **options)
        assert "no room is left on the disk" in told[0] or "No space left" in told[0]
        parts = disk / "r.jsonl.parts"
        before = (parts / "1.jsonl.partial").read_bytes().rpartition(b"\n")[0]
        assert before.count(b"\n") > 20
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        done = tumorlens.distribute(many, target, resume=True, **options)
        assert sum(done.counts.values()) == 1502
        assert (parts / "1.jsonl").read_bytes().startswith(before)
        assert told[-1] == "0 of 1 shards are done already"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


QUEUE = """\
#!/bin/sh
echo "17_0|RUNNING|None"
echo "17_1|PENDING|Resources"
echo "17_2|PENDING|PartitionDown"
echo "17_3|CANCELLED|None"
echo "17_4|COMPLETED|None"
"""


def test_the_queue_of_slurm_is_read(tmp_path, monkeypatch):
    engine = SlurmEngine(tmp_path, {})
    (tmp_path / "squeue").write_text(QUEUE)
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    live = engine.find_live([f"17_{number}" for number in range(5)])
    assert {job: (one.state, one.reason) for job, one in live.items()} == {
        "17_0": ("runs", ""),
        "17_1": ("waits", ""),
        "17_2": ("waits", "PartitionDown"),
    }
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 'Invalid job id specified' >&2; exit 1\n")
    assert engine.find_live(["17_0"]) == {}
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 'Unable to contact' >&2; exit 1\n")
    assert engine.find_live(["17_0"]) is None
