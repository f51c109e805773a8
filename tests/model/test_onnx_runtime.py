"""ONNX Runtime and usearch in one process, in either order: each in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from PIL import Image

from brains import paint_brain
from tumorlens import optional


def run_python(code, **variables):
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120,
        env=kept | variables,
    )  # fmt: skip


JUDGE = """
from tumorlens.detector import Detector
print(Detector(threads=1).predict(PICTURE)[0].verdict is not None)
"""
GROUP = """
from tumorlens.data.manifest import read_data
from tumorlens.data.duplicates.copy_search import group_manifest
print(group_manifest(read_data(FOLDER))[1].distinct)
"""


@pytest.mark.parametrize(
    "steps", [(GROUP, JUDGE), (JUDGE, GROUP), (GROUP, "import scipy.stats, sklearn.svm\n", JUDGE)]
)
def test_copies_may_be_sought_before_and_after_a_verdict(tmp_path, steps):
    for label in ("tumor", "no_tumor"):
        (tmp_path / label).mkdir()
        Image.fromarray(paint_brain(len(label))).save(tmp_path / label / "a.png")
    picture = str(tmp_path / "tumor/a.png")
    code = "".join(steps).replace("FOLDER", repr(str(tmp_path))).replace("PICTURE", repr(picture))
    done = run_python(code)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    assert sorted(done.stdout.split()) == ["2", "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="only ELF shares names between libraries")
def test_a_users_own_usearch_is_told_of_before_it_ends_the_process():
    done = run_python("import usearch.index, tumorlens; tumorlens.Detector()")
    assert done.returncode in (0, 1), done.returncode  # a wheel that is mended serves
    if done.returncode:
        assert "UsageError: usearch was imported before ONNX Runtime" in done.stderr
    assert (
        run_python("import onnxruntime, usearch.index, tumorlens; tumorlens.Detector()").returncode
        == 0
    )


def test_what_must_be_first_comes_with_the_core():
    assert not {name for names in optional.EXTRAS.values() for name in names} & set(
        optional.FIRST.values()
    )


def test_onnx_runtime_reports_nothing_of_its_use(tmp_path):
    folders = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    opened = "import tumorlens; tumorlens.Detector(threads=1)"
    done = run_python(opened, **folders, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == []  # an identifier of the device, and events that wait to be sent
