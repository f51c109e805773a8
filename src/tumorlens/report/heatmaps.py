"""A folder of overlays, one a slice, each named after the file that it shows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from tumorlens.errors import UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.slices import Slice
from tumorlens.report.overlay import draw

__all__ = ["HeatmapFolder", "common_folder"]

_HOLDERS = (".zip", "dicomdir")  # files that hold several series, as folders do


class HeatmapFolder:
    """Saves overlays under a folder, in the tree of the files that they show.

    ``a/scan.jpg`` becomes ``DIR/a/scan.jpg.png``; slice 12 of ``vol.nii.gz`` becomes
    ``DIR/vol.nii.gz.0012.png``. So no two files share a picture, and each picture names its file.

    Args:
        folder: made if it is not there; pictures in it are replaced.
        base: the folder that the tree begins in.

    Raises:
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        self._base = base
        self._make(folder)

    def save(self, slice_: Slice, finding: Finding) -> Path:
        """Draw and save one overlay; gives its path.

        Raises:
            UsageError: it cannot be written.
        """
        path = self.place(slice_.info)
        self._make(path.parent)
        try:
            # Level 1 is three times as fast as Pillow's own and a tenth larger.
            draw(slice_, finding).save(path, compress_level=1)
        except OSError as error:
            raise UsageError(
                f"{path}: cannot be written ({error.strerror or error}); "
                "free space or choose another folder"
            ) from error
        return path

    def place(self, info: SliceInfo) -> Path:
        """Where the overlay of a slice goes."""
        # A path may name a member of an archive, so it is taken apart as text.
        try:
            relative = os.path.relpath(info.path, self._base)
        except ValueError:  # another drive
            relative = info.path
        parts = [part for part in Path(relative).parts if part not in (Path(relative).anchor, ".")]
        parts = ["up" if part == os.pardir else part for part in parts]
        return self.folder.joinpath(*parts[:-1], parts[-1] + _mark(info) + ".png")

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{folder}: no folder can be made there ({error.strerror}); choose another"
            ) from error


def _mark(info: SliceInfo) -> str:
    """What tells the slices of one path apart: series and frame."""
    if info.plane is None and info.position_mm is None and not info.frame:
        return ""
    holds_series = not Path(info.path).is_file() or info.path.lower().endswith(_HOLDERS)
    uid = info.series_instance_uid if holds_series else None
    return f".{uid}.{info.frame:04d}" if uid else f".{info.frame:04d}"


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
