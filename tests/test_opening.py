"""Only what comes to an end is opened for reading."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tumorlens.opening import IrregularFile, open_regular, open_table, read_text

unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="special files as Unix has them")


def make_special(path: Path, kind: str) -> Path:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


@unix
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_special_files_are_refused_at_once(tmp_path, kind) -> None:
    path = make_special(tmp_path / "a", kind)
    for opened in (open_regular, open_table, read_text):
        with pytest.raises(IrregularFile, match="is no regular file"):
            opened(path)


@unix
def test_a_pipe_that_takes_the_place_of_a_file_meanwhile(tmp_path, monkeypatch) -> None:
    """Whoever asks first and opens then may open another file."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    before = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda _: before)
    with pytest.raises(IrregularFile):
        open_regular(path)


def test_files_are_read(tmp_path) -> None:
    path = tmp_path / "a"
    path.write_bytes("\ufeffä\r\n".encode())
    with open_regular(path) as stream:
        assert stream.read() == path.read_bytes() and stream.seek(0) == 0
    with open_table(path) as table:
        assert table.read() == "ä\r\n"
    assert read_text(path) == "\ufeffä\r\n"
    path.write_bytes(b"")
    assert read_text(path) == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files of /proc")
def test_files_that_state_no_size() -> None:
    assert read_text(Path("/proc/self/status")).startswith("Name:")
    with pytest.raises(OSError, match="Input/output error"):
        open_regular(Path("/proc/self/mem"))
