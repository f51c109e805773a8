"""Reads manifests: a CSV with one row per slice, or a folder that can be turned into one."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tumorlens.data.class_names import TUMOR_CLASSES, find_meaning, spell_split, squeeze
from tumorlens.data.columns import (
    COLUMNS,
    LABELS,
    PARSERS,
    absolute_path,
    file_or_folder,
    is_missing,
)
from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import DataError
from tumorlens.imaging.files.contents import HEAD_BYTES, sniff
from tumorlens.opening import open_regular, open_table
from tumorlens.progress import Notice, stay_silent
from tumorlens.remote.addresses import hide_secrets, is_address, spell_address

__all__ = [
    "Manifest",
    "Row",
    "find_data",
    "keep_split",
    "merge_manifests",
    "read_data",
    "read_manifest",
]

MANIFEST_FILE = "manifest.csv"

_SAVE_AS = (
    'save the table as CSV in UTF-8 (in a spreadsheet "CSV UTF-8", in pandas '
    "table.to_csv(file, index=False))"
)
_WORKBOOKS = {
    b"PK\x03\x04": "an Excel or OpenDocument workbook, or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
"""First bytes -> another kind of file that people keep tables in."""
_NAMES = ("series", "study", "position_mm")
"""Columns beside `COLUMNS` in which a missing value must not join what lacks it."""
_PATIENTS = ("patient", "patientid", "subject", "subjectid", "participantid", "case", "caseid")
"""Names, squeezed, of a column of patients: what no split may part. Here it is called ``group``."""
_CLASSES = (
    *("class", "classname", "classlabel", "diagnosis", "target", "category", "groundtruth"),
    *("tumor", "tumour", "hastumor", "istumor"),
)
"""Names, squeezed, of a column that says what is seen: here ``label``, or ``tumor_class``."""
_INDEX = ("", "Unnamed: 0")
"""Headers of a column of row numbers, as pandas writes them."""


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read a manifest CSV (UTF-8, comma, header line; only ``path`` is required).

    A row without ``source`` gets the manifest's name. Columns that tumorlens does not know
    are kept in `Row.extra`, except for the column of row numbers that pandas writes first, and
    empty columns behind the last one. ``NaN``, ``NA``, ``null`` and their kin are empty cells.
    Backslashes in relative paths count as slashes. Labels and tumor classes may be written like
    the names of class folders.

    Raises:
        DataError: names file, line and column, what was expected and what was found.
    """
    file = absolute_path(path)
    name = file.parent.name if file.name == MANIFEST_FILE else file.stem
    try:
        _refuse_workbook(file)
        with open_table(file) as stream:
            rows = tuple(_read_rows(csv.reader(stream, strict=True), file, name))
    except FileNotFoundError:
        raise DataError(f"{file}: no such file; expected a manifest (CSV)") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start} is not UTF-8; {_SAVE_AS}") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    if not rows:
        raise DataError(f"{file}: no rows under the header; expected one row a slice")
    return Manifest(rows, name, file.parent)


def read_data(
    data: str | os.PathLike[str],
    *,
    classes: Mapping[str, str] | None = None,
    split: str | None = None,
    notice: Notice = stay_silent,
) -> Manifest:
    """Read ``DATA`` of the command line.

    Args:
        data: a manifest (CSV), a folder that holds a ``manifest.csv``, a folder of class
            folders, or a folder of DICOM and NIfTI files.
        classes: folder name -> label or tumor class, in addition to the known names.
        split: keep only the rows of this split.
        notice: called with a sentence on what is left out of a folder.

    Raises:
        DataError: says what could not be read, where, and what to do.
    """
    place = find_data(data)
    if place.is_file():
        manifest = read_manifest(place)
    elif (place / MANIFEST_FILE).is_file():
        manifest = read_manifest(place / MANIFEST_FILE)
    else:
        from tumorlens.data.folders import read_folder

        manifest = read_folder(place, classes=classes or {}, notice=notice)
    return manifest if split is None else keep_split(manifest, split)


def find_data(data: str | os.PathLike[str]) -> Path:
    """The absolute path of ``DATA``, before anything is read.

    Raises:
        DataError: nothing is there.
    """
    place = absolute_path(data)
    if place.exists():
        return place
    if is_address(os.fspath(data)):
        raise DataError(
            f"{hide_secrets(spell_address(os.fspath(data)))}: is an address, and this reads "
            "folders and manifests of this machine; copy what lies there first"
        )
    raise DataError(f"{place}: no such file or folder; expected a manifest or a folder")


def merge_manifests(
    manifests: Iterable[Manifest], *, shared_groups: bool | None = None
) -> Manifest:
    """Join several sets into one manifest.

    A group name means one group inside one manifest. Only the caller can know whether ``p1`` of one
    set is ``p1`` of another. If no group name occurs in two sets, the question does not arise.

    Args:
        manifests: at least one.
        shared_groups: True: one numbering, the same name is the same group. False: each set has
            its own; groups become ``set/group``. None: refuse if a name stands in two sets.

    Raises:
        DataError: no manifest, a slice in two of them, or ``shared_groups`` is None and a
            group name stands in two of them.
    """
    sets = list(manifests)
    if not sets:
        raise DataError("nothing to merge: expected at least one manifest")
    if len(sets) == 1:
        return sets[0]
    if shared_groups is None:
        _refuse_ambiguous(sets)
    names = _distinct_names(sets)
    if shared_groups is False:
        sets = [_qualify(one, own) for one, own in zip(sets, names, strict=True)]
    return Manifest(
        rows=tuple(row for one in sets for row in one.rows),
        name="+".join(names),
        root=Path(os.path.commonpath([one.root for one in sets])),
        members=_join_members(sets, names),
    )


def keep_split(manifest: Manifest, split: str) -> Manifest:
    """The rows of one split.

    Raises:
        DataError: there are none; names the splits that there are.
    """
    kept = manifest.where(lambda row: row.split == spell_split(split))
    if not kept.rows:
        known = sorted({row.split for row in manifest.rows} - {""})
        raise DataError(
            f"{manifest.name}: no row has the split {split!r}; "
            f"its splits are {', '.join(known) if known else 'all empty'}"
        )
    return kept


def _refuse_ambiguous(sets: Sequence[Manifest]) -> None:
    owners: dict[str, Manifest] = {}
    for one in sets:
        for group in sorted({row.group for row in one.rows} - {""}):
            first = owners.setdefault(group, one)
            if first is not one:
                raise DataError(
                    f"the group {group!r} stands in {first.name} and in {one.name}; "
                    "say whether that is the same patient: `shared_groups=True` (one numbering "
                    "over all sets) or `shared_groups=False` (each set has its own)"
                )


def _distinct_names(sets: Sequence[Manifest]) -> list[str]:
    """The sets' names; where two are equal, with a number."""
    total, seen = Counter(one.name for one in sets), Counter[str]()
    names = []
    for one in sets:
        seen[one.name] += 1
        names.append(one.name if total[one.name] == 1 else f"{one.name}-{seen[one.name]}")
    return names


def _qualify(manifest: Manifest, name: str) -> Manifest:
    return manifest.with_rows(
        replace(row, group=f"{name}/{row.group}") if row.group else row for row in manifest.rows
    )


def _join_members(sets: Sequence[Manifest], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    joined: dict[str, set[str]] = {}
    for one, name in zip(sets, names, strict=True):
        members = {name: one.sources} if one.name in one.members else one.members
        for member, sources in members.items():
            joined.setdefault(member, set()).update(sources)
    return {member: tuple(sorted(sources)) for member, sources in joined.items()}


# The CSV, cell by cell.


def _refuse_workbook(file: Path) -> None:
    with open_regular(file) as stream:
        head = stream.read(HEAD_BYTES)
    for mark, kind in _WORKBOOKS.items():
        if head.startswith(mark):
            raise DataError(f"{file}: is {kind}, and no CSV table; {_SAVE_AS}")
    if b"\0" in head and sniff(head):
        raise DataError(
            f"{file}: is an image; expected a folder of class folders such as yes/ and no/, or a "
            "manifest (CSV) that names images and their labels"
        )
    if b"\0" in head[:8]:
        raise DataError(f"{file}: is no text, so no CSV table; {_SAVE_AS}")


def _read_rows(table: Any, file: Path, name: str) -> Iterator[Row]:
    names = next(_lines(table, file), [])
    numbered = names[:1] != [] and names[0].strip() in _INDEX
    header = _check_header(names[1:] if numbered else names, file)
    first: dict[tuple[Path, int], tuple[int, Row]] = {}
    for cells in _lines(table, file):
        if not any(cells):
            continue
        where = f"{file}, line {table.line_num}"
        if numbered and not cells.pop(0).strip().isdecimal():
            raise DataError(
                f"{where}, column 1: it has no name in the header, so a row's number was expected "
                "there, as pandas writes it; name the column, or remove it"
            )
        if any(cells[len(header) :]) or len(cells) < len(header):
            raise DataError(
                f"{where}: expected {len(header)} cells ({', '.join(header)}), got {len(cells)}"
            )
        row = _parse_row(dict(zip(header, cells, strict=False)), file.parent, name, where)
        line, earlier = first.setdefault(row.slice_key, (table.line_num, row))
        if earlier.claims != row.claims:
            raise DataError(
                f"{where}, column path: expected the group, label and split of line {line}, "
                f"where {row.path.name} stands first, got others; remove one of the two rows"
            )
        yield row


def _lines(table: Any, file: Path) -> Iterator[list[str]]:
    try:
        yield from table
    except csv.Error as error:
        raise DataError(f"{file}, line {table.line_num}: not a CSV table ({error})") from None


def _check_header(cells: list[str], file: Path) -> list[str]:
    header = [cell.strip() for cell in cells]
    while header[1:] and not header[-1]:  # empty columns that a spreadsheet writes
        header.pop()
    if "path" not in header:
        alone = len(cells) == 1 and any(mark in cells[0] for mark in ";\t|")
        hint = f"; it is separated by something else than commas: {_SAVE_AS}" if alone else ""
        raise DataError(
            f"{file}, line 1: expected a column named path, "
            f"got {', '.join(header) if any(header) else 'an empty line'}{hint}"
        )
    for name, count in Counter(header).items():
        if count > 1 or not name:
            what = f"{count} columns named {name!r}" if name else "a column without a name"
            raise DataError(f"{file}, line 1: expected distinct column names, got {what}")
        meant = _find_meant(name)
        if name not in COLUMNS and meant and not {*meant} & {*header}:
            raise DataError(
                f"{file}, line 1, column {name}: expected {meant[0]}? tumorlens knows "
                f"{', '.join(COLUMNS)}; rename the column if it is something else"
            )
    return header


def _find_meant(name: str) -> Sequence[str]:
    """The columns that a header may mean; it is an extra where one of them is there."""
    squeezed = squeeze(name)
    if squeezed in _PATIENTS:
        return ("group",)
    if squeezed in _CLASSES:
        return ("label", "tumor_class")
    return get_close_matches(name.casefold(), COLUMNS, n=1, cutoff=0.75)


def _parse_row(cells: dict[str, str], folder: Path, name: str, where: str) -> Row:
    values: dict[str, Any] = {}
    for column, parse in _PARSERS.items():
        text = cells.get(column, "").strip()
        if is_missing(column, text):
            continue
        try:
            # With a frame, the path may name the folder of a series.
            of_series = column == "path" and not is_missing("frame", cells.get("frame", ""))
            parser = file_or_folder if of_series else parse
            values["boxes" if column == "box" else column] = parser(text, folder)
        except ValueError as error:
            raise DataError(f"{where}, column {column}: {error}") from None
    if "path" not in values:
        raise DataError(f"{where}, column path: expected the path of a file, got nothing")
    values.setdefault("source", name)
    extra = tuple(
        (key, "" if key in _NAMES and is_missing(key, value) else value)
        for key, value in cells.items()
        if key not in COLUMNS
    )
    try:
        _settle_class(values)
        return Row(**values, extra=extra, origin=where)
    except ValueError as error:
        raise DataError(f"{where}, column {error}") from None


def _settle_class(values: dict[str, Any]) -> None:
    """Move a tumor class from label to tumor_class, and spell classes in the canonical way.

    Raises:
        ValueError: the two contradict each other.
    """
    label, named = values.get("label", ""), values.get("tumor_class", "")
    meaning = find_meaning(named) or named
    if label in TUMOR_CLASSES:
        if meaning not in ("", "tumor", label):
            raise ValueError(f"tumor_class: expected {label}, as the label says, got {named!r}")
        values["label"], meaning = "tumor", label
    if meaning in LABELS:  # says no more than a label does
        if values.setdefault("label", meaning) != meaning:
            raise ValueError(f"tumor_class: expected none, as the label is {label}, got {named!r}")
        meaning = ""
    elif meaning:
        values.setdefault("label", "tumor")
    values["tumor_class"] = meaning


def _label(text: str, _folder: Path) -> str:
    meaning = find_meaning(text)
    if meaning is None:
        raise ValueError(
            f"expected {', '.join(LABELS)} or nothing, got {text!r}; names of class folders such "
            "as yes, healthy or glioma are understood, too"
        )
    return meaning


def _split(text: str, folder: Path) -> str:
    return spell_split(PARSERS["split"](text, folder))


_PARSERS = PARSERS | {"label": _label, "split": _split}
"""Column -> what its cell is read with: the text, the folder of the manifest."""
