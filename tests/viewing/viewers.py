"""The viewer as a process of its own, as a person starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BY_COMMAND = "from tumorlens.cli.main import run; import sys; sys.exit(run(sys.argv[1:]))"


@dataclass
class Viewer:
    """A viewer that runs.

    Attributes:
        process: its process.
        url: of its page, with the token.
    """

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)/", self.url)[1])

    @property
    def token(self) -> str:
        return self.url.rstrip("/").rpartition("/")[2]

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Ctrl-C, or another signal: its exit code, and what it said last."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@contextmanager
def open_viewer(*words: str, code: str = BY_COMMAND) -> Iterator[Viewer]:
    """Start ``tumorlens view WORDS --no-browser``, or other code that tells its address."""
    given = ["view", "--no-browser", *words] if code is BY_COMMAND else list(words)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *given], stderr=subprocess.PIPE, text=True
    )
    try:
        said = ""
        for line in process.stderr:
            said += line
            found = re.search(r"http://\S+", line)
            if found:
                yield Viewer(process, found[0])
                return
        raise AssertionError(f"the viewer did not begin: {said}")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()
