"""How much brain must a slice show to be judged?

Takes the manifest of release/label_data.py and prints, for several shares of cells that show brain,
how many slices have a lower share. It counts slices without brain by their mask, slices beyond the
brain by the table of series (brain_extent.csv), slices with little brain (under 2 % of the image)
and with more, and slices with a tumor, drawn at random.

    python benchmarks/brain_share.py LABELLED.csv [--tumors 1250] [--model M]
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Row
from tumorlens.detector import Detector

SHARES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)


def list_kinds(rows: list[Row], tumors: int) -> Iterator[tuple[str, Row]]:
    """Rows with the kind of slice that they are."""
    for row in rows:
        if row.brain is not None and row.brain.name == "no_brain.png":
            yield "beyond the brain, by the table", row
        elif row.brain is not None:
            with Image.open(row.brain) as mask:
                share = float((np.asarray(mask) > 0).mean())
            yield "no brain" if not share else "little brain" if share < 0.02 else "brain", row
    ill = [row for row in rows if row.label == "tumor" and row.frame is None]
    for row in random.Random(0).sample(ill, min(tumors, len(ill))):
        yield "tumor", row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--tumors", type=int, default=1250)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    detector = Detector(options.model)
    shares: dict[str, list[float]] = defaultdict(list)
    for kind, row in list_kinds(list(read_data(options.labelled).rows), options.tumors):
        (finding,) = detector.predict(row.path)
        shares[kind].append(finding.brain_share or 0.0)
    for kind, values in sorted(shares.items()):
        below = ", ".join(f"{100 * s:.0f} %: {(np.array(values) < s).mean():.3f}" for s in SHARES)
        print(f"{kind}: {len(values)} slices; below {below}")


if __name__ == "__main__":
    main()
