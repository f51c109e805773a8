from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tumorlens.errors import InputError
from tumorlens.imaging.readers import read_object
from tumorlens.imaging.sandbox import Sandbox


@pytest.fixture
def sandbox(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sandbox = Sandbox("sandboxed", seconds=20)
    yield sandbox
    sandbox.close()


def test_requests_are_answered_in_one_process(sandbox, capfd) -> None:
    requests = [bytes([n]) * 300_000 + b"!" for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sandbox.call, requests)) == [one[::-1] for one in requests]
    assert capfd.readouterr() == ("", "")


def test_what_is_raised_there_is_raised_here(sandbox) -> None:
    with pytest.raises(ValueError, match="asked to"):
        sandbox.call(b"raise")
    assert sandbox.call(b"ab") == b"ba"


def test_a_crash_is_survived(sandbox) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError, match="crashed"):
            sandbox.call(b"abort")
        assert sandbox.call(b"ab") == b"ba"


def test_a_hang_is_ended(sandbox) -> None:
    sandbox.call(b"")  # the start counts, too
    sandbox._seconds = 0.2
    with pytest.raises(RuntimeError, match="crashed"):
        sandbox.call(b"hang")


def test_a_frame_that_aborts_gdcm_is_an_error(capfd) -> None:
    """One byte of a lossless JPEG changed: GDCM ends the process that decodes it."""
    path = get_testdata_file("JPEG-LL.dcm", download=False)
    data = bytearray(Path(path).read_bytes())
    data[data.index(b"\xff\xd8\xff") + 15] = 0
    with pytest.raises(InputError, match="the decoder crashed"):
        list(read_object(bytes(data)))
    assert len(list(read_object(Path(path).read_bytes()))) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_process_gets_its_own(sandbox) -> None:
    import os

    sandbox.call(b"")
    child = os.fork()
    if child == 0:
        good = sandbox.call(b"child") == b"dlihc"
        sandbox.close()
        os._exit(0 if good else 1)
    assert sandbox.call(b"parent") == b"tnerap"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
