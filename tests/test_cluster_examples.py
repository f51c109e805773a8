"""What examples/cluster/ hands to schedulers gives the records of one run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tumorlens
from heads import write_folder

CLUSTER = Path(__file__).resolve().parents[1] / "examples" / "cluster"
OF = 2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster") / "scans"
    write_folder(folder, tumors=4, healthy=4)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def whole(scans):
    tumorlens.write_records(scans, scans.parent / "whole.jsonl")
    return timeless(scans.parent / "whole.jsonl")


def timeless(path):
    return re.sub(rb'"seconds": [^,]+', b'"seconds"', path.read_bytes())


def call(*words, **variables):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(list(map(str, words)), check=True, env=os.environ | {"PATH": path} | variables)


def merge(parts):
    target = parts / "findings.jsonl"
    tumorlens.merge(sorted(parts.glob("?.jsonl")), target)
    return timeless(target)


def test_tasks_of_a_slurm_array(tmp_path, scans, whole):
    for number in range(1, OF + 1):
        variables = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": str(OF)}
        call("bash", CLUSTER / "slurm_array.sh", scans, tmp_path, **variables)
    assert merge(tmp_path) == whole


def test_pods_of_an_indexed_job(tmp_path, scans, whole):
    text = (CLUSTER / "kubernetes_job.yaml").read_text()
    found = re.search(r"- \|\n((?: {14}.*\n)+)", text)
    command = (
        textwrap.dedent(found[1]).replace("/scans", str(scans)).replace("/parts", str(tmp_path))
    )
    for index in range(OF):
        call("sh", "-c", command, JOB_COMPLETION_INDEX=str(index), SHARDS=str(OF))
    assert merge(tmp_path) == whole


@pytest.mark.skipif(shutil.which("parallel") is None, reason="GNU parallel is not installed")
def test_a_line_of_gnu_parallel(tmp_path, scans, whole):
    call("bash", CLUSTER / "gnu_parallel.sh", scans, tmp_path / "parts", OF, 1)
    assert timeless(tmp_path / "findings.jsonl") == whole
