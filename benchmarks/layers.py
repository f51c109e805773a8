"""Which layers take the time of a network? Milliseconds per slice, as ONNX Runtime measures.

    python benchmarks/layers.py [MODEL...] [--times 300]

Uses one thread and one random image. Prints the sum over the layers of each kind, as the median of
all runs: depthwise convolutions, products over channels (1 x 1) and other convolutions in float32,
all convolutions in 8 bits, and everything else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tumorlens.model.registry import find_model
from tumorlens.model.session import Session

WARM_UP = 20


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["default"])
    parser.add_argument("--times", type=int, default=300)
    asked = parser.parse_args()
    for name in asked.models:
        runs = profile(find_model(name), asked.times)
        medians = {
            kind: statistics.median(run[kind] for run in runs) for kind in set().union(*runs)
        }
        total = sum(medians.values())
        print(f"{name}: {total / 1e3:.2f} ms")
        for kind, taken in sorted(medians.items(), key=lambda one: -one[1]):
            print(f"  {kind:28} {taken / 1e3:6.2f} ms  {taken / total:4.0%}")


def profile(path: Path, times: int) -> list[Counter[str]]:
    """Microseconds by kind, one count a run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_profiling = True
    size = Session(path, threads=1).card.preprocess.size
    image = np.random.default_rng(0).random((1, 1, size, size), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for _ in range(times + WARM_UP):
            session.run(None, {"image": image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    taken: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            taken[event["name"]].append((event["dur"], name_kind(event["args"])))
    runs: list[Counter[str]] = [Counter() for _ in range(times)]
    for calls in taken.values():
        for run, (microseconds, kind) in zip(runs, calls[WARM_UP:], strict=False):
            run[kind] += microseconds
    return runs


def name_kind(arguments: dict[str, Any]) -> str:
    """By operation and, in float32, the shape of the weight; in 8 bits the profile tells none."""
    if arguments["op_name"] == "QLinearConv":
        return "convolutions, int8"
    if arguments["op_name"] not in ("Conv", "FusedConv"):
        return "everything else"
    shapes = [next(iter(one.values())) for one in arguments["input_type_shape"]]
    weight = shapes[1]
    return "depthwise" if weight[1] == 1 and weight[2] > 1 else f"{weight[2]} x {weight[3]}"


if __name__ == "__main__":
    main()
