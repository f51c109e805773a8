"""A folder of overlays, one a slice, each named after the file that it shows.

No name comes from inside a file: a series is told from others by a digest of its UID, and a part of
a path that some system would refuse or misread (a member of an archive may have any name) is
replaced.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import takewhile
from pathlib import Path, PurePath
from threading import get_ident

from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.files.contents import HEAD_BYTES, is_drawn
from tumorlens.imaging.slices import Slice
from tumorlens.report.pictures.overlay import draw, encode
from tumorlens.study_finding import SeriesFinding
from tumorlens.writing import cannot_write, make_folder, name_place

__all__ = ["HeatmapFolder", "common_folder", "digest_name", "make_safe", "name_series"]

_HOLDERS = (".zip", "dicomdir")  # files that hold several series, as folders do
_LONGEST = 160  # bytes of a part of a path: file systems take 255, and a mark follows
_UP = "up"  # stands for .. in a path that leads out of the common folder
_DIFFERENCE = ".heatmap"  # between a picture x.png and its overlay
_UNSAFE = re.compile(
    r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udc7f\udd00-\udfff]|[. ]+$'
)
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(?=\.|$)", re.IGNORECASE)
_SOURCE = re.compile(rb"tEXtSource\0([0-9a-f]{10} [0-9a-f]{10})")
"""What an overlay says of its scan: digests of its path and of its pixels."""
_NAME_REFUSED = {
    *(errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ)
}


class HeatmapFolder:
    """Saves overlays under a folder, in the tree of the files that they show.

    ``a/scan.jpg`` becomes ``DIR/a/scan.jpg.png``, ``a/scan.png`` ``DIR/a/scan.heatmap.png``; slice
    12 of ``vol.nii.gz`` becomes ``DIR/vol.nii.gz.0012.png``. So no two files share a picture, and
    each picture names its file. A name that is too long, or taken by another file, makes way to a
    short one with a digest: an overlay of another scan, which an earlier run may have left, is not
    replaced. One is that of the same scan if its path or its pixels are the same.

    Args:
        folder: made if it is not there; overlays of the same scans are replaced in it.
        base: the folder that the tree begins in.

    Raises:
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        self._base = base
        make_folder(folder)

    def save(self, slice_: Slice, finding: Finding) -> Path:
        """Draw and save one overlay; gives its path.

        Raises:
            UsageError: it cannot be written.
        """
        info = slice_.info
        source = f"{_name_source(info)} {hashlib.sha256(slice_.pixels.tobytes()).hexdigest()[:10]}"
        data = encode(draw(slice_, finding), source)
        path = self.place(info)
        try:
            return _write(path, data, source)
        except OSError as error:
            if error.errno not in _NAME_REFUSED:
                raise cannot_write(path, error) from error
        path = self.folder / _name_briefly(info)
        with name_place(path):
            return _write(path, data, source)

    def place(self, info: SliceInfo) -> Path:
        """Where the overlay of a slice goes."""
        # A path may name a member of an archive, so it is taken apart as text.
        path = PurePath(os.path.abspath(info.path))  # noqa: PTH100 - no member lies on the disk
        try:
            relative = PurePath(os.path.relpath(path, self._base))
        except ValueError:  # another drive
            relative = path
        parts = [part for part in relative.parts if part not in (relative.anchor, os.curdir)]
        *folders, name = parts or [path.name or "slices"]
        if name == os.pardir:  # the common folder lies inside of the series' own
            name = path.name or "slices"
        folders = [_UP if part == os.pardir else make_safe(part) for part in folders]
        return self.folder.joinpath(*folders, _name_overlay(make_safe(name), _mark(info)))

    def has(self, info: SliceInfo) -> bool:
        """Whether the overlay of a slice is there, be it under its brief name."""
        own = _name_source(info)
        places = self.place(info), self.folder / _name_briefly(info)
        return any(_is_overlay(place, own) for place in places)

    def holds(self, path: str) -> bool:
        """Whether a file lies in this folder."""
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.folder))


def _mark(info: SliceInfo) -> str:
    """What tells the slices of one path apart: series and frame."""
    if info.plane is None and info.position_mm is None and not info.frame:
        return ""
    holds_series = not Path(info.path).is_file() or info.path.lower().endswith(_HOLDERS)
    uid = info.series_instance_uid if holds_series else None
    return f".{digest_name(uid)}.{info.frame:04d}" if uid else f".{info.frame:04d}"


def _name_overlay(name: str, mark: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    if not mark and stem and suffix.lower() == "png":
        return f"{stem}{_DIFFERENCE}{dot}{suffix}"
    return f"{name}{mark}.png"


def _name_briefly(info: SliceInfo) -> str:
    """A name that is short on any disk and still the slice's own."""
    return f"{digest_name(os.path.abspath(info.path))}{_mark(info)}.png"  # noqa: PTH100


def _name_source(info: SliceInfo) -> str:
    """Ten characters that stand for a slice, wherever the run was started."""
    path = os.path.abspath(info.path)  # noqa: PTH100 - it may name a member of an archive
    return digest_name(f"{path} {info.frame} {info.series_instance_uid or ''}")


def make_safe(part: str) -> str:
    """A part of a path that no system refuses or takes for something else.

    What is changed gets a digest of what it was, so that two parts do not become one.
    """
    safe = _UNSAFE.sub("_", part)
    if _DEVICES.match(safe):
        safe = f"_{safe}"
    safe = _cut(safe, _LONGEST)
    ours = safe == _UP or safe.lower().endswith(_DIFFERENCE)
    return f"{safe}-{digest_name(part)}" if safe != part or ours else part


def _cut(part: str, most: int) -> str:
    """The first characters that take at most so many bytes."""
    while len(part.encode(errors="surrogateescape")) > most:
        part = part[: max(1, min(len(part) - 1, most))]
    return part


def digest_name(text: str) -> str:
    """Ten characters that stand for a text in a name."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:10]


def name_series(series: SeriesFinding) -> str:
    """A name for a file of a series: that of its path, told from others by a digest."""
    path = os.path.abspath(series.path)  # noqa: PTH100 - it may lie in an archive
    whole = f"{path} {series.series_instance_uid or ''} {series.volume or 0}"
    return f"{make_safe(PurePath(path).name or 'series')}.{digest_name(whole)}"


def _write(path: Path, data: bytes, source: str) -> Path:
    """Write an overlay whole, or not at all; replace one of the same scan, but no other file.

    Raises:
        OSError: `FileExistsError` where another file is in the way, among others.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path) and not _is_overlay(path, source):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    # Two threads may draw one file that was named twice.
    partial = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        with suppress(OSError):  # what went wrong first is what counts
            partial.unlink(missing_ok=True)
        raise
    return path


def _is_overlay(path: Path, source: str) -> bool:
    """Whether a file is an overlay, and shares one of the words that stand for its scan."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    found = _SOURCE.search(head)
    same = found is None or set(found[1].decode().split()) & set(source.split())
    return is_drawn(head) and bool(same)


def common_folder(paths: Iterable[str]) -> Path:
    """The folder that all named files and folders lie in; here, if there is no common one."""
    folders = [path if path.is_dir() else path.parent for path in map(_before_pattern, paths)]
    try:
        return Path(os.path.commonpath([folder.absolute() for folder in folders]))
    except ValueError:
        return Path.cwd()


def _before_pattern(path: str) -> Path:
    """The path up to the first part that is a pattern."""
    parts = takewhile(lambda part: not set(part) & set("*?["), Path(path).parts)
    return Path(*parts) if not Path(path).exists() else Path(path)
