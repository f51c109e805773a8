"""The viewer as a server: who gets in, what it answers, and how it ends."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from urllib.parse import quote

import pytest
from PIL import Image

from heads import paint_slice, write_folder
from models import write_tiny_model
from tumorlens.cli.main import run
from tumorlens.errors import MissingExtra
from viewing.viewers import open_viewer

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def viewer(model):
    with open_viewer("--model", str(model), "--threads", "1") as opened:
        yield opened


def ask(viewer, path, method="GET", body=None, token=None, **headers):
    """(status, headers, body) of an answer; names of headers have underscores here."""
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(
            method, f"/{viewer.token if token is None else token}/{path}", body, given
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def tell(viewer, path, method="GET", body=None, status=200):
    found, _, data = ask(viewer, path, method, body)
    assert found == status, data
    return json.loads(data)


def hand_in(viewer, files):
    """The job of some files, judged."""
    upload = tell(viewer, "api/uploads", "POST", status=201)["upload"]
    for name, data in files.items():
        tell(viewer, f"api/uploads/{upload}/files?name={quote(name)}", "POST", data, 201)
    job = tell(viewer, f"api/uploads/{upload}/judge", "POST", status=201)
    end = time.monotonic() + 30
    while job["state"] in ("waiting", "judging"):
        assert time.monotonic() < end
        time.sleep(0.02)
        job = tell(viewer, f"api/jobs/{job['key']}")
    return job


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "slice.png"
    Image.fromarray(paint_slice()).save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "stranger",
    [
        {"token": "guessed"},
        {"token": ""},
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "api/uploads")])
def test_strangers_are_refused(viewer, stranger, method, path):
    given = {name: value.format(port=viewer.port) for name, value in stranger.items()}
    status, _, body = ask(viewer, path, method, **given)
    assert status == 403
    assert b"not known here" in body


def test_the_own_page_gets_in_by_both_names(viewer):
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{viewer.port}"
        assert ask(viewer, "", Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        *("../../routes.py", "..%2f..%2froutes.py", "%2e%2e/%2e%2e/routes.py", "....//routes.py"),
        *("/etc/passwd", "vendor/../../routes.py", "..\\routes.py", "api/jobs/../../../x"),
    ],
)
def test_no_path_leads_out_of_the_page(viewer, path):
    assert ask(viewer, path)[0] in (403, 404)


def test_answers_carry_a_policy_that_lets_nothing_out(viewer):
    for path in ("", "main.js", "api/state", "vendor/niivue.js"):
        status, headers, _ = ask(viewer, path)
        assert status == 200
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_a_picture_is_judged_shown_and_forgotten(viewer, picture):
    job = hand_in(viewer, {"my pictures/über slice.png": picture})
    assert (job["state"], job["title"], job["slices"]) == ("done", "my pictures", 1)
    base = f"api/jobs/{job['key']}"
    result = tell(viewer, f"{base}/result")
    (scene,) = result["scenes"]
    assert scene["path"] == "my pictures/über slice.png"
    assert scene["slices"][0]["verdict"] == "tumor"
    for name, start in {
        "scan.nii": b"\x5c\1\0\0", "heat.nii": b"\x5c\1\0\0", "small.jpg": b"\xff\xd8",
        "slices/0.png": b"\x89PNG",
    }.items():  # fmt: skip
        status, _, data = ask(viewer, f"{base}/scenes/0/{name}")
        assert (status, data[: len(start)]) == (200, start), name
    _, headers, lines = ask(viewer, f"{base}/records.jsonl")
    assert headers["content-disposition"].startswith("attachment")
    assert json.loads(lines)["verdict"] == "tumor"
    assert ask(viewer, base, "DELETE")[0] == 204
    assert ask(viewer, f"{base}/scenes/0/scan.nii")[0] == 404


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("api/jobs/unknown", "GET", 404),
        ("api/jobs/unknown/result", "GET", 404),
        ("api/jobs/unknown", "DELETE", 204),
        ("api/uploads/unknown/judge", "POST", 404),
        ("api/uploads/unknown/files?name=x", "POST", 404),
    ],
)
def test_what_is_not_there_is_told(viewer, path, method, status):
    assert ask(viewer, path, method)[0] == status


def test_wrong_numbers_and_names_are_told(viewer, picture):
    job = hand_in(viewer, {"a.png": picture})
    base = f"api/jobs/{job['key']}/scenes"
    assert ask(viewer, f"{base}/7/scan.nii")[0] == 404
    assert ask(viewer, f"{base}/0/other.nii")[0] == 404
    assert ask(viewer, f"{base}/0/slices/7.png")[0] == 404
    status, _, body = ask(viewer, f"{base}/0/evidence.nii.gz")
    assert (status, "single picture" in body.decode()) == (422, True)


def test_a_name_that_leads_out_is_no_file(viewer):
    upload = tell(viewer, "api/uploads", "POST", status=201)["upload"]
    path = f"api/uploads/{upload}/files?name={quote('../../x')}"
    assert "no possible name" in tell(viewer, path, "POST", b"x", 422)["error"]
    job = tell(viewer, f"api/uploads/{upload}/judge", "POST", status=201)
    while job["state"] in ("waiting", "judging"):
        job = tell(viewer, f"api/jobs/{job['key']}")
    assert "no image found" in job["error"]


def test_pages_for_people_run_nothing(viewer, picture):
    pytest.importorskip("jinja2")
    status, headers, page = ask(viewer, "card.html")
    assert (status, b"Known failures" in page) == (200, True)
    assert "sandbox" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    job = hand_in(viewer, {"a.png": picture})
    status, headers, page = ask(viewer, f"api/jobs/{job['key']}/report.html?download")
    assert (status, b"For research only" in page) == (200, True)
    assert "tumorlens-report.html" in headers["content-disposition"]


def list_left():
    import tempfile
    from pathlib import Path

    return set(Path(tempfile.gettempdir()).glob("tumorlens-*"))


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (None, signal.SIGINT),
        (
            "import sys, tumorlens\n"
            "tumorlens.view(sys.argv[1], model=sys.argv[3], browser=False,"
            " notice=lambda words: print(words, file=sys.stderr, flush=True))",
            signal.SIGTERM,
        ),
    ],
    ids=["command", "python"],
)
def test_it_judges_what_is_named_and_leaves_nothing_at_its_end(model, tmp_path, code, number):
    before = list_left()
    write_folder(tmp_path / "scans", tumors=2, healthy=1)
    more = {} if code is None else {"code": code}
    with open_viewer(str(tmp_path / "scans"), "--model", str(model), **more) as viewer:
        (job,) = tell(viewer, "api/state")["jobs"]
        end = time.monotonic() + 30
        while job["state"] != "done":
            assert time.monotonic() < end
            time.sleep(0.05)
            job = tell(viewer, f"api/jobs/{job['key']}")
        result = tell(viewer, f"api/jobs/{job['key']}/result")
        verdicts = [scene["slices"][0]["verdict"] for scene in result["scenes"]]
        assert sorted(verdicts) == ["no_tumor", "tumor", "tumor"]
        assert viewer.interrupt(number)[0] == 0
    assert list_left() <= before


def test_a_taken_port_is_told(model, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ["view", "--no-browser", "--port", str(port), "--model", str(model)]
        assert run(words) == 2
    told = capsys.readouterr().err
    assert f"port {port} cannot be used (Address already in use)" in told
    assert "name another one with --port" in told


def test_a_scan_that_is_not_there_is_told(model, capsys):
    assert run(["view", "not/there", "--no-browser", "--model", str(model)]) == 2
    assert "not/there: does not exist" in capsys.readouterr().err
    assert run(["view", "s3://bucket/scans"]) == 2
    assert "s3://bucket/scans: is an address, and this shows files of" in capsys.readouterr().err


def test_a_missing_extra_is_told(monkeypatch):
    import sys

    import tumorlens

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"view needs the library 'uvicorn'.*\[view\]"):
        tumorlens.view()
