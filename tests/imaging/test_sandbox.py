"""Helper processes: whatever happens in one costs one answer."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.codecs import apart, interpreter
from tumorlens.imaging.codecs.interpreter import find_python
from tumorlens.imaging.codecs.sandbox import Lost, Sandbox, Unavailable
from tumorlens.imaging.readers import read_object, read_slices
from tumorlens.workers import available_cores

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux has them")


@pytest.fixture
def sandbox(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sandbox = Sandbox("sandboxed")
    yield sandbox
    sandbox.close()


def ask(sandbox, data=b"", *, seconds=20.0, memory=2**26, largest=2**24, **facts):
    return sandbox.call(facts, data, seconds=seconds, memory=memory, largest=largest)


def test_questions_of_many_threads_are_answered(sandbox, capfd) -> None:
    requests = [bytes([n]) * 300_000 + b"!" for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: ask(sandbox, one, number=one[0]), requests))
    assert answers == [({"length": 300_001, "number": one[0]}, one[::-1]) for one in requests]
    assert capfd.readouterr() == ("", "")


def test_a_process_is_used_again(sandbox) -> None:
    ask(sandbox)
    with sandbox.hold() as first:
        pass
    with sandbox.hold() as second, sandbox.hold() as third:
        assert first is second and second is not third


def test_processes_stay_also_for_more_threads_than_cores(sandbox) -> None:
    """A pool of many threads ended and started them again and again."""

    def hold_many():
        with ExitStack() as held:
            return {held.enter_context(sandbox.hold()) for _ in range(available_cores() + 1)}

    assert hold_many() == hold_many()


@pytest.mark.parametrize(("word", "reason"), [("raise", "asked to"), ("panic", "of range at line")])
def test_what_is_raised_there_is_raised_here(sandbox, word, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        ask(sandbox, do=word)
    assert ask(sandbox, b"ab")[1] == b"ba"


@pytest.mark.parametrize("word", ["abort", "leave"])
def test_a_crash_is_survived(sandbox, word) -> None:
    for _ in range(2):
        with pytest.raises(Lost, match="crashed"):
            ask(sandbox, do=word)
        assert ask(sandbox, b"ab")[1] == b"ba"


def test_a_hang_is_ended(sandbox) -> None:
    start = time.perf_counter()
    with pytest.raises(Lost, match="took more than 1 s"):
        ask(sandbox, do="hang", seconds=0.6)
    assert time.perf_counter() - start < 150  # of 300; a busy machine takes its time
    assert ask(sandbox, b"ab")[1] == b"ba"


@linux
def test_memory_is_limited_for_each_question(sandbox) -> None:
    with pytest.raises(ValueError, match="out of memory"):
        ask(sandbox, do="eat", size=2**31)
    assert ask(sandbox, do="eat", size=2**29, memory=2**30)[0] == {"size": 2**29}
    with pytest.raises(ValueError, match="out of memory"):
        ask(sandbox, do="eat", size=2**30)
    assert len(ask(sandbox, bytes(2**26), largest=2**26)[1]) == 2**26  # data is not counted


def test_an_answer_is_no_larger_than_it_may_be(sandbox) -> None:
    with pytest.raises(Lost):
        ask(sandbox, bytes(2000), largest=1000)
    assert ask(sandbox, b"ab")[1] == b"ba"


def test_data_that_ends_early_is_an_error_and_no_lock(sandbox) -> None:
    with sandbox.hold() as helper, pytest.raises(Lost):
        helper.call({}, 10, iter([b"abc"]), seconds=9, memory=None, largest=99)

    def fail():
        yield b"abc"
        raise OSError(5, "Input/output error")

    with sandbox.hold() as helper, pytest.raises(OSError, match="Input/output"):
        helper.call({}, 10, fail(), seconds=9, memory=None, largest=99)
    assert ask(sandbox, b"ab")[1] == b"ba"


def test_an_interrupt_leaves_no_half_message(sandbox) -> None:
    def interrupt():
        yield b"abc"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), sandbox.hold() as helper:
        helper.call({}, 10, interrupt(), seconds=9, memory=None, largest=99)
    assert ask(sandbox, b"ab")[1] == b"ba"


@linux
def test_a_pause_of_the_whole_program_is_no_hang() -> None:
    """Ctrl-Z, or a closed laptop."""
    code = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from tumorlens.imaging.codecs.sandbox import Sandbox\n"
        "with Sandbox('sandboxed').hold() as helper:\n"
        "    print('ready', flush=True)\n"
        "    print(helper.call({'do': 'wait'}, seconds=1.5, memory=None, largest=9)[0])\n"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as program:
        assert program.stdout.readline() == b"ready\n"
        os.killpg(program.pid, signal.SIGSTOP)
        time.sleep(3)
        os.killpg(program.pid, signal.SIGCONT)
        assert b"wait" in program.stdout.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_gets_its_own(sandbox) -> None:
    ask(sandbox)
    child = os.fork()
    if child == 0:
        good = ask(sandbox, b"child")[1] == b"dlihc"
        sandbox.close()
        os._exit(0 if good else 1)
    assert ask(sandbox, b"parent")[1] == b"tnerap"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@linux
def test_no_process_outlives_a_program_that_is_killed() -> None:
    code = (
        "import os, sys; sys.path.append(sys.argv[1]); import subprocess\n"
        "from tumorlens.imaging.codecs.sandbox import Sandbox\n"
        "with Sandbox('sandboxed').hold() as helper:\n"
        "    print(helper._process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent)]
    pid = int(subprocess.run(words, capture_output=True, check=False, text=True).stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the helper process is still there")


def test_only_an_interpreter_is_started(monkeypatch, tmp_path) -> None:
    """Not the program itself: frozen, or one that embeds Python."""
    assert find_python() == sys.executable
    for name in ("uwsgi", "blender", "my_python_app", "pythonista", "Slicer.exe"):
        monkeypatch.setattr(sys, "executable", str(tmp_path / name))
        (tmp_path / name).touch(0o755)
        assert Path(find_python()).name.startswith("python")  # the one that lies in sys.prefix
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        assert find_python() is None
        monkeypatch.undo()
    for mark in ("frozen", "oxidized"):
        monkeypatch.setattr(sys, mark, True, raising=False)
        assert find_python() is None and "frozen" in interpreter.why_none()
        monkeypatch.undo()


def test_a_program_that_is_no_python_is_not_asked_twice(monkeypatch, tmp_path) -> None:
    trail = tmp_path / "trail"
    false = tmp_path / "python3"
    false.write_text(f"#!/bin/sh\necho again >> '{trail}'\nexit 3\n")
    false.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(false))
    sandbox = Sandbox("sandboxed")
    for _ in range(3):
        with pytest.raises(Unavailable, match="starts no helper process"):
            ask(sandbox)
    assert trail.read_text() == "again\n"


def test_processes_may_be_left_alone_for_a_while(sandbox) -> None:
    ask(sandbox)
    with sandbox.without_processes("just so"), pytest.raises(Unavailable, match="just so"):
        ask(sandbox)
    assert ask(sandbox, b"ab")[1] == b"ba"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc's malloc")
def test_small_buffers_stay_for_the_next_picture(tmp_path) -> None:
    """Pages that are mapped anew for each picture cost half of what decoding it takes."""
    pixels = np.add.outer(np.arange(512), np.arange(512)).astype(np.uint8)
    path = builders.write_picture(tmp_path / "a.jpg", pixels)

    def count_faults() -> int:
        with apart.sandbox.hold() as helper:
            status = Path(f"/proc/{helper._process.pid}/stat").read_text()
        return int(status.rpartition(")")[2].split()[7])

    def read(times: int) -> int:
        before = count_faults()
        for _ in range(times):
            assert len(list(read_slices(path))) == 1
        return count_faults() - before

    read(5)
    assert read(20) < 20 * 20


def test_without_processes_pictures_are_decoded_here_and_the_log_says_so(tmp_path) -> None:
    """Once, and in a process of its own: what is disabled stays so."""
    path = get_testdata_file("JPEG-LL.dcm", download=False)
    code = (
        "import sys; sys.frozen = True; sys.executable = '/nowhere/my_app'\n"
        "from tumorlens.imaging.readers import read_slices\n"
        "a, b = (list(read_slices(sys.argv[1])) for _ in range(2))\n"
        "print(len(a), len(b), a[0].pixels.max() > a[0].pixels.min())\n"
    )
    words = [sys.executable, "-c", code, path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "1", "True"]
    assert done.stderr.count("decoded in this process") == 1 and "frozen" in done.stderr


def test_a_frame_that_aborts_gdcm_is_an_error(capfd) -> None:
    """One byte of a lossless JPEG changed: GDCM ends the process that decodes it."""
    path = get_testdata_file("JPEG-LL.dcm", download=False)
    data = bytearray(Path(path).read_bytes())
    data[data.index(b"\xff\xd8\xff") + 15] = 0
    with pytest.raises(InputError, match="the decoder crashed"):
        list(read_object(bytes(data)))
    assert len(list(read_object(Path(path).read_bytes()))) == 1
    assert capfd.readouterr() == ("", "")
