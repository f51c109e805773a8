"""Which plane does each slice show? Adds the column plane to a table of scores.

    python benchmarks/name_planes.py SCORES.csv

The plane is the one that the audit recognises, or "unsure", where the table does not state it. The
table replaces the old one, so that `tumorlens evaluate --scores SCORES.csv --by tumor_class,plane`
gives figures by plane.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from tumorlens.auditing.appearance import look_at
from tumorlens.data.pictures import read_row
from tumorlens.evaluation.score_files import read_scores
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.writing import open_when_done


def main() -> None:
    """Parse, look at each slice, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    file = parser.parse_args().scores
    spec = PreprocessSpec()  # what the audit looks at
    planes = [
        row.plane or look_at(prepare(read_row(row), spec).image[0]).plane or "unsure"
        for row in read_scores(file).rows
    ]
    with file.open(encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream)
        rows = list(table)
        columns = list(dict.fromkeys([*(table.fieldnames or ()), "plane"]))
    with open_when_done(file, overwrite=True) as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "plane": plane} for row, plane in zip(rows, planes, strict=True))


if __name__ == "__main__":
    main()
