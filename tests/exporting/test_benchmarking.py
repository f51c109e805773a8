"""Speed: what is counted and measured is what it says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convolved import CHANNELS, PASSING, write_convolved_model
from models import make_card
from tumorlens.errors import UsageError
from tumorlens.exporting.benchmarking.arithmetic import count_multiply_adds
from tumorlens.exporting.benchmarking.backends import find_backends
from tumorlens.exporting.benchmarking.processors import Machine, describe_machine, measure_peak
from tumorlens.exporting.benchmarking.speed import benchmark_models, paint_picture, plan_trials
from tumorlens.exporting.benchmarking.timing import read_peak_memory, time_calls
from tumorlens.imaging.files.encoding import decode_bare


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_convolved_model(tmp_path_factory.mktemp("speed") / "model.onnx")


def plan(*models, runtimes=("onnxruntime",), picture=None):
    picture = picture or paint_picture()
    return plan_trials(models, runtimes=runtimes, threads=[1], picture=picture, seconds=0.05)


def test_multiply_adds_are_those_of_the_layers(model):
    first = 16 * 16 * CHANNELS * 4 * 4
    depthwise = 16 * 16 * CHANNELS * 3 * 3
    passing = len(PASSING) * 16 * 16 * CHANNELS * CHANNELS
    second, last = 8 * 8 * CHANNELS * CHANNELS * 2 * 2, 8 * 8 * CHANNELS
    assert count_multiply_adds(model) == {"float32": first + depthwise + passing + second + last}


def test_calls_are_timed_in_turns():
    order = []
    first, second = time_calls(lambda: order.append(1), lambda: order.append(2), seconds=0.01)
    assert order == [1, 2] * (len(order) // 2)
    assert first.calls == second.calls == len(order) // 2 - 3
    assert 0 < first.best <= first.median <= first.p95


def test_memory_grows_with_what_is_held():
    before = read_peak_memory()
    held = np.ones(before // 8 + 4_000_000)
    assert read_peak_memory() > before
    assert held[0] == 1


@pytest.mark.parametrize(
    ("found", "fast"),
    [
        (["AVX2"], False),
        (["AVX2", "AVX-512", "AVX-512 VNNI"], True),
        (["NEON", "NEON dot product"], True),
        ([], None),
    ],
)
def test_what_to_expect_of_integers_is_told(found, fast):
    words = Machine("x", "Linux", 1, found).integers
    assert ("int8 is fast" in words, "hardly faster" in words) == (fast is True, fast is False)


def test_this_machine_has_a_name_and_a_core():
    machine = describe_machine()
    assert machine.processor
    assert machine.cores >= 1


@pytest.mark.parametrize("numbers", ["float32", "int8"])
def test_the_peak_is_that_of_a_processor(numbers):
    assert 1e8 < measure_peak(numbers, 1, seconds=0.05) < 1e13


def test_a_model_is_measured_in_a_process_of_its_own(model):
    benchmark = benchmark_models(plan(model))
    (result,) = benchmark.results
    measured = result.measured
    assert (result.runtime, result.threads, measured.bytes) == (
        "onnxruntime", 1, model.stat().st_size,
    )  # fmt: skip
    assert result.roofline == pytest.approx(
        result.multiply_adds["float32"] / benchmark.peaks["float32"][1]
    )
    assert measured.network.best < measured.bare.best < measured.whole.p95
    assert measured.load > 0
    assert measured.throughput > 0
    assert result.overhead > 0
    assert measured.memory is None or measured.memory > 10_000_000


def test_a_picture_that_cannot_be_read_is_told(model):
    with pytest.raises(UsageError, match=r"onnxruntime failed in a process of its own"):
        benchmark_models(plan(model, picture=b"no picture"))


@pytest.mark.parametrize("name", find_backends())
def test_every_runtime_that_is_installed_is_measured(model, name):
    (result,) = benchmark_models(plan(model, runtimes=[name])).results
    assert result.runtime == name
    assert result.measured.network.best > 0
    assert result.measured.bytes > 1000


def test_an_export_is_not_exported_again(model, tmp_path):
    export = write_convolved_model(tmp_path / "export.onnx", make_card(made_from="tiny 0"))
    both = plan(model, export, runtimes=["onnxruntime", "litert"])
    tried = [(Path(one.model).stem, one.runtime) for one in both]
    assert tried == [("model", "onnxruntime"), ("model", "litert"), ("export", "onnxruntime")]
    with pytest.raises(UsageError, match="litert: models are exported first"):
        plan(export, runtimes=["litert"])


def test_the_painted_picture_is_a_jpeg_of_its_size():
    assert decode_bare(paint_picture(96)).shape == (96, 96)
    assert paint_picture(96) == paint_picture(96)


def test_memory_is_that_of_the_process_alone():
    """One that a large process starts is small itself."""
    held = np.ones(60_000_000)  # 480 MB
    code = (
        "from tumorlens.exporting.benchmarking.timing import read_peak_memory; "
        "print(read_peak_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200_000_000 < held.nbytes
