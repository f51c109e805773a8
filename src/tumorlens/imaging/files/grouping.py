"""What a DICOMDIR or a zip archive holds, gathered into series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tumorlens.errors import InputError
from tumorlens.imaging.files.contents import HEAD_BYTES, is_file, open_file, sniff
from tumorlens.imaging.files.parts import Opener, Part, Skipped, is_inside
from tumorlens.imaging.series.gathering import Gathering

__all__ = ["open_archive", "open_directory"]

Found = Skipped | InputError

_OUTSIDE = "points outside of its folder"
_NESTED = "no DICOM file, but what is read outside of an archive: unpack it"


def open_directory(path: Path, name: str, gathering: Gathering) -> Iterator[Found]:
    """Gather the files that a DICOMDIR lists.

    Raises:
        InputError: it is damaged, or lists no image.
    """
    from tumorlens.imaging.dicom.datasets import read_directory

    with open_file(path, name) as stream:
        listed = read_directory(stream, name, gathering.limits)
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
    yield from _not_empty(gathering.add(parts, name), gathering, name, "lists no image")


def open_archive(part: Part, gathering: Gathering, *, named: bool) -> Iterator[Found]:
    """Gather the DICOM files in a zip archive; nothing is written to disk.

    Args:
        part: the archive.
        gathering: takes the files in.
        named: whether the caller named it; else it is skipped if it holds no DICOM image.

    Raises:
        InputError: it is damaged, or was named and holds no DICOM image.
    """
    reason = "holds no DICOM image"
    try:
        yield from _not_empty(_find_members(part, gathering), gathering, part.path, reason)
    except InputError as error:
        if named or error.reason != reason:
            raise
        yield Skipped(part.path, reason)


def _find_members(archive: Part, gathering: Gathering) -> Iterator[Found]:
    parts = []
    with Opener(gathering.limits) as opener:
        for member in opener.list_members(archive):
            part = Part(f"{archive.path}/{member}", archive.file, member)
            if not is_inside(member):
                yield InputError(part.path, _OUTSIDE, "do not trust this archive")
                continue
            try:
                kind = sniff(opener.read_head(part, HEAD_BYTES))
            except InputError as error:
                yield error
                continue
            if kind == "dicom":
                parts.append(part)
            else:
                yield Skipped(part.path, "no DICOM file" if kind is None else _NESTED)
    yield from gathering.add(parts, archive.path)


def _not_empty(
    found: Iterator[Found], gathering: Gathering, path: str, reason: str
) -> Iterator[Found]:
    """Pass everything on; an error at the end if there was nothing but skipped files."""
    before, empty = len(gathering), True
    for one in found:
        empty = empty and isinstance(one, Skipped)
        yield one
    if empty and len(gathering) == before:
        raise InputError(path, reason, "give a folder or a file of images")


def _find_listed(root: Path, words: Sequence[str]) -> Path:
    """The file as listed; discs copied by some systems have their names in lower case."""
    file = root.joinpath(*words)
    lower = root.joinpath(*(word.lower() for word in words))
    return lower if not is_file(file) and is_file(lower) else file
