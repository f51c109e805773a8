"""The detector on real files and objects: order, batches, errors, where the evidence lies."""

import threading
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import tumorlens
from builders import make_dataset, write_nifti
from heads import paint_slice, write_folder
from models import make_card, write_tiny_model
from tumorlens.detector import Detector
from tumorlens.errors import InputError, ModelFileError, UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.sources import find_sources
from tumorlens.imaging.preprocess import PreprocessSpec
from tumorlens.imaging.slices import Slice
from tumorlens.model.card import OperatingPoint


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, threads=2, batch_size=3)


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "scans")
    return tmp_path / "scans"


# What can be given


def test_verdict_peak_and_boxes_of_a_picture(detector, folder):
    (finding,) = detector.predict(folder / "t0.png")
    assert finding.verdict == "tumor"
    assert finding.tumor_probability > 0.9
    assert finding.probabilities["no_tumor"] == pytest.approx(1 - finding.tumor_probability)
    assert finding.model == "tiny 0"
    assert finding.operating_point == "balanced"
    assert finding.seconds > 0
    x, y = finding.peak_xy
    assert 30 <= x < 50
    assert 30 <= y < 50
    box = finding.boxes[0]
    assert box.x0 <= x < box.x1
    assert box.y0 <= y < box.y1


def test_all_kinds_of_input_give_the_same_finding(detector, folder, tmp_path):
    pixels = paint_slice((30, 30))
    path = folder / "t0.png"
    volume = np.stack([pixels.T.astype(np.int16)] * 20, axis=2)
    nifti = nib.load(write_nifti(tmp_path / "v.nii", volume, np.diag([1.0, 1.0, 1.0, 1.0])))
    given = [
        path,
        str(path),
        path.read_bytes(),
        pixels,
        pixels.astype(np.float64) * 7.0,
        Image.open(path),
        make_dataset(pixels.astype(np.uint16)),
        Slice(pixels.astype(np.float32), SliceInfo("mine")),
        next(iter(find_sources([path]))),
    ]
    peaks = []
    for x in given:
        (finding,) = detector.predict(x)
        assert finding.verdict == "tumor", x
        peaks.append(finding.peak_xy)
    assert np.ptp(peaks, axis=0).max() < 0.01
    assert len(detector.predict(given)) == len(given)
    assert {finding.verdict for finding in detector.predict(nifti)} == {"tumor"}


def test_a_path_may_be_any_pathlike(detector, folder):
    class Named:
        def __fspath__(self):
            return str(folder / "n0.png")

    assert detector.predict(Named())[0].verdict == "no_tumor"


def test_predict_of_the_package(model, folder):
    assert [finding.verdict for finding in tumorlens.predict(folder / "t1.png", model=model)] == [
        "tumor"
    ]


@pytest.mark.parametrize("kind", [str, object])
def test_a_column_of_paths_is_a_list_of_them(detector, folder, kind):
    column = np.array([str(folder / "t1.png"), str(folder / "n0.png")], dtype=kind)
    assert [one.verdict for one in detector.predict(column)] == ["tumor", "no_tumor"]


def test_what_is_no_input_is_a_usage_error(detector):
    with pytest.raises(UsageError, match="cannot read a dict"):
        detector.predict({})


def test_an_open_file_is_not_taken_for_a_list_of_its_lines(detector, folder):
    with (
        (folder / "t1.png").open("rb") as stream,
        pytest.raises(UsageError, match="cannot read a BufferedReader; give a path, bytes"),
    ):
        detector.predict(stream)


def test_empty_list_has_no_findings(detector):
    assert detector.predict([]) == []


# Order, batches, look-ahead


@pytest.mark.parametrize(("threads", "batch_size"), [(1, 1), (1, 5), (2, 2), (3, 64)])
def test_order_and_results_do_not_depend_on_threads(model, tmp_path, threads, batch_size):
    paths = write_folder(tmp_path, tumors=9, healthy=9)
    detector = Detector(model, threads=threads, batch_size=batch_size)
    findings = detector.predict(paths)
    assert [finding.info.path for finding in findings] == [str(path) for path in paths]
    alone = Detector(model, threads=1, batch_size=1)
    for finding in findings:
        (other,) = alone.predict(finding.info.path)
        assert finding.verdict == other.verdict
        assert finding.tumor_probability == pytest.approx(other.tumor_probability, abs=1e-5)
        assert finding.peak_xy == other.peak_xy


def test_an_endless_iterator_is_read_a_little_ahead(detector):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield paint_slice()

    findings = detector.iterate(endless())
    for _ in range(10):
        next(findings)
    findings.close()
    assert taken < 60
    assert not [one for one in threading.enumerate() if one.name.startswith("tumorlens")]


def test_large_slices_are_not_heaped_up(model, monkeypatch):
    monkeypatch.setattr("tumorlens.detector._SHELF_BYTES", 4 * 128 * 112)
    monkeypatch.setattr("tumorlens.detector._BATCH_BYTES", 4 * 128 * 112)
    sizes = []
    detector = Detector(model, threads=2, batch_size=8)
    run = detector.session.run
    monkeypatch.setattr(detector.session, "run", lambda x: sizes.append(len(x)) or run(x))
    assert len(detector.predict([paint_slice()] * 20)) == 20
    assert sizes == [1] * 20


def test_judge_takes_slices_from_any_reader(detector):
    slices = [Slice(paint_slice().astype(np.float32), SliceInfo(f"s{i}")) for i in range(7)]
    judged = list(detector.judge(iter(slices)))
    assert [slice_ for slice_, _ in judged] == slices
    assert [finding.info.path for _, finding in judged] == [f"s{i}" for i in range(7)]


# Errors


def test_predict_raises_and_iterate_records(detector, folder):
    bad = folder / "n1.png"
    bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(InputError, match=r"n1\.png"):
        detector.predict(folder)
    results = list(detector.iterate(folder, on_error="record"))
    assert len(results) == 6
    (error,) = [finding for slice_, finding in results if slice_ is None]
    assert error.info.path == str(bad)
    assert error.error
    assert error.verdict is None
    assert results[1][1] is error


def test_errors_before_good_files_come_in_order(detector, folder):
    findings = detector.iterate([folder / "t0.png", folder / "none.png", folder / "t1.png"])
    assert next(findings)[1].verdict == "tumor"
    with pytest.raises(InputError, match=r"none\.png"):
        next(findings)


def test_a_strange_failure_of_a_reader_is_a_record(detector, folder, monkeypatch):
    def fail(*_, **__):
        raise ValueError("boom")
        yield

    monkeypatch.setattr("tumorlens.imaging.readers.iterate_slices", fail)
    ((slice_, finding),) = detector.iterate([folder / "t0.png"], on_error="record")
    assert slice_ is None
    assert "boom" in finding.error


def test_limits_reach_the_readers(model, folder):
    tight = Detector(model, limits=Limits(pixels_per_slice=1000))
    with pytest.raises(InputError, match="1,000 allowed"):
        tight.predict(folder / "t0.png")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"operating_point": "wild"}, UsageError, "no operating point 'wild'; it has balanced"),
        ({"threads": 0}, UsageError, "`threads=`: expected a whole number of at least 1"),
        ({"batch_size": 0}, UsageError, "`batch_size=`: expected a whole number of at least 1"),
        ({"providers": ["Abacus"]}, UsageError, "no provider Abacus"),
        ({"model": "no/such.onnx"}, ModelFileError, "neither a file nor a bundled model"),
    ],
)
def test_what_cannot_be_opened_says_why(model, options, error, words):
    with pytest.raises(error, match=words):
        Detector(**{"model": model, **options})


def test_on_error_takes_two_words(detector):
    with pytest.raises(UsageError, match="on_error is 'raise' or 'record'"):
        detector.iterate([], on_error="ignore")


def test_operating_point_is_used(tmp_path):
    points = {
        "balanced": OperatingPoint(low=0.3, middle=0.5, high=0.7),
        "never": OperatingPoint(low=1, middle=1, high=1),
    }
    path = write_tiny_model(tmp_path / "m.onnx", make_card(operating_points=points))
    (finding,) = Detector(path, operating_point="never").predict(paint_slice(None))
    assert finding.operating_point == "never"
    assert finding.verdict == "no_tumor"


def test_several_tumor_classes_are_added_up(tmp_path):
    card = make_card(
        classes=["no_tumor", "glioma", "meningioma"],
        tumor_classes=["glioma", "meningioma"],
        preprocess=PreprocessSpec(size=64),
    )
    (finding,) = Detector(write_tiny_model(tmp_path / "m.onnx", card)).predict(paint_slice())
    shares = finding.probabilities
    assert finding.tumor_probability == pytest.approx(shares["glioma"] + shares["meningioma"])


def test_finding_keeps_what_drawing_needs(detector):
    (finding,) = detector.predict(paint_slice())
    assert isinstance(finding, Finding)
    assert finding.activation.shape == (8, 8)
    assert finding.to_pixels.shape == (2, 3)
    assert finding.image_size == 64


@pytest.mark.parametrize("options", [{"batch_size": 2.5}, {"threads": "2"}, {"threads": 1.5}])
def test_numbers_are_whole(model, options):
    with pytest.raises(UsageError, match="whole number"):
        Detector(model, **options)


def test_one_provider_may_be_named_alone(model):
    assert Detector(model, providers="CPUExecutionProvider").session.providers == [
        "CPUExecutionProvider"
    ]


# What a slice shows


@pytest.fixture
def looking(tmp_path):
    """A model that tells brain and looks; how sure it is of brain is set by the test."""

    def make(brain, lean=0.0):
        path = write_tiny_model(tmp_path / "looking.onnx", brain=brain, lean=lean)
        return Detector(path, threads=1)

    return make


def test_a_slice_without_brain_is_not_judged(looking):
    finding = looking(-5.0).predict(paint_slice((30, 30)))[0]
    assert finding.verdict == "not_judged"
    assert finding.brain_share == 0
    assert finding.boxes == ()
    assert finding.to_record()["verdict"] == "not_judged"


@pytest.mark.parametrize(("share", "judged"), [(0.03, False), (0.05, True)])
def test_a_spinal_cord_alone_is_too_little_brain(looking, monkeypatch, share, judged):
    detector = looking(5.0)
    run = detector.session.run

    def show_little(images):
        outputs = run(images)
        brain = np.zeros_like(outputs.brain)
        brain.reshape(len(brain), -1)[:, : round(share * brain[0].size)] = 1
        return replace(outputs, brain=brain)

    monkeypatch.setattr(detector.session, "run", show_little)
    finding = detector.predict(paint_slice((30, 30)))[0]
    assert finding.brain_share == pytest.approx(share, abs=0.005)
    assert (finding.verdict != "not_judged") == judged


@pytest.mark.parametrize(("outside", "judged"), [(0.2, True), (1.0, True), (1.01, False)])
def test_what_is_no_mri_of_the_brain_is_not_judged(looking, monkeypatch, outside, judged):
    detector = looking(5.0)
    run = detector.session.run

    def stand_outside(images):
        return replace(run(images), outside=np.full(len(images), outside, np.float32))

    monkeypatch.setattr(detector.session, "run", stand_outside)
    finding = detector.predict(paint_slice((30, 30)))[0]
    assert (finding.verdict != "not_judged") == judged
    assert finding.to_record()["outside"] == pytest.approx(outside)
    assert finding.brain_share == 1


def test_a_model_without_the_output_judges_as_before(looking):
    finding = looking(5.0).predict(paint_slice((30, 30)))[0]
    assert finding.to_record()["outside"] is None
    assert finding.verdict != "not_judged"


def test_a_slice_says_what_it_shows(looking):
    finding = looking(5.0).predict(paint_slice((30, 30)))[0]
    assert finding.verdict != "not_judged"
    assert finding.brain_share == 1
    assert finding.brain.shape == finding.activation.shape
    assert set(finding.appearance.plane) == {"axial", "coronal", "sagittal"}
    word, chance = finding.appearance.most_likely()["sequence"]
    assert finding.appearance.sequence[word] == chance == max(finding.appearance.sequence.values())
    assert finding.to_record()["appearance"]["sequence"] == [word, chance]


def test_the_mirror_image_is_averaged_in(looking):
    plain = looking(5.0, lean=2.0)
    both = Detector(plain.session, threads=1, mirror=True)
    slice_ = paint_slice((20, 40))
    turned = plain.predict(np.ascontiguousarray(slice_[:, ::-1]))[0]
    one, mean = plain.predict(slice_)[0], both.predict(slice_)[0]
    assert abs(one.tumor_probability - turned.tumor_probability) > 0.2  # one alone would not do
    expected = (one.tumor_probability + turned.tumor_probability) / 2
    assert mean.tumor_probability == pytest.approx(expected, abs=0.02)
    np.testing.assert_allclose(
        mean.activation, (one.activation + turned.activation[:, ::-1]) / 2, atol=0.05
    )
