"""DICOM files become series: from a folder, a DICOMDIR or a zip archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tumorlens.errors import InputError
from tumorlens.imaging.contents import HEAD_BYTES, is_file, open_file, sniff
from tumorlens.imaging.limits import Limits
from tumorlens.imaging.parts import Found, Opener, Part, Skipped, Source, is_inside

__all__ = ["group_series", "open_archive", "open_directory"]

_OUTSIDE = "points outside of its folder"


def group_series(parts: Sequence[Part], where: str, limits: Limits) -> Iterator[Found]:
    """Sources of DICOM files by series, files sorted by position; what is no image is skipped.

    Only headers are read. A multi-frame object is a source by itself.

    Args:
        parts: files that may belong together.
        where: names a series of several files: their folder, DICOMDIR or archive.
        limits: for each file.
    """
    if not parts:
        return
    from tumorlens.imaging.dicom import read_header
    from tumorlens.imaging.series import Place, order_places

    series: dict[tuple[str, int], list[tuple[Part, Place]]] = {}
    with Opener(limits) as opener:
        for index, part in enumerate(parts):
            try:
                with opener.open(part) as stream:
                    header = read_header(stream, part.path, limits)
            except InputError as error:
                yield error
                continue
            if isinstance(header, str):
                yield Skipped(part.path, header)
                continue
            key = (header.series, index + 1 if header.frames > 1 else 0)
            series.setdefault(key, []).append((part, header.place))
    for (uid, _), members in series.items():
        order = order_places([place for _, place in members])
        files = tuple(members[index][0] for index in order)
        path = where if len(files) > 1 else files[0].path
        yield Source(path, files, "dicom", series_uid=uid or None)


def open_directory(path: Path, name: str, limits: Limits) -> Iterator[Found]:
    """Sources of the files that a DICOMDIR lists.

    Raises:
        InputError: it is damaged, or lists no image.
    """
    from tumorlens.imaging.dicom import read_directory

    with open_file(path, name) as stream:
        listed = read_directory(stream, name, limits)
    root = path.absolute().parent
    parts = []
    for words in dict.fromkeys(listed):
        file = _find_listed(root, words)
        if not is_inside("/".join(words)) or not file.resolve().is_relative_to(root.resolve()):
            yield InputError("/".join(words), f"listed in {name}, {_OUTSIDE}", "do not trust it")
        elif not is_file(file):
            yield InputError(str(file), f"no such file, though {name} lists it", "copy it anew")
        else:
            parts.append(Part(str(Path(name).parent / file.relative_to(root)), file))
    yield from _not_empty(group_series(parts, name, limits), name, "lists no image")


def open_archive(part: Part, limits: Limits, *, named: bool) -> Iterator[Found]:
    """Sources of the DICOM files in a zip archive; nothing is written to disk.

    Args:
        part: the archive.
        limits: for each file in it.
        named: whether the caller named it; else it is skipped if it holds no DICOM image.

    Raises:
        InputError: it is damaged, or was named and holds no DICOM image.
    """
    reason = "holds no DICOM image"
    try:
        yield from _not_empty(_find_members(part, limits), part.path, reason)
    except InputError as error:
        if named or error.reason != reason:
            raise
        yield Skipped(part.path, reason)


def _find_members(archive: Part, limits: Limits) -> Iterator[Found]:
    parts = []
    with Opener(limits) as opener:
        for member in opener.list_members(archive):
            part = Part(f"{archive.path}/{member}", archive.file, member)
            if not is_inside(member):
                yield InputError(part.path, _OUTSIDE, "do not trust this archive")
                continue
            try:
                is_dicom = sniff(opener.read_head(part, HEAD_BYTES)) == "dicom"
            except InputError as error:
                yield error
                continue
            if is_dicom:
                parts.append(part)
            else:
                yield Skipped(part.path, "no DICOM file")
    yield from group_series(parts, archive.path, limits)


def _not_empty(found: Iterator[Found], path: str, reason: str) -> Iterator[Found]:
    """Pass everything on; an error at the end if there was nothing but skipped files."""
    empty = True
    for one in found:
        empty = empty and isinstance(one, Skipped)
        yield one
    if empty:
        raise InputError(path, reason, "give a folder or a file of images")


def _find_listed(root: Path, words: Sequence[str]) -> Path:
    """The file as listed; discs copied by some systems have their names in lower case."""
    file = root.joinpath(*words)
    lower = root.joinpath(*(word.lower() for word in words))
    return lower if not is_file(file) and is_file(lower) else file
