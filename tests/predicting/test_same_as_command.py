"""What the command writes, Python gives: predict and seen, by the same inputs."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import tumorlens
from brains import paint_brain
from builders import write_nifti, write_series
from heads import paint_slice, write_folder
from models import write_tiny_model
from study_tables import write_study_model
from tumorlens.cli.main import run
from tumorlens.errors import UsageError
from tumorlens.imaging.pixels.fingerprint import fingerprint_slice
from tumorlens.imaging.readers import read_slice
from tumorlens.model.seen_entry import encode_fingerprints


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_study_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def scans(tmp_path):
    """Pictures, a volume, a file that is damaged and one that is no image."""
    folder = tmp_path / "scans"
    write_folder(folder)
    planes = [paint_slice((40, 30) if 3 <= z < 6 else None).T for z in range(12)]
    write_nifti(folder / "v.nii.gz", np.stack(planes, axis=2).astype(np.int16), np.eye(4) * 3)
    (folder / "bad.dcm").write_bytes(b"no scan")
    (folder / "letter.txt").write_text("no image")
    return folder


def command(model, *words, code=1):
    assert run(["predict", "--model", str(model), "--quiet", *map(str, words)]) == code


def read_records(path):
    return [_timeless(json.loads(line)) for line in path.read_text().splitlines()]


def _timeless(record):
    return record | {"seconds": None}


def test_predict_gives_the_records_of_the_command(model, scans, tmp_path):
    command(model, scans, "-o", tmp_path / "r.jsonl")
    findings = tumorlens.predict(scans, model=model, on_error="record")
    assert [_timeless(one.to_record()) for one in findings] == read_records(tmp_path / "r.jsonl")
    assert [one.error is None for one in findings].count(False) == 1


def test_predict_studies_gives_the_studies_of_the_command(model, scans, tmp_path):
    words = ("--series-from", "folder", "--study-from", "folder", "--summary")
    command(model, scans, "-o", tmp_path / "r.jsonl", *words)
    studies = tumorlens.predict_studies(
        str(scans), model=model, series_from="folder", study_from="folder", on_error="record"
    )
    records = read_records(tmp_path / "r.jsonl")
    assert [_timeless(one.to_record()) for one in studies] == [
        one for one in records if one["kind"] == "study"
    ]
    series = [_timeless(one.to_record()) for study in studies for one in study.series]
    assert series == [one for one in records if one["kind"] == "series"]


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_write_records_writes_the_file_of_the_command(model, scans, tmp_path, name):
    steps = []
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    command(
        model, scans, "-o", theirs / name, "--summary", "--heatmaps", theirs / "pictures",
        "--activation-volume", theirs / "volumes", "--report", theirs / "page.html",
    )  # fmt: skip
    summary = tumorlens.write_records(
        scans, ours / name, model=model, summary=True, heatmaps=ours / "pictures",
        activation_volume=ours / "volumes", report=ours / "page.html",
        progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert _without_seconds(ours / name) == _without_seconds(theirs / name)
    written = [sorted(one.name for one in folder.rglob("*")) for folder in (ours, theirs)]
    assert written[0] == written[1]
    assert summary.failed == 1
    assert sum(summary.counts.values()) == 18 + summary.failed
    assert summary.skipped == {"a text file": 1}
    files = len(list(scans.iterdir()))
    assert steps[-1] == ("judging", files, files)
    assert summary.studies


def _without_seconds(path):
    text = path.read_text()
    if path.suffix == ".jsonl":
        return read_records(path)
    names = text.splitlines()[0].split(",")
    return [line.split(",")[: names.index("seconds")] for line in text.splitlines()]


def test_write_records_goes_on_with_a_broken_run_of_the_command(model, scans, tmp_path):
    output = tmp_path / "r.jsonl"
    command(model, scans, "-o", output)
    whole = read_records(output)
    lines = output.read_text().splitlines(keepends=True)
    output.unlink()
    (tmp_path / "r.jsonl.partial").write_text("".join(lines[:5]))
    with pytest.raises(tumorlens.TumorlensError, match=r"`resume=True`.*`overwrite=True`"):
        tumorlens.write_records(scans, output, model=model)
    summary = tumorlens.write_records(scans, output, model=model, resume=True)
    assert read_records(output) == whole
    assert sum(summary.counts.values()) == len(whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"montage": True}, "`heatmaps=`"),
        ({"slices": False}, "`summary=True`"),
        ({"report": "r.jsonl"}, "two results"),
        ({"operating_point": "wild"}, "no operating point 'wild'"),
    ],
)
def test_contradictions_speak_of_parameters(model, scans, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(tumorlens.TumorlensError, match=words):
        tumorlens.write_records(scans, "r.jsonl", model=model, **options)
    assert not list(tmp_path.glob("r.jsonl*"))


def test_a_run_without_any_image_says_so(model, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/letter.txt").write_text("no image")
    with pytest.raises(tumorlens.TumorlensError, match="no image found; 1 file skipped"):
        tumorlens.write_records(tmp_path / "letters", tmp_path / "r.csv", model=model)


def test_a_detector_keeps_its_operating_point(model, scans):
    detector = tumorlens.Detector(model)
    assert tumorlens.predict(scans / "v.nii.gz", model=detector)
    with pytest.raises(tumorlens.TumorlensError, match="`operating_point=` says careful"):
        tumorlens.predict(scans / "v.nii.gz", model=detector, operating_point="careful")


# read


def test_read_gives_the_slices_that_are_judged(scans):
    slices = list(tumorlens.read([scans / "v.nii.gz", paint_slice(None)]))
    assert len(slices) == 13
    assert slices[0].info.path == str(scans / "v.nii.gz")
    assert slices[-1].info.path == "<array>"


def test_read_raises_or_gives_an_error_in_its_place(scans):
    names = sorted(scans.iterdir())
    with pytest.raises(tumorlens.InputError, match=r"bad\.dcm"):
        list(tumorlens.read(names))
    items = list(tumorlens.read(scans, on_error="record"))
    assert [isinstance(one, tumorlens.InputError) for one in items].count(True) == 1
    with pytest.raises(tumorlens.TumorlensError, match="'raise' or 'record'"):
        tumorlens.read(scans, on_error="ignore")


def test_read_begins_when_it_is_asked(tmp_path):
    slices = tumorlens.read(tmp_path / "nowhere.png")
    with pytest.raises(tumorlens.InputError, match=r"nowhere\.png"):
        next(slices)


def test_read_and_predict_take_named_axes(model):
    array = np.stack([paint_slice(None)] * 5, axis=-1)
    with pytest.raises(tumorlens.InputError, match='axes="HWD"'):
        tumorlens.predict(array, model=model)
    assert len(list(tumorlens.read(array, axes="HWD"))) == 5
    assert len(tumorlens.predict(array, model=model, axes="HWD")) == 5


# seen


@pytest.fixture
def remembering(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(paint_brain(number)).save(folder / f"{number}.png")
    fingerprints = encode_fingerprints([fingerprint_slice(read_slice(folder / "0.png"))])
    shutil.copy(folder / "0.png", folder / "copy.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return write_tiny_model(tmp_path / "tiny.onnx", seen=fingerprints), folder


def test_seen_gives_the_answers_of_the_command(remembering, tmp_path, capsys):
    model, pictures = remembering
    assert run(["seen", str(model), str(pictures), "-o", str(tmp_path / "s.json")]) == 1
    answers = tumorlens.seen(model, pictures, on_error="record")
    records = json.loads((tmp_path / "s.json").read_text())["slices"]
    assert [one.to_record() for one in answers] == records
    assert [one.seen for one in answers].count(True) == 2
    assert [one.error is None for one in answers].count(False) == 1


def test_seen_raises_and_takes_what_is_open(remembering, model):
    path, pictures = remembering
    with pytest.raises(tumorlens.InputError, match=r"broken\.png"):
        tumorlens.seen(path, pictures)
    detector = tumorlens.Detector(path)
    for opened in (detector, detector.session):
        (answer,) = tumorlens.seen(opened, paint_brain(0))
        assert answer.seen
    with pytest.raises(tumorlens.TumorlensError, match="has no fingerprints"):
        tumorlens.seen(model, pictures)


def test_an_iterator_of_paths_is_read_file_by_file(model, tmp_path):
    volume = np.stack([paint_slice(None)] * 3).astype(np.uint16)
    place = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1.0]])
    files = write_series(tmp_path / "series", volume, place)
    told = []
    summary = tumorlens.write_records(
        iter(files), tmp_path / "r.csv", model=model, notice=told.append
    )
    assert summary.counts == {"no_tumor": 3}
    assert any("3 files of 1 series were read one by one" in line for line in told)


def test_progress_counts_no_file_of_hidden_folders(model, tmp_path):
    for name in ("a.png", "b/c.png", ".git/objects/1.png", ".git/objects/2.png", "b/.x/3.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(paint_brain(1)).save(tmp_path / "in" / name)
    steps = []
    tumorlens.write_records(
        tmp_path / "in",
        tmp_path / "o.jsonl",
        model=model,
        progress=lambda *step: steps.append(step),
    )
    assert steps[-1][1:] == (4, 4)  # two pictures, two folders that are passed over


def test_a_page_is_not_written_under_the_name_of_another_format(model, tmp_path):
    Image.fromarray(paint_brain(1)).save(tmp_path / "a.png")
    output, page = tmp_path / "o.jsonl", tmp_path / "page.PDF"
    with pytest.raises(UsageError, match=r"page\.PDF: a page is HTML; name it \.html"):
        tumorlens.write_records(tmp_path / "a.png", output, model=model, report=page)
    assert not output.exists()
