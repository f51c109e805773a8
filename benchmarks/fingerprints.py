"""How often is a fingerprint wrong about whether a picture, or a copy of it, was in training?

    python benchmarks/fingerprints.py --memory DATA... --strangers DATA... [--copies 60]

--memory takes the sets that a model was trained on, --strangers sets of other patients. Prints, at
several limits, the share of other patients' pictures that are called seen, and the share of copies
of training pictures that are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from copying import CHANGES, as_slice, load_picture

from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.imaging.pixels.fingerprint import SEEN_LIMIT, compare_fingerprint, fingerprint_slice

LIMITS = (40, 44, SEEN_LIMIT, 52, 56)


def read_paths(folders: list[Path]) -> list[Path]:
    merged = merge_manifests([read_data(one) for one in folders], shared_groups=True)
    return sorted({row.path for row in merged.rows})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--memory", nargs="+", type=Path, required=True)
    parser.add_argument("--strangers", nargs="+", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=60)
    parser.add_argument("--most", type=int, default=2000, help="strangers asked for")
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    paths = read_paths(asked.memory)
    prints = b"".join(fingerprint_slice(as_slice(load_picture(path))) for path in paths)
    memory = np.frombuffer(prints, np.uint8).reshape(len(paths), -1)
    others = read_paths(asked.strangers)
    others = [others[number] for number in rng.permutation(len(others))[: asked.most]]
    print(
        f"{len(paths)} pictures remembered in {memory.nbytes / 2**10:.0f} KiB, limit {SEEN_LIMIT}"
    )
    print(f"{'differing bits, at most':26}" + "".join(f"{limit:8}" for limit in LIMITS))
    least = [compare_fingerprint(as_slice(load_picture(path)), memory).min() for path in others]
    show(f"{len(others)} strangers", np.array(least))
    chosen = [paths[number] for number in rng.permutation(len(paths))[: asked.copies]]
    originals = [load_picture(path) for path in chosen]
    for name, change in CHANGES.items():
        copies = [as_slice(change(picture, rng)) for picture in originals]
        show(name, np.array([compare_fingerprint(copy, memory).min() for copy in copies]))


def show(name: str, least: np.ndarray) -> None:
    print(f"{name:26}" + "".join(f"{np.mean(least <= limit):8.1%}" for limit in LIMITS), flush=True)


if __name__ == "__main__":
    main()
