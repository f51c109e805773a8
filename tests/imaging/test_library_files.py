"""Every file of pydicom's and nibabel's own test data is read, or refused in one clear line."""

from __future__ import annotations

import importlib.util
import re
import shutil
import warnings
from pathlib import Path

from shared_data import ROOT, SHARED, needs_shared
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import Source, find_sources
from tumorlens.imaging.files.stored_files import Skipped
from tumorlens.imaging.readers import iterate_slices
from tumorlens.imaging.slices import Slice

_spec = importlib.util.spec_from_file_location("reading", ROOT / "benchmarks" / "reading.py")
assert _spec is not None and _spec.loader is not None
reading = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reading)

SLOW = ("RG", "color3d", "examples_ybr")
"""Large frames, or many, of a kind that others show."""

REFUSED = re.compile(
    "PAR/REC|text file|XML file|TrackVis|HDF5|netCDF|ECAT|file of an unknown type|gzip|mosaic|"
    "without a picture|has no pixels|radiotherapy dose|segmentation|only .* pixels|constant image|"
    "file is missing|label map|mask of one bit|lists no image|12-bit JPEG|are stated|"
    "cannot be decoded|cut short|packed with"
)


def count_read(paths: list[Path]) -> int:
    """Read all files; how many gave slices. Whatever is refused has one of the known reasons."""
    read = 0
    for path in paths:
        with warnings.catch_warnings(action="error"):
            items = list(iterate_slices(path))
        errors = [item for item in items if isinstance(item, InputError)]
        assert items, path
        for error in errors:
            assert REFUSED.search(error.reason) and "\n" not in str(error), str(error)
        read += len(errors) < len(items)
    return read


# The counts may not shrink by accident; benchmarks/reading.py prints all of them.


def test_pydicom_files(capfd) -> None:
    small = [path for path in reading.find_pydicom_files() if not path.name.startswith(SLOW)]
    assert count_read(small) >= 130
    assert capfd.readouterr() == ("", "")


def test_nibabel_files(capfd) -> None:
    assert count_read(reading.find_nibabel_files()) >= 7
    assert capfd.readouterr() == ("", "")


@needs_shared
def test_every_web_picture_is_read() -> None:
    """The set as it was downloaded: JPEG and PNG, grey, colors, palettes and transparency."""
    sources = list(find_sources([SHARED / "data" / "navoneel"]))
    pictures = [one for one in sources if isinstance(one, Source)]
    assert len(pictures) == 253
    for picture in pictures:
        (item,) = iterate_slices(picture)
        assert isinstance(item, Slice)


def test_objects_without_a_class_are_no_cut_files(tmp_path) -> None:
    """They hold none of the elements that a series is told by, but others."""
    names = ("UN_sequence.dcm", "priv_SQ.dcm", "nested_priv_SQ.dcm", "meta_missing_tsyntax.dcm")
    for path in (path for path in reading.find_pydicom_files() if path.name in names):
        shutil.copy(path, tmp_path)
    found = list(find_sources([tmp_path]))
    skipped = [one.reason for one in found if isinstance(one, Skipped)]
    assert len(skipped) == len(names) and "cut short" not in " ".join(map(str, found))
