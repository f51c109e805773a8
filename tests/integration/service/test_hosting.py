"""The command that serves: who may ask, what it says, and how it ends."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys

import pytest

from heads import write_folder
from models import write_tiny_model

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("python_multipart")

from tumorlens.cli.main import run
from tumorlens.errors import UsageError
from tumorlens.integration.service.ceilings import ServiceLimits

COMMAND = "from tumorlens.cli.main import run; import sys; sys.exit(run(sys.argv[1:]))"
TOKEN = "a-token-of-sixteen-letters-or-more"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def post(port, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/predict", body, {"Content-Type": "image/png", **given})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_it_serves_until_it_is_told_to_end_and_leaves_nothing(model, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "temporary").mkdir()
    picture = write_folder(tmp_path / "scans", tumors=1, healthy=0)[0].read_bytes()
    words = ["serve", "--port", "0", "--model", str(model), "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words, "--token-file", str(tmp_path / "token")],
        stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
    )  # fmt: skip
    try:
        first = process.stderr.readline()
        port = int(re.fullmatch(r"tumorlens serves tiny 0 at http://127.0.0.1:(\d+)\n", first)[1])
        assert process.stderr.readline() == "Requests need the token. End it with Ctrl-C.\n"
        assert post(port, picture)[0] == 401
        status, body = post(port, picture, Authorization=f"Bearer {TOKEN}")
        assert status == 200
        assert b'"verdict":"tumor"' in body
        assert [path.name[:16] for path in (tmp_path / "temporary").iterdir()] == [
            "tumorlens-serve-"
        ]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert [re.sub(r"[\d.]+ s", "S", line)[21:] for line in said.splitlines()] == [
        "POST unknown 401 S, 0 bytes in",
        f"POST /predict 200 S, {len(picture):,} bytes in",
    ]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_it_leaves_nothing_if_it_is_told_to_end_as_soon_as_it_has_begun(model, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "serve", "--port", "0", "--model", str(model)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    try:
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--host", "0.0.0.0"], "lets other machines ask, so a token is needed: give --token-file"),
        (["--host", "::"], "so a token is needed"),
        (["--token", "short"], "--token: expected at least 16 printable ASCII characters"),
        (["--token-file", "absent"], "--token-file absent: cannot be read (No such file"),
        (["--token", TOKEN, "--host", "no.such.host.invalid"], "is no address of this machine"),
    ],
)
def test_what_cannot_be_served_is_refused(words, told, model, capsys):
    assert run(["serve", "--port", "0", "--model", str(model), *words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_port_that_is_taken_is_refused(model, capsys):
    from tumorlens.serving.listening import listen

    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert run(["serve", "--port", port, "--model", str(model)]) == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err


def test_senseless_limits_are_refused():
    with pytest.raises(UsageError, match="`max_files=` counts from 1, got 0"):
        ServiceLimits(max_files=0)
