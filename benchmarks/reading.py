"""Read every file of the test data of pydicom and nibabel, and count the outcomes.

    python benchmarks/reading.py [--list] [FOLDER ...]

Prints one line per reason: how many files were read, and how many were refused and why. It also
shows any traceback, Python warning, or message of a decoder on standard error. The files are those
that ``pydicom``, ``pydicom-data`` and ``nibabel`` install; further folders may be named.
"""

from __future__ import annotations

import argparse
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tumorlens.errors import InputError
from tumorlens.imaging.readers import read_slices


def find_pydicom_files() -> list[Path]:
    """Test files of pydicom and of pydicom-data; nothing is downloaded."""
    import pydicom.data

    names = pydicom.data.get_testdata_files("**/*") + pydicom.data.get_testdata_files()
    return sorted({Path(name) for name in names if Path(name).is_file()})


def find_nibabel_files() -> list[Path]:
    """Test files that nibabel installs."""
    import nibabel

    root = Path(nibabel.__file__).parent
    return sorted(file for file in root.rglob("tests/data/*") if file.is_file())


def judge_file(path: Path) -> str:
    """``read``, or why the file was refused: the error's reason without its particulars."""
    try:
        count = sum(1 for _ in read_slices(path))
    except InputError as error:
        reason = re.sub(r"\(.*|:.*", "", error.reason)
        return "refused: " + re.sub(r"\d+ x \d+", "N x N", reason).strip()
    return "read" if count else "nothing to read"


def count_outcomes(paths: Iterable[Path], listed: bool = False) -> Counter[str]:
    """Outcome -> number of files."""
    outcomes: Counter[str] = Counter()
    for path in paths:
        outcome = judge_file(path)
        outcomes[outcome] += 1
        if listed:
            print(f"{path.name}\t{outcome}")
    return outcomes


def find_sets(folders: Iterable[Path]) -> Iterator[tuple[str, list[Path]]]:
    yield "pydicom", find_pydicom_files()
    yield "nibabel", find_nibabel_files()
    for folder in folders:
        yield str(folder), sorted(file for file in folder.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--list", action="store_true", help="print each file's outcome")
    options = parser.parse_args()
    warnings.simplefilter("error")
    for name, paths in find_sets(options.folders):
        start = time.perf_counter()
        outcomes = count_outcomes(paths, options.list)
        print(f"\n{name}: {len(paths)} files, {time.perf_counter() - start:.1f} s")
        for outcome, count in outcomes.most_common():
            print(f"{count:6}  {outcome}")


if __name__ == "__main__":
    main()
