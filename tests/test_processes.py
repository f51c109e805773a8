"""A detector in other processes: sent by name or path, opened there, and held to its hash."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from brains import paint_brain
from models import make_card, write_tiny_model
from tumorlens.detector import Detector
from tumorlens.errors import InputError, ModelFileError
from tumorlens.exporting.beside import BesideSession
from tumorlens.imaging.files.limits import Limits
from tumorlens.model.card import OperatingPoint
from tumorlens.model.contract import OUTPUTS
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session

METHODS = [name for name in ("spawn", "fork", "forkserver")
           if name in multiprocessing.get_all_start_methods()]  # fmt: skip


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, path in enumerate(paths):
        Image.fromarray(paint_brain(seed)).save(path)
    return paths


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


def tell(findings):
    """What two detectors must agree on, bit for bit."""
    return [(one.info.path, one.verdict, one.tumor_probability, one.boxes) for one in findings]


@pytest.mark.parametrize("method", METHODS)
def test_a_detector_is_sent_to_other_processes(method, pictures):
    detector = Detector(threads=1)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        found = [one for each in pool.map(detector.predict, pictures) for one in each]
    assert tell(found) == tell(detector.predict(pictures))
    assert found[0].activation.shape == detector.predict(pictures[0])[0].activation.shape


_SHARED: dict[str, Detector] = {}


def judge_with_inherited(path):
    return _SHARED["detector"].predict(path)


@pytest.mark.skipif("fork" not in METHODS, reason="this system does not fork")
@pytest.mark.parametrize("session_threads", [1, 2])
def test_a_forked_process_uses_the_detector_that_it_inherits(pictures, session_threads):
    """ONNX Runtime's own threads do not come along; it must do without them, not wait."""
    model = find_model("default")  # the tiny one is too small to be parted among threads
    detector = Detector(Session(model, threads=session_threads), threads=2)
    expected = tell(detector.predict(pictures))
    _SHARED["detector"] = detector
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        waiting = [pool.submit(judge_with_inherited, path) for path in pictures]
        assert tell(one for each in waiting for one in each.result(timeout=300)) == expected


def test_everything_that_was_chosen_comes_along(tmp_path, monkeypatch):
    points = {name: OperatingPoint(low=0.1, middle=0.2, high=0.3) for name in ("balanced", "early")}
    write_tiny_model(tmp_path / "tiny.onnx", make_card(operating_points=points))
    monkeypatch.chdir(tmp_path)
    limits = Limits(smallest_side=20)
    sent = pickle.dumps(
        Detector("tiny.onnx", operating_point="early", threads=3, batch_size=5, limits=limits)
    )
    monkeypatch.chdir("/")
    detector = pickle.loads(sent)
    assert (detector.operating_point, detector.threads, detector.batch_size) == ("early", 3, 5)
    assert (detector.limits, detector.card.operating_points) == (limits, points)
    assert detector.session.path == tmp_path / "tiny.onnx"


def test_little_is_sent_and_the_bundled_model_goes_by_its_name():
    detector = Detector(threads=1)
    sent = pickle.dumps(detector)
    assert len(sent) < 1000
    assert str(detector.session.path.parent).encode() not in sent
    assert pickle.loads(sent).session.sha256 == detector.session.sha256


def test_what_arrives_twice_is_opened_once(model):
    sent = pickle.dumps(Detector(model))
    assert pickle.loads(sent).session is pickle.loads(sent).session


def test_a_file_that_was_changed_on_the_way_is_refused(model):
    sent = pickle.dumps(Detector(model))
    write_tiny_model(model, make_card(version="1"))
    with pytest.raises(ModelFileError, match=r"expected [0-9a-f]{64}; .*changed .*: open it again"):
        pickle.loads(sent)
    model.unlink()
    with pytest.raises(ModelFileError, match=r"tiny\.onnx"):
        pickle.loads(sent)


def test_a_session_of_another_runtime_says_that_it_cannot_be_sent(model):
    session = BesideSession(model, make_card(), SimpleNamespace(outputs=OUTPUTS))
    with pytest.raises(TypeError, match=r"tiny\.onnx: .*cannot be sent to another process"):
        pickle.dumps(Detector(session))


def refuse(_):
    raise InputError("a.png", "is damaged", "export it anew")


def test_an_error_comes_back_as_it_was():
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        pytest.raises(InputError, match=r"^a\.png: is damaged; export it anew$") as caught,
    ):
        pool.submit(refuse, 0).result(timeout=300)
    assert caught.value.path == "a.png"


def test_slices_and_findings_are_sent(model, pictures):
    for slice_, finding in Detector(model, threads=1).iterate([Path(pictures[0])]):
        again_slice, again = pickle.loads(pickle.dumps((slice_, finding)))
        np.testing.assert_array_equal(again_slice.pixels, slice_.pixels)
        assert again.to_record() == finding.to_record()
