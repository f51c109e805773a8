"""What does an audit find in each set, and what do the sets share?

    python benchmarks/audit_sets.py SETS [--output FOLDER] [--only NAME ...] [--model default]

SETS is the folder that holds the sets, each with its manifest. Each set is audited alone, into
FOLDER/NAME.json with every example; then copies are looked for among all sets at once, into
FOLDER/against.csv: for each two sets how many pictures of the first have the same pixels in the
other, or a near copy, or a copy that contradicts them in label or class, and how many groups both
hold. The ends of heads, which look alike, are left out. Files that exist already are not made
again. Prints both as Markdown. --check ONE OTHER asks `audit --against` itself about one pair.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np

from tumorlens.auditing.checks import audit_manifest
from tumorlens.auditing.evidence import ENDS
from tumorlens.auditing.traits import hash_pixels
from tumorlens.data.duplicates.copy_search import search_copies
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.readers import read_slice
from tumorlens.imaging.slices import Slice
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session

EVERY = 1_000_000  # examples
SHARED = ("exact", "near", "conflicts", "groups")


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
    digests: list[bytes] = []
    clusters = search_copies(read_all([row for _, row in rows], digests)).clusters.tolist()
    members = defaultdict(list)
    for number, key in enumerate(clusters):
        members[key].append(number)
    table = defaultdict(Counter)
    for together in members.values():
        for number in together:
            count_shared(table, rows, digests, number, together)
    groups = defaultdict(set)
    for name, row in rows:
        if row.group:
            groups[name].add(row.group)
    for one, other in permutations(groups, 2):
        table[one, other]["groups"] = len(groups[one] & groups[other])
    with output.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["set", "other", *SHARED])
        for pair in permutations([manifest.name for manifest in manifests], 2):
            writer.writerow([*pair, *(table[pair][what] for what in SHARED)])


def read_all(rows: list[Row], digests: list[bytes]) -> Iterator[Slice]:
    """The pictures, and what their pixels are known by; a blank or broken one stops nothing."""
    for row in rows:
        try:
            slice_ = read_slice(row.path, row.frame or 0)
        except InputError:
            noise = np.random.default_rng(len(digests)).random((32, 32), np.float32)
            slice_ = Slice(noise, SliceInfo(str(row.path)))
        digests.append(hash_pixels(slice_.pixels))
        yield slice_


def count_shared(
    table: dict[tuple[str, str], Counter[str]],
    rows: list[tuple[str, Row]],
    digests: list[bytes],
    number: int,
    together: list[int],
) -> None:
    """Add what one picture shares with each other set."""
    name, row = rows[number]
    for other in {rows[n][0] for n in together} - {name}:
        theirs = [n for n in together if rows[n][0] == other]
        same = any(digests[n] == digests[number] for n in theirs)
        table[name, other]["exact" if same else "near"] += 1
        table[name, other]["conflicts"] += any(contradict(row, rows[n][1]) for n in theirs)


def contradict(one: Row, other: Row) -> bool:
    if not (one.label and other.label):
        return False
    classes = one.tumor_class and other.tumor_class
    return one.label != other.label or bool(classes and one.tumor_class != other.tumor_class)


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
    """The pairs that share anything, and how many do not."""
    with file.open(encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    shared = [row for row in rows if any(cell != "0" for cell in row[2:])]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in shared:
        print("| " + " | ".join("" if cell == "0" else cell for cell in row) + " |")
    print(f"{len(rows) - len(shared)} of {len(rows)} pairs share nothing")


def check_pair(one: Manifest, other: Manifest) -> None:
    both = merge_manifests([one, other], shared_groups=True)
    audit = audit_manifest(
        one.with_rows(both.rows[: len(one)]), against=other.with_rows(both.rows[len(one) :])
    )
    for finding in audit.of_kinds(("leakage", "conflicts")):
        print(f"{one.name} against {other.name}: {finding.check}: {finding.title}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--output", type=Path, default=Path("audits"))
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--model", default="default")
    parser.add_argument("--check", nargs=2, metavar=("ONE", "OTHER"))
    asked = parser.parse_args()
    if asked.check:
        check_pair(*(read_data(asked.sets / name) for name in asked.check))
        return
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
