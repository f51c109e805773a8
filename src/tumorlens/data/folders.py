"""Manifests from folders: class folders of pictures or volumes, and trees of DICOM and NIfTI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from tumorlens.data.class_names import (
    SKIP,
    ClassNames,
    find_patient,
    find_split,
    is_container,
)
from tumorlens.data.rows import Manifest, Row, absolute_path
from tumorlens.data.tumor_masks import TumorMasks
from tumorlens.data.volumes import describe_broken, describe_volume, find_subject, is_mask
from tumorlens.digits import say_count
from tumorlens.errors import DataError, InputError
from tumorlens.imaging.files.contents import DRAWN
from tumorlens.imaging.files.sources import HIDDEN, Skipped, Source, find_sources
from tumorlens.imaging.files.stored_files import StoredFile
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.volumes.content import LABELS
from tumorlens.progress import Notice, stay_silent

__all__ = ["read_folder"]

Found = Source | InputError

_SHOWN = 6
_BESIDE_IMAGES = ("a text file", "a file of notes that macOS writes", HIDDEN, DRAWN)
"""What class folders hold that nobody takes for an image."""

_HEAD_OF_SLICES = 12
"""From so many slices on a volume is taken for a whole head, whose ends show no tumor."""


def read_folder(
    place: Path, *, classes: Mapping[str, str] | None = None, notice: Notice = stay_silent
) -> Manifest:
    """Read a folder of class folders, or a tree of DICOM and NIfTI files.

    The nearest folder with a known name gives the class, one named train, validation or test the
    split. Where the files of a class lie in folders of their own, each such folder is a group.
    Without any class folder, DICOM and NIfTI files become rows without label. Where a volume has a
    mask of its tumor, by the names of public sets (`TumorMasks`), that labels each slice. A file
    that cannot be read keeps its row (`Manifest.unreadable`): whoever reads the slices tells of all
    of them.

    Args:
        place: the folder, absolute.
        classes: folder name -> meaning, beside the known names; see `ClassNames`.
        notice: called with a sentence on hidden folders, and on files in class folders, that are
            left out, on folders above class folders, on masks, and on volumes whose slices are all
            labelled tumor.

    Raises:
        DataError: nothing readable, or folders whose names say no class.
        InputError: a folder that cannot be listed, or an archive that points outside itself.
    """
    names = ClassNames(classes or {})
    files: list[Path] = []
    sources = list(_sources(place, names, notice, files))
    masks = TumorMasks(files, names)
    if not sources:
        raise DataError(
            f"{place}: holds no picture, DICOM or NIfTI file; expected class folders such as "
            "yes/ and no/, a manifest.csv, or a tree of DICOM or NIfTI files"
        )
    meanings = [_meaning(place, source, names) for source in sources]
    if any(meaning is not None for meaning in meanings):
        rows = _label(place, sources, meanings, names, masks=masks, notice=notice)
        _tell_upper({_find_upper(place, source, names) for source in sources} - {""}, notice)
    else:
        rows = _unlabelled(place, sources, masks)
    for told in masks.tell():
        notice(told)
    if not rows:
        raise DataError(f"{place}: all that it holds is skipped; expected slices")
    return Manifest(_drop_lone_groups(rows), place.name, place)


def _sources(place: Path, names: ClassNames, notice: Notice, masks: list[Path]) -> Iterator[Found]:
    """What may be a scan; what may be a mask goes to ``masks``."""

    def label(part: StoredFile) -> tuple[str | None, str | None]:
        """Class and split of a file: slices of one series may lie in the folders of two classes."""
        folders = absolute_path(part.file).relative_to(place).parts[:-1]
        splits = [split for split in map(find_split, folders) if split is not None]
        return _find_meaning(folders, names), splits[-1] if splits else None

    hidden: list[str] = []
    others: Counter[str] = Counter()
    for found in find_sources([place], apart=label):
        if isinstance(found, InputError):
            path = Path(found.path)
            if path.is_dir() or ".." in path.parts:
                raise found
            yield _with_text_names(found)
        elif isinstance(found, Skipped):
            hidden += [found.path] if found.reason == HIDDEN else []
            masks += [Path(found.path)] if LABELS in found.reason else []
            if _is_missed(place, found, names):
                others[found.reason] += 1
        elif is_mask(found):
            masks.append(found.files[0])
        else:
            yield _with_text_names(found)
    if hidden:
        notice(_tell_hidden(hidden))
    if others:
        notice(_tell_others(others))


def _is_missed(place: Path, found: Skipped, names: ClassNames) -> bool:
    """Whether a file that no reader takes lies in the folder of a class, and may be an image."""
    if found.reason in _BESIDE_IMAGES or LABELS in found.reason:
        return False
    folders = absolute_path(Path(found.path)).relative_to(place).parts[:-1]
    return _find_meaning(folders, names) not in (None, SKIP)


def _tell_others(reasons: Counter[str]) -> str:
    kinds = [f"{reason}: {count:,}" for reason, count in reasons.most_common(_SHOWN)]
    shown = "; ".join(kinds) + ("; …" if len(reasons) > _SHOWN else "")
    return (
        f"{say_count(reasons.total(), 'file')} in class folders left out ({shown}); "
        "save as PNG what is a labelled image"
    )


def _tell_hidden(folders: Sequence[str]) -> str:
    shown = ", ".join(folders[:_SHOWN]) + (", …" if len(folders) > _SHOWN else "")
    if len(folders) == 1:
        return f"1 hidden folder is left out: {shown}; rename it if it holds labelled images"
    return (
        f"{len(folders)} hidden folders are left out: {shown}; "
        "rename those that hold labelled images"
    )


def _with_text_names(source: Found) -> Found:
    """Refuse names that a manifest cannot hold, before hours of work on their slices."""
    for path in {str(_file(source)), source.path}:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{ascii(path)[1:-1]}: its name is not UTF-8, so no table can hold it; rename it"
            ) from None
    return source


def _file(source: Found) -> Path:
    return Path(source.path) if isinstance(source, InputError) else source.files[0]


def _folders(place: Path, source: Found) -> tuple[str, ...]:
    """Names of the folders between ``place`` and the first file, outermost first."""
    return absolute_path(_file(source)).relative_to(place).parts[:-1]


def _meaning(place: Path, source: Found, names: ClassNames) -> str | None:
    return _find_meaning(_folders(place, source), names)


def _find_meaning(folders: Sequence[str], names: ClassNames) -> str | None:
    """The meaning of the innermost folder that has one. Inside a skipped folder it is skip."""
    found = [names.find(name) for name in folders]
    known = [meaning for meaning in found if meaning is not None]
    if SKIP in known:
        return SKIP
    return known[-1] if known else None


def _label(
    place: Path,
    sources: Sequence[Found],
    meanings: Sequence[str | None],
    names: ClassNames,
    *,
    masks: TumorMasks,
    notice: Notice,
) -> list[Row]:
    pairs = list(zip(sources, meanings, strict=True))
    _refuse_nameless(place, [source for source, meaning in pairs if meaning is None])
    rows: list[Row] = []
    whole: list[str] = []
    for source, meaning in pairs:
        if meaning is None or meaning == SKIP:
            continue
        label, tumor_class = names.label(meaning)
        group = _subfolder(place, source, names)
        mine = list(_rows(place, source, masks, group=group, sorted_in=True))
        if label == "tumor" and len(mine) >= _HEAD_OF_SLICES and not any(row.label for row in mine):
            whole.append(_file(source).name)
        rows.extend(_class_row(row, label, tumor_class) for row in mine)
    _tell_whole(whole, notice)
    return rows


def _class_row(row: Row, label: str, tumor_class: str) -> Row:
    """A row with the class of its folder. Of a tumor, a mask may have told which slices show it."""
    if label == "no_tumor":  # what is marked there is none
        return replace(row, label=label, tumor_class="", mask=None)
    if row.label == "no_tumor":
        return row
    return replace(row, label=label, tumor_class=tumor_class)


def _tell_whole(names: Sequence[str], notice: Notice) -> None:
    """Say that volumes in folders of tumors label all of their slices so: no whole head is so."""
    if names:
        notice(
            f"{say_count(len(names), 'volume or series', 'volumes or series')} in folders of "
            f"tumors, such as {names[0]}: each of their slices is labelled tumor, also those that "
            "show none. Unless all do, write a manifest with the label of each slice "
            "(`tumorlens split` writes one to begin with)"
        )


def _refuse_nameless(place: Path, sources: Iterable[Found]) -> None:
    paths = {"/".join(_folders(place, source)): _file(source).name for source in sources}
    if "" in paths:
        raise DataError(
            f"{place}: {paths['']} lies in no class folder; expected folders such as yes/ and no/ "
            "in it, or a manifest.csv that gives each image a label"
        )
    folders = set(paths)
    if folders:
        shown = ", ".join(sorted(folders)[:_SHOWN]) + (", …" if len(folders) > _SHOWN else "")
        first = sorted(folders)[0].split("/")[-1]
        raise DataError(
            f"{place}: no class is known for the folders {shown}; expected names such as yes, no, "
            "tumor, no_tumor, healthy, normal, glioma, meningioma or pituitary; say what "
            f"{first!r} means with `classes=`: tumor, no_tumor, a tumor class, or {SKIP}"
        )


def _unlabelled(place: Path, sources: Sequence[Found], masks: TumorMasks) -> list[Row]:
    pictures = [
        source for source in sources if isinstance(source, Source) and source.kind == "raster"
    ]
    _refuse_nameless(place, pictures)
    return [row for source in sources for row in _rows(place, source, masks, group="")]


def _rows(
    place: Path, source: Found, masks: TumorMasks, *, group: str, sorted_in: bool = False
) -> Iterator[Row]:
    folders = _folders(place, source)
    splits = [split for split in map(find_split, folders) if split is not None]
    words = " ".join([*folders, _file(source).name])
    for row in _slices(source, words, masks, sorted_in=sorted_in):
        yield replace(
            row,
            source=place.name,
            group=row.group or group or find_patient(_file(source).name),
            sequence=row.sequence or guess_sequence(words) or "",
            split=splits[-1] if splits else "",
        )


def _slices(source: Found, words: str, masks: TumorMasks, *, sorted_in: bool) -> Iterator[Row]:
    if isinstance(source, InputError):
        yield describe_broken(source)
    elif source.kind == "raster":
        yield Row(absolute_path(source.path), group=find_subject(words))
    else:
        yield from describe_volume(source, words, masks, sorted_in=sorted_in)


def _subfolder(place: Path, source: Found, names: ClassNames) -> str:
    """The folder of the file, if it lies under its class folder and tells nothing else."""
    folders = _folders(place, source)
    last = max(number for number, name in enumerate(folders) if names.find(name) is not None)
    below = [name for name in folders[last + 1 :] if not _is_plain(name)]
    return "/".join(below)


def _find_upper(place: Path, source: Found, names: ClassNames) -> str:
    """The folders above the class folder of a file that tell nothing known."""
    folders = _folders(place, source)
    first = next((at for at, name in enumerate(folders) if names.find(name) is not None), 0)
    return "/".join(name for name in folders[:first] if not _is_plain(name))


def _tell_upper(folders: Set[str], notice: Notice) -> None:
    """Say that folders above class folders are not taken for patients, nor for splits."""
    if len(folders) > 1:
        shown = ", ".join(sorted(folders)[:_SHOWN]) + (", …" if len(folders) > _SHOWN else "")
        notice(
            f"{len(folders)} folders hold class folders ({shown}): they are not taken for "
            "patients, splits or hospitals. If they are hospitals, name each of them in place of "
            "the folder that holds them; if they are patients or splits, write a manifest with "
            "the column group or split"
        )


def _is_plain(name: str) -> bool:
    """Whether a folder's name is a split, a sequence or the like, and no patient."""
    known = find_split(name) is not None or guess_sequence(name) is not None
    return known or is_container(name)


def _drop_lone_groups(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Drop the group if one folder holds every file (``images``): it is no patient."""
    groups = {row.group for row in rows}
    if len(groups) == 1 and len(rows) > 1 and not any(row.frame is not None for row in rows):
        return tuple(replace(row, group="") for row in rows)
    return tuple(rows)
