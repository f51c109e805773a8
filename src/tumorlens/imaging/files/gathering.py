"""DICOM files become series, even where they are spread over folders, DICOMDIRs and archives."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from tumorlens.errors import InputError
from tumorlens.imaging.files.access import Opener, is_file, is_inside, open_file
from tumorlens.imaging.files.contents import HEAD_BYTES, sniff
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.stored_files import Skipped, Source, StoredFile
from tumorlens.imaging.series.places import Place

__all__ = ["Gathering", "join_named", "open_archive", "open_directory"]

Gathered = Skipped | InputError

_STEP = 1024**2
_OUTSIDE = "points outside of its folder"
_UNPACK = "unpack it, and name its folder"
_NESTED = "no DICOM file: files of its type are read only outside of an archive, so unpack it"


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of a series.

    Attributes:
        part: the file.
        where: the folder, DICOMDIR or archive that it lies in, as the caller named it.
        instance: SOP Instance UID; empty if the file names none.
        places: of its frames; empty if its header does not tell how many there are.
    """

    part: StoredFile
    where: str
    instance: str
    places: tuple[Place, ...]


class Gathering:
    """DICOM files by series, wherever they lie. Only headers are read.

    Scanners and archives often spread a series over several folders, so a series is recognised by
    its UID alone. Files that repeat its numbers are a copy or another volume. They become a source
    of their own, unless they lie in the same folder.

    Args:
        limits: for each file.
        apart: of a file; those for which it differs are never of one series.
    """

    def __init__(
        self, limits: Limits, apart: Callable[[StoredFile], Hashable] | None = None
    ) -> None:
        self.limits = limits
        self._apart = apart or (lambda _: None)
        self._series: dict[Hashable, list[_Member]] = {}

    def add(self, parts: Sequence[StoredFile], where: str) -> Iterator[Gathered]:
        """Take in files that lie in one place; those that are no image are skipped.

        Args:
            parts: the files.
            where: their folder, DICOMDIR or archive.
        """
        if not parts:
            return
        from tumorlens.imaging.dicom.datasets import read_header

        with Opener(self.limits) as opener:
            for part in parts:
                try:
                    with opener.open(part, ahead=False) as stream:
                        header = read_header(stream, part.path, self.limits)
                except InputError as error:
                    yield error
                    continue
                if isinstance(header, str):
                    yield Skipped(part.path, header)
                    continue
                member = _Member(part, where, header.instance, header.places)
                key = (header.series, header.origin, self._apart(part))
                alone = (where,) if not header.series else ()
                self._series.setdefault((*key, *alone), []).append(member)

    def give_out(self) -> Iterator[Source]:
        """The series, in the order of their first files; then there are none left."""
        for _, sources in self.give_out_each():
            yield from sources

    def give_out_each(self) -> Iterator[tuple[list[StoredFile], Iterator[Source]]]:
        """The files of each UID, and the sources that they make."""
        while self._series:
            key = next(iter(self._series))
            members = self._series.pop(key)
            uid = key[0] if isinstance(key, tuple) and isinstance(key[0], str) else ""
            parts = [member.part for member in members]
            yield parts, _make_sources(members, uid or None, self.limits)

    def __len__(self) -> int:
        """Files that were taken in and not given out."""
        return sum(map(len, self._series.values()))


def open_directory(path: Path, name: str, gathering: Gathering) -> Iterator[Gathered]:
    """Gather the files that a DICOMDIR lists.

    Raises:
        InputError: it is damaged, or lists no image.
    """
    from tumorlens.imaging.dicom.datasets import read_directory

    with open_file(path, name) as stream:
        listed = read_directory(stream, name, gathering.limits)
    root = path.absolute().parent
    parts, known = [], dict[Path, dict[str, str]]()
    for words in dict.fromkeys(listed):
        file = _find_listed(root, words, known)
        if not is_inside("/".join(words)) or not file.resolve().is_relative_to(root.resolve()):
            yield InputError("/".join(words), f"listed in {name}, {_OUTSIDE}", "do not trust it")
        elif not is_file(file):
            yield InputError(str(file), f"no such file, though {name} lists it", "copy it anew")
        else:
            parts.append(StoredFile(str(Path(name).parent / file.relative_to(root)), file))
    yield from _not_empty(gathering.add(parts, name), gathering, name, "lists no image")


def open_archive(part: StoredFile, gathering: Gathering, *, named: bool) -> Iterator[Gathered]:
    """Gather the DICOM files in a zip archive; nothing is written to disk.

    Args:
        part: the archive.
        gathering: takes the files in.
        named: whether the caller named it; else it is skipped if it holds no DICOM image.

    Raises:
        InputError: it is damaged, or was named and holds no DICOM image.
    """
    reason, others = "holds no DICOM image", 0
    try:
        for one in _not_empty(_find_members(part, gathering), gathering, part.path, reason):
            others += isinstance(one, Skipped) and one.reason == _NESTED
            yield one
    except InputError as error:
        if error.reason != reason:
            raise
        if named and others:
            raise InputError(part.path, f"{reason}, but {_count(others)}", _UNPACK) from error
        if named:
            raise
        yield Skipped(part.path, reason)


def _count(others: int) -> str:
    return "another image or archive" if others == 1 else f"{others} other images or archives"


def _find_members(archive: StoredFile, gathering: Gathering) -> Iterator[Gathered]:
    parts = []
    with Opener(gathering.limits) as opener:
        for member in opener.list_members(archive):
            part = StoredFile(f"{archive.path}/{member}", archive.file, member)
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
    found: Iterator[Gathered], gathering: Gathering, path: str, reason: str
) -> Iterator[Gathered]:
    """Pass everything on; raise an error at the end if all files were skipped."""
    before, empty = len(gathering), True
    for one in found:
        empty = empty and isinstance(one, Skipped)
        yield one
    if empty and len(gathering) == before:
        raise InputError(path, reason, "give a folder or a file of images")


def _find_listed(root: Path, words: Sequence[str], known: dict[Path, dict[str, str]]) -> Path:
    """The file as listed, or as a copy of a disc has it: in lower case, ``IM1;1``, ``IM1.dcm``.

    Args:
        root: folder of the DICOMDIR.
        words: folders and name.
        known: names in folders that were looked at, by their plain form.
    """
    file = root.joinpath(*words)
    if is_file(file) or not is_inside("/".join(words)):
        return file
    place = root
    for word in words:
        if place not in known:
            known[place] = {_plain(name): name for name in _list_names(place)}
        place /= known[place].get(_plain(word), word)
    return place if is_file(place) else file


def _list_names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _plain(name: str) -> str:
    """Without case, version (ISO 9660, 7.5.1) and suffix."""
    return name.casefold().partition(";")[0].removesuffix(".dcm").rstrip(".")


def join_named(
    files: Sequence[Source], limits: Limits, apart: Callable[[StoredFile], Hashable] | None = None
) -> list[Source]:
    """Files that a caller named one by one, those of one series as one: as their folder is read.

    Args:
        files: of DICOM, in the order of the caller. A series lies at the place of its first file;
            else that order says nothing of it. What was named twice stays by itself.
        limits: for headers that are read.
        apart: as `Gathering` takes it.
    """
    placed = dict(enumerate(files))
    numbers = {source.parts[0]: number for number, source in reversed(placed.items())}
    gathering = Gathering(limits, apart)
    for part in sorted(numbers, key=numbers.__getitem__):
        for _ in gathering.add([part], os.path.dirname(part.path) or os.curdir):  # noqa: PTH120
            pass  # its reader reports the fault
    for parts, sources in gathering.give_out_each():
        made = list(sources)
        if not any(source.is_series for source in made):
            continue  # slices that stand alone
        alone = {numbers[one.parts[0]]: files[numbers[one.parts[0]]] for one in made}
        series = {numbers[one.parts[0]]: one for one in made if one.is_series}
        for part in parts:
            del placed[numbers[part]]
        placed |= alone | series
    return [placed[number] for number in sorted(placed)]


def _make_sources(members: Sequence[_Member], uid: str | None, limits: Limits) -> Iterator[Source]:
    """The sources of files of one UID."""
    told = [member for member in members if member.places]
    kept, copies = _drop_copies(told, limits)
    notes = (f"{copies} cop{'y' if copies == 1 else 'ies'} of its files left out",)
    for group in _spread(kept):
        parts = tuple(member.part for member in group)
        places = tuple(member.places for member in group)
        wheres = list(dict.fromkeys(member.where for member in group))
        path = _name(wheres) if len(parts) > 1 else parts[0].path
        joined = (f"put together from {len(wheres)} folders",) if len(wheres) > 1 else ()
        noted = (*joined, *(notes if copies else ()))
        yield Source(path, parts, "dicom", series_uid=uid, places=places, notes=noted)
    for member in members:
        if not member.places:
            yield Source(member.part.path, (member.part,), "dicom", series_uid=uid)


def _name(wheres: Sequence[str]) -> str:
    """The folder that holds all of them; the first one, if a caller would not name that folder."""
    try:
        common = os.path.commonpath(wheres)
    except ValueError:  # absolute and relative ones, or two drives
        return wheres[0]
    if not common:  # relative ones
        return os.curdir
    return common if Path(common).name else wheres[0]


def _drop_copies(members: Sequence[_Member], limits: Limits) -> tuple[list[_Member], int]:
    """Files without exact copies of earlier ones, and the number of copies.

    Bytes are compared: two files with one SOP Instance UID may differ, after editing or after a
    faulty anonymisation.
    """
    told = Counter((member.instance, member.places) for member in members)
    kept: list[_Member] = []
    seen: set[tuple[str, tuple[Place, ...], bytes]] = set()
    with Opener(limits) as opener:
        for member in members:
            alike = member.instance, member.places
            content = _sum(opener, member.part) if member.instance and told[alike] > 1 else b""
            if content and (*alike, content) in seen:
                continue
            seen.add((*alike, content))
            kept.append(member)
    return kept, len(members) - len(kept)


def _sum(opener: Opener, part: StoredFile) -> bytes:
    """A digest of the bytes of a file; empty if it cannot be read."""
    digest = blake2b(digest_size=16)
    try:
        with opener.open(part, ahead=False) as stream:
            while block := stream.read(_STEP):
                digest.update(block)
    except (InputError, OSError):
        return b""
    return digest.digest()


def _spread(members: Sequence[_Member]) -> list[list[_Member]]:
    """Files that are one series: folders whose numbers collide are not joined."""
    folders: dict[str, list[_Member]] = {}
    for member in members:
        folders.setdefault(member.where, []).append(member)
    numbers = {where: _list_numbers(files) for where, files in folders.items()}
    if not _are_numbers_own(list(numbers.values())):
        return [list(members)] if members else []
    groups: list[tuple[list[_Member], set[tuple[int, int]]]] = []
    for where, files in folders.items():
        own = set(numbers[where])
        for joined, taken in groups:
            if not taken & own:
                joined.extend(files)
                taken.update(own)
                break
        else:
            groups.append((list(files), own))
    return [joined for joined, _ in groups]


def _list_numbers(members: Sequence[_Member]) -> list[tuple[int, int]]:
    return [
        (place.number, place.frame)
        for member in members
        for place in member.places
        if place.number is not None
    ]


def _are_numbers_own(folders: Sequence[Sequence[tuple[int, int]]]) -> bool:
    """Whether numbers identify slices: no folder repeats one, and they are not all the same."""
    distinct = {number for numbers in folders for number in numbers}
    return len(distinct) > 1 and all(len(set(numbers)) == len(numbers) for numbers in folders)
