"""Paths, folders, patterns, archives and lists become sources: units that are read one at a time.

- A file named by the caller is read by itself, whatever its content and its name; DICOM files of
  one series that are named one after another, as a shell does, are read as that series.
- A folder is walked, names in natural order, files before folders; so is one that a pattern
  matches, and what else it matches in there is not taken twice. A file that is no image by
  content *and* by name is skipped, and said to be; so is a hidden folder.
- A DICOMDIR, named, stands for the files that it lists; a zip archive for the DICOM files in it. An
  entry that points outside their folder is an error.
- DICOM files of folders, DICOMDIRs and archives are grouped into series by Series Instance UID,
  from their headers alone and however they are spread. So they come last, behind all else.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from tumorlens.errors import InputError
from tumorlens.imaging.dicom.filemeta import DIRECTORY, read_file_meta
from tumorlens.imaging.files.access import is_file, open_file
from tumorlens.imaging.files.contents import (
    DRAWN,
    HEAD_BYTES,
    VOLUMES,
    Kind,
    describe,
    is_drawn,
    sniff,
)
from tumorlens.imaging.files.gathering import (
    Gathering,
    join_named,
    open_archive,
    open_directory,
)
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.files.stored_files import Found, Skipped, Source, StoredFile
from tumorlens.imaging.raster import RASTER_SUFFIXES, holds_labels
from tumorlens.imaging.volumes.content import LABELS, names_labels, refuse_content
from tumorlens.remote.addresses import hide_secrets, is_address, spell_address
from tumorlens.writing import PARTIAL

__all__ = ["HIDDEN", "Found", "Skipped", "Source", "find_sources", "is_hidden", "name_file"]

_VOLUME_ENDINGS = (
    *(".nii", ".nii.gz", ".img", ".hdr", ".img.gz", ".hdr.gz"),
    *(".nrrd", ".nhdr", ".mha", ".mhd", ".mgh", ".mgz"),
)
_PACKED_ENDINGS = (".nii.bz2", ".nii.xz", ".nii.zst")  # nobody reads them, but they are images
_BESIDE_ENDINGS = (".raw", ".zraw", ".raw.gz", ".raw.bz2")
_DRAWN_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nii", ".nii.gz")
_DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
_IMAGE_ENDINGS = (*_VOLUME_ENDINGS, *_PACKED_ENDINGS, *_DICOM_ENDINGS)
_SYSTEM_FOLDERS = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information"}
)
HIDDEN = "a hidden folder: name it to have it read"
"""Why a folder is skipped that `is_hidden`."""

_ELSEWHERE = "is an address, and this reads files of this machine"
_FETCHED = "give it to predict, or copy what lies there"
_LISTING = "check its rights, and that its path is not too long"


def find_sources(
    paths: Iterable[str | PathLike[str]],
    *,
    limits: Limits = DEFAULT_LIMITS,
    together: bool = True,
    apart: Callable[[StoredFile], Hashable] | None = None,
) -> Iterator[Found]:
    """Sources of files, folders and patterns, in the order given; nothing is decoded.

    Args:
        paths: taken one by one, so that they may come from a pipe.
        limits: for headers that are read.
        together: DICOM series are put together from all ``paths``, and come last (those of named
            files in their place); else from what lies below one of them.
        apart: of a DICOM file; those for which it differs are never of one series.

    Yields:
        a `Source`; a `Skipped` file; or an `InputError`, not raised, for what cannot be a source.
    """
    found = _find_all(paths, Gathering(limits, apart), together=together)
    if not together:
        yield from found
        return
    for are_files, group in groupby(found, _is_named_dicom):
        if are_files:
            files = [one for one in group if isinstance(one, Source)]
            yield from join_named(files, limits, apart) if len(files) > 1 else files
        else:
            yield from group


def _find_all(
    paths: Iterable[str | PathLike[str]], gathering: Gathering, *, together: bool
) -> Iterator[Found]:
    for given in paths:
        yield from _find(fspath(given), gathering)
        if not together:
            yield from gathering.give_out()
    yield from gathering.give_out()


def _is_named_dicom(found: Found) -> bool:
    return isinstance(found, Source) and found.named and found.kind == "dicom"


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sorts ``slice2`` before ``slice10``."""
    words = re.split(r"(\d+)", name.casefold())
    return tuple((int(word), "") if word.isdecimal() else (-1, word) for word in words)


def _find(name: str, gathering: Gathering) -> Iterator[Found]:
    path = Path(name)
    try:
        if not name:
            yield InputError("''", "is an empty name", "name a file or a folder")
        elif is_address(name) and not os.path.lexists(path):
            yield InputError(hide_secrets(spell_address(name)), _ELSEWHERE, _FETCHED)
        elif os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises where access is denied
            yield from _walk(path, gathering)
        elif not os.path.lexists(path) and glob.has_magic(name):
            yield from _expand(name, gathering)
        else:
            yield from _name_file(path, name, gathering)
    except ValueError as error:  # a null byte in the name
        yield InputError(name, f"is not a possible file name ({error})")


def _expand(pattern: str, gathering: Gathering) -> Iterator[Found]:
    try:
        matches = sorted(glob.glob(_keep_folders(pattern), recursive=True), key=natural_key)  # noqa: PTH207
    except RecursionError:
        yield InputError(pattern, "leads through too many folders", "name a folder, not a pattern")
        return
    if not matches:
        yield InputError(pattern, "no file matches this pattern", "check the spelling")
    folders = {Path(match) for match in matches if os.path.isdir(match)}  # noqa: PTH112
    for match in matches:
        if not folders.isdisjoint(Path(match).parents):
            continue  # found again when that folder is walked
        drawn = _is_drawn(StoredFile(match, Path(match)))
        yield from (Skipped(match, DRAWN),) if drawn else _find(match, gathering)


def _keep_folders(pattern: str) -> str:
    """The pattern, in which folders that are there stand for themselves: ``scan[1]/*.dcm``."""
    path = Path(pattern)
    there = next((parent for parent in path.parents if os.path.lexists(parent)), Path())
    if not glob.has_magic(str(there)):
        return pattern
    return os.path.join(glob.escape(str(there)), path.relative_to(there))  # noqa: PTH118


def name_file(path: Path, name: str, limits: Limits) -> Iterator[Found]:
    """A file named by the caller: one source, or those that a DICOMDIR or an archive stands for.

    Args:
        path: no folder, and no pattern.
        name: how the caller named it.
        limits: for headers that are read.
    """
    gathering = Gathering(limits)
    yield from _name_file(path, name, gathering)
    yield from gathering.give_out()


def _name_file(path: Path, name: str, gathering: Gathering) -> Iterator[Found]:
    try:
        part = _find_part(path, name)
        kind = None if part.member or _is_picture(name) else _look(part.file, name)
        if kind == "zip":
            yield from open_archive(part, gathering, named=True)
        elif kind == "directory":
            yield from open_directory(path, name, gathering)
        else:
            yield Source(name, (part,), _guess_kind(name), named=True)
    except InputError as error:
        yield error


def _find_part(path: Path, name: str) -> StoredFile:
    """The file, or a member of an archive, which records name ``ARCHIVE/MEMBER``."""
    if not os.path.lexists(path):
        for parent in path.parents:
            if is_file(parent):
                return StoredFile(name, parent, path.relative_to(parent).as_posix())
    return StoredFile(name, path)


def _look(file: Path, name: str) -> Kind | Literal["directory"] | None:
    """What a file holds, by its first bytes."""
    with open_file(file, name) as stream:
        kind = sniff(stream.read(HEAD_BYTES))
        if kind == "dicom" and read_file_meta(stream).sop_class == DIRECTORY:
            return "directory"
    return kind


def _walk(top: Path, gathering: Gathering) -> Iterator[Found]:
    """Files of a folder, then its folders. Links that lead back are noticed by their inode."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                yield Skipped(str(folder), "a link to a folder that was read already")
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = {entry.name: _kind_of_entry(entry) for entry in entries}
        except OSError as error:
            yield InputError(str(folder), f"cannot be listed ({error.strerror})", _LISTING)
            continue
        names = sorted(found, key=natural_key)
        yield from _skip_special(folder, [name for name in names if found[name] == "special"])
        yield from _sort_files(folder, [name for name in names if found[name] == "file"], gathering)
        folders = [name for name in names if found[name] == "folder"]
        for name in filter(is_hidden, folders):
            yield Skipped(str(folder / name), HIDDEN)
        waiting += [folder / name for name in reversed(folders) if not is_hidden(name)]


def is_hidden(name: str) -> bool:
    """Whether a folder keeps what a system or a program puts aside: copies and small pictures."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


def _kind_of_entry(entry: os.DirEntry[str]) -> Literal["folder", "file", "special"]:
    """Kind of an entry of a folder. What is named like a picture is a file, to get its error."""
    try:
        if entry.is_dir():
            return "folder"
        return "file" if entry.is_file() or _is_image(entry.name) else "special"
    except OSError:  # a link in a circle, or into a folder that may not be entered
        return "file"


def _skip_special(folder: Path, names: Sequence[str]) -> Iterator[Skipped]:
    for name in names:
        yield Skipped(str(folder / name), "a pipe, a socket, a device or a link to nothing")


def _sort_files(folder: Path, names: Sequence[str], gathering: Gathering) -> Iterator[Found]:
    """Pictures and volumes at once, in order; DICOM files are gathered."""
    series: list[StoredFile] = []
    present = {name.lower() for name in names}
    for name in names:
        part = StoredFile(str(folder / name), folder / name)
        if name.startswith("._"):
            yield Skipped(part.path, "a file of notes that macOS writes")
        elif name.endswith(PARTIAL):
            yield Skipped(part.path, "a result that is not complete")
        elif _is_drawn(part):
            yield Skipped(part.path, DRAWN)
        elif _is_picture(name):
            yield _tell_picture(part, gathering.limits)
        elif not _is_second_name(name, present):
            try:
                yield from _classify(part, series, gathering)
            except InputError as error:
                yield error
    yield from gathering.add(series, str(folder))


def _classify(part: StoredFile, series: list[StoredFile], gathering: Gathering) -> Iterator[Found]:
    """Sources of a file in a folder that is no picture by name; a DICOM file goes to ``series``."""
    kind = _look(part.file, part.path)
    if kind == "dicom":
        series.append(part)
    elif kind == "zip":
        yield from open_archive(part, gathering, named=False)
    elif kind == "directory":
        yield Skipped(part.path, "index of the DICOM files around it")
    elif kind == "raster" or (kind in VOLUMES and kind != "analyze") or _is_image(part.path):
        guess = "volume" if kind in VOLUMES else _guess_kind(part.path)
        if kind == "raster" or guess == "raster":
            yield _tell_picture(part, gathering.limits)
            return
        content = _tell_content(kind, part, gathering.limits) if guess == "volume" else ""
        yield Skipped(part.path, content) if content else Source(part.path, (part,), guess)
    else:
        with open_file(part.file, part.path) as stream:
            head = stream.read(HEAD_BYTES)
        yield Skipped(part.path, "an encrypted file" if kind == "secure" else describe(head))


def _tell_picture(part: StoredFile, limits: Limits) -> Source | Skipped:
    """A picture as a source, unless it is a label map by its name and by its pixels."""
    if names_labels(part.path):
        try:
            with open_file(part.file, part.path) as stream:
                if holds_labels(stream, part.path, limits):
                    return Skipped(part.path, refuse_content(part.path, LABELS).reason)
        except InputError:
            pass  # its reader reports the fault
    return Source(part.path, (part,), "raster")


def _tell_content(kind: Kind | None, part: StoredFile, limits: Limits) -> str:
    from tumorlens.imaging.volumes.reading import tell_content

    return tell_content(kind, part.file, part.path, limits)


def _is_drawn(part: StoredFile) -> bool:
    """Whether a file in a folder is a result of this program, by its name and its content."""
    if not part.path.lower().endswith(_DRAWN_ENDINGS):
        return False
    try:
        with open_file(part.file, part.path) as stream:
            return is_drawn(stream.read(HEAD_BYTES))
    except InputError:
        return False  # its reader reports the fault


def _is_second_name(name: str, present: set[str]) -> bool:
    """Whether a file belongs to another one, which is read instead."""
    lower = name.lower()
    stem = lower.removesuffix(".gz").removesuffix(".hdr")
    if ".hdr" in lower and {f"{stem}.img", f"{stem}.img.gz"} & present:
        return True
    stems = (lower.removesuffix(end) for end in _BESIDE_ENDINGS if lower.endswith(end))
    return any({f"{stem}.mhd", f"{stem}.nhdr"} & present for stem in stems)


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in RASTER_SUFFIXES  # noqa: PTH122


def _is_image(name: str) -> bool:
    """By its name alone."""
    return _is_picture(name) or name.lower().endswith(_IMAGE_ENDINGS)


def _guess_kind(name: str) -> Literal["raster", "volume", "dicom"]:
    if _is_picture(name):
        return "raster"
    return "volume" if name.lower().endswith(_VOLUME_ENDINGS) else "dicom"
