"""What does an audit find in each set, and what do the sets share?

    python benchmarks/audit_sets.py SETS --output FOLDER [--only NAME ...] [--model default]

SETS is the folder that holds the sets, each with its manifest. Each set is audited alone, into
FOLDER/NAME.json with every example; then copies are looked for among all sets at once, into
FOLDER/against.csv: how many pictures of a set (row) have a copy in another (column); the ends of
heads, which look alike, are left out. What is there already is not done again. Prints both as
Markdown.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import defaultdict
from pathlib import Path

from tumorlens.auditing.checks import audit_manifest
from tumorlens.auditing.evidence import ENDS
from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Manifest
from tumorlens.data.twins import find_twins
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session

EVERY = 1_000_000  # examples


def audit_alone(manifest: Manifest, output: Path, model: str) -> None:
    if output.is_file():
        return
    start, processor = time.perf_counter(), time.process_time()
    audit = audit_manifest(
        manifest, session=Session(find_model(model), threads=1), most_examples=EVERY
    )
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    output.write_text(audit.to_json(), encoding="utf-8")
    print(f"{manifest.name}: {seconds:,.0f} s, {processor:,.0f} s of processor", flush=True)


def compare_all(manifests: list[Manifest], output: Path) -> None:
    if output.is_file():
        return
    rows = [
        (manifest.name, row)
        for manifest in manifests
        for row in manifest.rows
        if row.position is None or ENDS[0] <= row.position <= ENDS[1]
    ]
    pictures = ((row.path, row.frame or 0) for _, row in rows)
    clusters = find_twins(pictures, on_error="ignore").clusters
    holds, labels = defaultdict(set), defaultdict(set)
    for (name, row), cluster in zip(rows, clusters.tolist(), strict=True):
        holds[cluster].add(name)
        if row.label:
            labels[cluster].add(row.label)
    names = [manifest.name for manifest in manifests]
    with output.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["set", *names, "any other", "with another label there"])
        for name in names:
            mine = [n for n, (one, _) in enumerate(rows) if one == name]
            shared = [holds[int(clusters[n])] - {name} for n in mine]
            counts = [sum(other in one for one in shared) for other in names]
            conflicts = sum(
                len(labels[int(clusters[n])]) > 1 and bool(one)
                for n, one in zip(mine, shared, strict=True)
            )
            table.writerow([name, *counts, sum(map(bool, shared)), conflicts])


def print_findings(output: Path, names: list[str]) -> None:
    audits = {
        name: json.loads((output / f"{name}.json").read_text(encoding="utf-8"))
        for name in names
        if (output / f"{name}.json").is_file()
    }
    checks = dict.fromkeys(one["check"] for audit in audits.values() for one in audit["findings"])
    lines = [("", *audits), ("---",) * (len(audits) + 1)]
    lines.append(("slices", *(f"{one['slices']:,}" for one in audits.values())))
    lines.append(("different", *(f"{one['distinct']:,}" for one in audits.values())))
    for check in sorted(checks):
        cells = []
        for audit in audits.values():
            found = [one for one in audit["findings"] if one["check"] == check]
            cells.append(_count(found[0]) if found else "")
        lines.append((check, *cells))
    for name in ("label_from_file", "label_from_prepared"):
        values = [
            next((e["value"] for e in audit["estimates"] if e["name"] == name), None)
            for audit in audits.values()
        ]
        lines.append((f"AUC, {name}", *("" if v is None else f"{v:.2f}" for v in values)))
    for line in lines:
        print("| " + " | ".join(line) + " |")


def _count(finding: dict[str, object]) -> str:
    rows = finding["rows"]
    return f"{len(rows):,}" if rows else "yes"  # type: ignore[arg-type]


def print_against(file: Path) -> None:
    with file.open(encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join("" if cell == "0" else cell for cell in row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    names = asked.only or sorted(one.parent.name for one in asked.sets.glob("*/manifest.csv"))
    manifests = sorted((read_data(asked.sets / name) for name in names), key=len)
    for manifest in manifests:
        audit_alone(manifest, asked.output / f"{manifest.name}.json", asked.model)
    compare_all(manifests, asked.output / "against.csv")
    print_findings(asked.output, [manifest.name for manifest in manifests])
    print_against(asked.output / "against.csv")


if __name__ == "__main__":
    main()
