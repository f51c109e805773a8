"""A service of files and archives: what it answers, what it refuses, and what it leaves behind."""

from __future__ import annotations

import io
import json
import re
import socket
import time
import zipfile
from threading import Thread

import numpy as np
import pytest
from PIL import Image

import tumorlens
from builders import write_nifti, write_series
from heads import paint_slice
from study_tables import write_study_model
from tumorlens.detector import Detector

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("python_multipart")

from integration.service.hostile import SECRET, make_hostile
from integration.service.services import make_form, open_service
from tumorlens.integration.service.ceilings import ServiceLimits
from tumorlens.integration.service.openapi import EXAMPLES

TOKEN = "a token of sixteen letters or more"
SMALL = ServiceLimits(max_mib=4, max_files=60, memory_mib=64)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector(write_study_model(tmp_path_factory.mktemp("model")), threads=2)


@pytest.fixture(scope="module")
def service(detector, tmp_path_factory):
    parent = tmp_path_factory.mktemp("service")
    with open_service(detector, parent, SMALL) as opened:
        yield opened
        assert not opened.desk._in_hand
    assert list(parent.iterdir()) == []


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A study of one series and a picture beside it."""
    folder = tmp_path_factory.mktemp("scans")
    lps = np.eye(4)[:, [2, 1, 0, 3]] @ np.diag([5.0, 1.0, 1.0, 1.0])
    volume = np.stack([paint_slice((30, 30) if 3 < k < 7 else None) for k in range(9)])
    write_series(folder / "head", volume.astype(np.uint16), lps)
    Image.fromarray(paint_slice()).save(folder / "alone.png")
    return folder


@pytest.fixture(scope="module")
def archive(scans):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for path in sorted((scans / "head").iterdir()):
            made.write(path, path.relative_to(scans))
    return stream.getvalue()


def read_lines(text):
    """Records without their seconds, which differ from run to run."""
    return [{**json.loads(line), "seconds": 0} for line in text.splitlines()]


def test_an_archive_gets_the_records_of_predict(service, archive, detector, tmp_path):
    (tmp_path / "upload.zip").write_bytes(archive)
    tumorlens.write_records(
        tmp_path / "upload.zip", tmp_path / "r.jsonl", model=detector, summary=True
    )
    reply = service.post("/predict", archive, accept="application/x-ndjson")
    assert reply.status == 200
    wanted = (tmp_path / "r.jsonl").read_text().replace(f"{tmp_path}/", "")
    assert read_lines(reply.body) == read_lines(wanted)


def test_a_form_of_files_is_one_study_with_the_names_of_the_sender(service, scans):
    paths = [path for path in sorted(scans.rglob("*")) if path.is_file()]
    files = [(f"{path.relative_to(scans)}", path.read_bytes()) for path in paths]
    told = service.post_form("/predict", files).json
    assert [study["verdict"] for study in told["studies"]] == ["tumor"]
    assert {one["path"] for one in told["slices"]} == {name for name, _ in files}
    assert len(told["series"]) == 1
    assert told["research_use"] == "For research only, not a medical device."


def test_a_body_that_is_one_file_may_be_named(service, scans):
    picture = (scans / "alone.png").read_bytes()
    told = service.post("/predict?name=a%20b.png", picture, "application/octet-stream").json
    assert [one["path"] for one in told["slices"]] == ["a b.png"]
    assert told["studies"] == []
    assert service.post("/predict", picture, "image/png").json["slices"][0]["path"] == "upload.png"


def test_a_file_of_a_form_may_have_a_name_in_percents_alone(service, scans):
    kind, body = make_form([("NAME", (scans / "alone.png").read_bytes())])
    body = body.replace(b'filename="NAME"', b"filename*=utf-8''t%C3%AAte.png")
    assert service.post("/predict", body, kind).json["slices"][0]["path"] == "tête.png"


@pytest.mark.parametrize("path", ["/predict", "/jobs"])
def test_a_parameter_that_has_no_effect_is_refused(service, path):
    reply = service.post(f"{path}?operating_point=rule_out", b"x", "image/png")
    assert "'operating_point', which has no effect" in check_problem(reply, 400)


def test_what_cannot_be_read_stands_beside_what_can(service, scans):
    picture = (scans / "alone.png").read_bytes()
    told = service.post_form("/predict", [("a.png", picture), ("b.png", picture[:90])])
    assert told.status == 200
    assert [one["error"] is None for one in told.json["slices"]] == [True, False]


def test_examples_have_the_keys_of_real_answers(service, archive):
    told = service.post("/predict", archive).json
    shown = EXAMPLES["result"]
    assert set(shown) == set(told)
    for kind in ("studies", "series", "slices"):
        assert set(shown[kind][0]) <= set(told[kind][0])
    model = service.ask(f"/v2/models/{service.desk.detector.card.name}").json
    assert set(EXAMPLES["model"]["parameters"]) == set(model["parameters"])
    schema = service.ask("/openapi.json").json
    assert set(schema["paths"]) >= {"/predict", "/jobs", "/jobs/{job}", "/v2/health/ready"}
    examples = [
        answer["content"]["application/json"]["example"]
        for path in ("/predict", "/jobs/{job}/result")
        for status, answer in next(iter(schema["paths"][path].values()))["responses"].items()
        if status == "200"
    ]
    assert len(examples) == 2
    assert "HTTPValidationError" not in json.dumps(schema)


def test_a_job_has_a_page_pictures_and_an_end(service, archive):
    begun = service.post("/jobs", archive)
    assert begun.status == 202
    here = begun.headers["location"]
    job = service.wait(begun.json["id"])
    assert set(job) == set(EXAMPLES["job"])
    assert (job["state"], job["slices"], job["error"]) == ("done", 9, None)
    result = service.ask(job["result"]).json
    assert set(result) == set(EXAMPLES["job result"])
    assert set(result["scenes"][0]) == set(EXAMPLES["job result"]["scenes"][0])
    (series,) = result["scenes"]
    assert len(series["pictures"]) == 9
    picture = service.ask(series["pictures"][5])
    assert Image.open(io.BytesIO(picture.body)).format == "PNG"
    assert service.ask(series["evidence"]).body[:2] == b"\x1f\x8b"
    page = service.ask(job["report"])
    assert b"data:image/jpeg" in page.body
    assert "sandbox" in page.headers["content-security-policy"]
    lines = service.ask(job["records"]).body.splitlines()
    assert len(lines) == len(result["slices"]) + len(result["series"]) + len(result["studies"])
    for path in ("scenes/9/slices/0.png", "scenes/0/slices/99.png", "scenes/x/slices/0.png"):
        assert service.ask(f"{here}/{path}").status == 404
    assert service.ask(here, "DELETE").status == 204
    for path in (here, job["result"], series["pictures"][0]):
        assert service.ask(path).status == 404
    assert service.ask(here, "DELETE").status == 404


def test_a_job_of_nothing_that_can_be_read_says_so(service):
    begun = service.post("/jobs", b"no image at all", "application/octet-stream").json
    job = service.wait(begun["id"])
    assert job["state"] == "failed"
    assert "no image found" in job["error"]
    reply = service.ask(f"/jobs/{begun['id']}/result")
    assert (reply.status, reply.json["detail"]) == (422, job["error"])
    service.ask(f"/jobs/{begun['id']}", "DELETE")


def check_problem(reply, status=None):
    assert 400 <= reply.status < 500 if status is None else reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json
    assert told["status"] == reply.status
    assert told["detail"]
    assert "Traceback" not in told["detail"]
    assert "/tmp" not in reply.body.decode()
    return told["detail"]


def test_hostile_bodies_are_refused(service):
    for number in range(52):
        sent = make_hostile(number)
        headers = {} if sent.kind is None else {"content_type": sent.kind}
        reply = service.ask(sent.path, "POST", sent.body, **headers)
        if reply.status == 202:  # a job says later what is wrong
            job = service.wait(reply.json["id"])
            reply = service.ask(f"/jobs/{job['id']}/result")
            service.ask(f"/jobs/{job['id']}", "DELETE")
        assert (sent.words, 400 <= reply.status < 500) == (sent.words, True), reply.body
        check_problem(reply)
    assert not [line for line in service.lines if line.startswith("failed")]
    files = [path for path in service.desk.folder.rglob("*") if path.is_file()]
    assert files == []


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"", "application/zip", 400, "the request holds no file"),
        (b"x", "application/json", 415, "holds no files here"),
        (b"x", "", 415, "Content-Type is missing; send multipart/form-data"),
        (bytes(5 * 2**20), "application/zip", 413, "larger than the 4 MiB"),
        (iter([bytes(2**20)] * 5), "application/zip", 413, "larger than the 4 MiB"),
        (b"PK\x03\x04 torn", "application/zip", 422, "upload.zip: "),
    ],
)
def test_a_refusal_says_why_in_a_sentence(service, body, kind, status, words):
    assert words in check_problem(service.post("/predict", body, kind), status)


def test_more_files_than_allowed_are_refused(service):
    reply = service.post_form("/predict", [(f"{number}.png", b"x") for number in range(61)])
    assert "more than 60 files" in check_problem(reply, 413)


def test_unknown_paths_and_methods(service):
    check_problem(service.ask("/nothing"), 404)
    check_problem(service.ask("/jobs/unknown"), 404)
    assert check_problem(service.ask("/predict"), 405) == "/predict takes POST, not GET"
    unknown = service.ask("/v2/models/other")
    check_problem(unknown, 404)
    assert unknown.json["error"] == unknown.json["detail"]


def test_health_model_and_metrics(service, archive):
    assert service.ask("/v2/health/live").json == {"live": True}
    assert service.ask("/v2/health/ready").json == {"ready": True}
    assert service.ask("/v2").json["name"] == "tumorlens"
    name = service.desk.detector.card.name
    told = service.ask(f"/v2/models/{name}").json
    assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 64, 64]}]
    assert told["outputs"][0]["shape"] == [-1, 2]
    assert service.ask(f"/v2/models/{name}/ready").json["ready"] is True
    service.post("/predict", archive)
    text = service.ask("/metrics").body.decode()
    assert re.search(
        r'tumorlens_requests_total{method="POST",route="/predict",status="200"} \d', text
    )
    assert re.search(r'tumorlens_studies_total{verdict="tumor"} [1-9]', text)
    assert "tumorlens_requests_in_hand 0.0" in text
    assert "process_resident_memory_bytes" in text


def test_no_log_line_and_no_counter_holds_a_name(service, archive, capfd):
    service.post_form("/predict", [(f"{SECRET}.png", b"x")])
    service.post(f"/predict?name={SECRET}.zip", archive)
    service.ask(f"/{SECRET}")
    text = "\n".join(service.lines) + service.ask("/metrics").body.decode()
    assert SECRET not in text + "".join(capfd.readouterr())
    assert all(
        re.fullmatch(r"[A-Z]+ \S+ \d{3} [\d.]+ s, [\d,]+ bytes in", x) for x in service.lines
    )


def test_without_a_token_other_sites_and_names_are_refused(service):
    assert service.ask("/v2", host=f"evil.example:{service.port}").status == 403
    assert service.ask("/v2", origin="http://evil.example").status == 403
    assert service.ask("/v2", sec_fetch_site="cross-site").status == 403
    assert service.ask("/v2", host=f"localhost:{service.port}").status == 200


def test_a_token_is_needed_for_all_but_health(detector, tmp_path):
    with open_service(detector, tmp_path, SMALL, TOKEN) as guarded:
        assert guarded.ask("/v2/health/ready").status == 200
        for path in ("/", "/metrics", "/openapi.json", "/jobs/x"):
            reply = guarded.ask(path)
            check_problem(reply, 401)
            assert reply.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xe9", TOKEN):
            assert guarded.ask("/v2", authorization=wrong).status == 401
        right = guarded.ask("/v2", authorization=f"Bearer {TOKEN}", host="clinic.example")
        assert right.status == 200


def test_one_request_too_many_and_one_too_slow(detector, tmp_path):
    limits = ServiceLimits(max_mib=4, max_requests=1, seconds=0.6)
    with open_service(detector, tmp_path, limits) as busy:
        slow = busy.connect()
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Type", "application/zip")
        slow.putheader("Content-Length", "100")
        slow.endheaders(b"PK")
        end = time.monotonic() + 10
        while not busy.desk._in_hand:
            assert time.monotonic() < end
            time.sleep(0.01)
        refused = busy.post("/predict", b"x", "application/dicom")
        check_problem(refused, 429)
        assert refused.headers["retry-after"] == "5"
        assert slow.getresponse().status == 408
        slow.close()
        assert busy.post("/predict", b"x", "application/dicom").status == 422


def test_a_request_or_a_job_that_is_judged_too_long_is_stopped(detector, tmp_path):
    voxels = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 4000))
    long = write_nifti(tmp_path / "long.nii.gz", voxels).read_bytes()
    limits = ServiceLimits(seconds=0.5, job_seconds=0.2)
    (tmp_path / "service").mkdir()
    with open_service(detector, tmp_path / "service", limits) as hasty:
        reply = hasty.post("/predict", long, "application/gzip")
        assert "took longer than 0.5 seconds; send it to /jobs" in check_problem(reply, 503)
        job = hasty.wait(hasty.post("/jobs", long, "application/gzip").json["id"])
        assert (job["state"], job["error"]) == (
            "stopped", "this job took longer than a job may, and was stopped",
        )  # fmt: skip
        assert hasty.desk.find_job(job["id"]).heard.slices < 4000
        end = time.monotonic() + 10
        while hasty.desk._in_hand:  # the thread has ended, too
            assert time.monotonic() < end
            time.sleep(0.01)


def test_results_are_deleted_after_their_time_and_jobs_are_bounded(detector, tmp_path, archive):
    limits = ServiceLimits(max_results=1, keep_seconds=0.5)
    with open_service(detector, tmp_path, limits) as brief:
        job = brief.post("/jobs", archive).json["id"]
        full = brief.post("/jobs", archive)
        check_problem(full, 503)
        assert full.headers["retry-after"] == "60"
        end = time.monotonic() + 20
        while brief.ask(f"/jobs/{job}").status == 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        while list(brief.desk.folder.iterdir()):  # a job is forgotten first, then deleted
            assert time.monotonic() < end
            time.sleep(0.05)
        assert 'tumorlens_studies_total{verdict="tumor"} 1.0' in brief.ask("/metrics").body.decode()


def test_requests_side_by_side(service, scans):
    kind, body = make_form([("a.png", (scans / "alone.png").read_bytes())])
    found = []
    askers = [
        Thread(target=lambda: found.append(service.post("/predict", body, kind).status))
        for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert found == [200] * 8


def test_a_connection_without_a_request_is_closed_and_one_with_a_request_is_not(
    detector, tmp_path, scans
):
    with open_service(detector, tmp_path, header_seconds=0.2) as patient:
        silent = socket.create_connection(("127.0.0.1", patient.port), timeout=5)
        slow = socket.create_connection(("127.0.0.1", patient.port), timeout=5)
        second = socket.create_connection(("127.0.0.1", patient.port), timeout=5)
        uploading = patient.connect()
        with silent, slow, second:
            uploading.putrequest("POST", "/predict")
            uploading.putheader("Content-Type", "image/png")
            body = (scans / "alone.png").read_bytes()
            uploading.putheader("Content-Length", str(len(body)))
            uploading.endheaders(body[:1])
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127")
            ask = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\n\r\n".encode()
            second.sendall(ask)
            assert second.recv(20).startswith(b"HTTP/1.1 200")
            second.sendall(ask[:10])
            assert silent.recv(10) == b""
            assert slow.recv(10) == b""
            while second.recv(1000):
                pass  # the rest of the first answer, and then the end
            uploading.send(body[1:])
            assert uploading.getresponse().status == 200
            uploading.close()


def test_the_page_of_a_job_shows_pictures_that_belong_to_no_series(service, scans):
    picture = (scans / "alone.png").read_bytes()
    begun = service.post_form("/jobs", [("one.png", picture), ("two.png", picture)]).json
    service.wait(begun["id"])
    page = service.ask(f"/jobs/{begun['id']}/report.html").body.decode()
    assert "one.png" in page
    assert "two.png" in page


def test_a_disk_without_room_is_no_fault_of_the_sender(detector, tmp_path):
    with open_service(detector, tmp_path) as full:
        full.desk.folder.rmdir()
        for path in ("/predict", "/jobs"):
            told = full.post(path, b"x", "image/png")
            assert told.status == 507
            assert str(tmp_path) not in told.json["detail"]
