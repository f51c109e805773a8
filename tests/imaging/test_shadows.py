"""What lies beside a script and is called as a library is: it must not get in the way."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

import builders
from tumorlens.imaging.files.shadows import find_libraries, hide_shadows

FOLDERS = ("dl", "DLFCN", "gdcm", "indexed_gzip", "libjpeg", "jpeg_ls", "pydicom", "nibabel")
SCRIPT = (
    "import sys\n"
    "from tumorlens.imaging.readers import read_slices\n"
    "print([sum(1 for _ in read_slices(path)) for path in sys.argv[1:]])\n"
)


@pytest.mark.parametrize("kind", ["folder", "module", "package"])
@pytest.mark.parametrize("how", ["script", "-c", "-m"])
def test_folders_and_files_beside_a_script(tmp_path, kind, how) -> None:
    volume = np.arange(20**3).reshape(20, 20, 20).astype(np.int16)
    paths = [
        get_testdata_file("JPEG-LL.dcm", download=False),
        get_testdata_file("MR_small_RLE.dcm", download=False),
        str(builders.write_nifti(tmp_path / "a.nii.gz", volume)),
    ]
    for name in FOLDERS:
        place = tmp_path / name
        if kind == "module":
            place.with_suffix(".py").write_text("raise SystemExit('the wrong module')\n")
        else:
            place.mkdir()
            (place / ("__init__.py" if kind == "package" else "notes.txt")).touch()
    (tmp_path / "mine.py").write_text(SCRIPT)
    words = {"script": ["mine.py"], "-c": ["-c", SCRIPT], "-m": ["-m", "mine"]}[how]
    done = subprocess.run(
        [sys.executable, *words, *paths], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[1, 1, 20]\n", done.stderr


def test_all_is_as_before_afterwards(monkeypatch) -> None:
    own, before = types.ModuleType("dl"), [*sys.path]
    monkeypatch.setitem(sys.modules, "dl", own)
    with hide_shadows(), pytest.raises(ImportError):
        import dl  # noqa: F401
    assert sys.modules["dl"] is own and "DLFCN" not in sys.modules and sys.path == before


def test_a_folder_that_holds_libraries_is_not_hidden(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "app.py")])
    monkeypatch.setattr(sys, "path", [str(tmp_path), "/libraries"])
    assert str(tmp_path) not in find_libraries()
    home = Path(np.__file__).parents[1]
    monkeypatch.setattr(sys, "argv", [str(home / "app.py")])
    monkeypatch.setattr(sys, "path", [str(home), "/libraries"])
    assert str(home) in find_libraries()
