"""Tables of a benchmark on a narrow terminal."""

from __future__ import annotations

import io

from rich.console import Console

from tumorlens.exporting.benchmarking.processors import Machine
from tumorlens.exporting.benchmarking.speed import Benchmark, Result
from tumorlens.exporting.benchmarking.timing import Timing
from tumorlens.exporting.benchmarking.trial import Measured
from tumorlens.report.exports.export_tables import print_benchmark


def test_no_figure_and_no_heading_breaks_on_80_columns():
    took = Timing(0.1234, 0.2345, 0.1111, 9)
    measured = Measured(11_100_000, 0.126, took, took, took, took, 1460.0, 1_153_000_000, 0.1234)
    name = "tumorlens-default 0.2.0+onnx-fp16"
    result = Result(name, "a.onnx", "0" * 64, "onnxruntime", 16, {"float32": 1}, 0.0213, measured)
    machine = Machine("A processor", "Linux", 16, [])
    stream = io.StringIO()
    print_benchmark(
        Console(file=stream, width=80),
        Benchmark(machine=machine, peaks={"float32": {1: 7e10, 16: 9e11}}, results=[result]),
    )
    shown = stream.getvalue()
    assert "Peak of float32: 70 on 1 thread, 900 on 16 threads, in" in shown
    words = set(shown.split())
    assert {"123.40", "234.50", "11.10", "21.30", "1460", "1153"} <= words
    assert {"network", "roofline", "slices/s", "RAM", "p95", "network)"} <= words
    assert shown.count("0.2.0+onnx-fp16") == 3
