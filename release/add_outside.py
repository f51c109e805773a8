"""Add to a run's model the output that tells what is no MRI of the brain.

    python release/add_outside.py RUN LABELLED.csv [--store FOLDER]

RUN is the folder of a `tumorlens train`, or a model file; LABELLED.csv is the manifest of
label_data.py. `train` adds the output itself where its data hold images without brain; this is for
a run from before, and for a model that was trained on other rows. The file is written anew; an
output that it had is replaced. Run it before bundle_model.py.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Row
from tumorlens.model.session import Session
from tumorlens.training.finishing.strangers import teach_strangers
from tumorlens.training.rows.preparing import prepare_rows
from tumorlens.training.rows.store import Store

EACH = 600
"""Rows of a source and sequence that are prepared; the fit takes fewer of those that show brain."""


def main() -> None:
    """Prepare, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--store", type=Path)
    asked = parser.parse_args()
    model = asked.run / "model.onnx" if asked.run.is_dir() else asked.run
    spec = Session(model, threads=1).card.preprocess
    data = read_data(asked.labelled)
    store = Store(asked.store, spec) if asked.store else None
    with TemporaryDirectory() as folder:
        rows = data.with_rows(draw_rows(data.rows))
        prepared, _ = prepare_rows(rows, spec, Path(folder), types=(), store=store)
        if not teach_strangers(model, prepared, np.arange(len(prepared)), 0, print):
            raise SystemExit(f"{asked.labelled}: too few images without brain, or with it")
    print(f"{model}: {model.stat().st_size / 1e6:.1f} MB")


def draw_rows(rows: tuple[Row, ...]) -> list[Row]:
    """At most `EACH` of a source and sequence, drawn at random."""
    parts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        parts[row.source, row.sequence].append(row)
    draw = random.Random(0)
    return [row for part in parts.values() for row in draw.sample(part, min(EACH, len(part)))]


if __name__ == "__main__":
    main()
