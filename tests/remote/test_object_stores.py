"""Runs whose inputs and results lie in an object store: an S3 of this machine."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import tumorlens
from builders import write_metaimage, write_nifti, write_series, write_zip
from heads import paint_slice, write_folder
from object_stores import open_store, serve_expired_credentials
from sites import write_site
from study_tables import write_study_model
from tumorlens.cli.main import run
from tumorlens.errors import InputError, UsageError
from tumorlens.remote import uploads
from tumorlens.remote.copying import Copies, StoredObject

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def make_bucket():
    with open_store() as make:
        yield make


@pytest.fixture
def bucket(make_bucket):
    return make_bucket()


@pytest.fixture(autouse=True)
def staged_in(tmp_path, monkeypatch):
    """The folder that staging folders are made in: nothing may be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_study_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Pictures, a volume, a series over two folders, a damaged file and one that is no image."""
    folder = tmp_path_factory.mktemp("all") / "scans"
    write_folder(folder / "pictures")
    planes = [paint_slice((40, 30) if 3 <= z < 6 else None) for z in range(8)]
    volume = np.stack(planes, axis=2).astype(np.int16)
    write_nifti(folder / "v.nii.gz", volume, np.eye(4) * 3)
    write_series(folder / "first", np.stack(planes).astype(np.uint16), np.eye(4) * 3)
    (folder / "second").mkdir()
    for path in sorted((folder / "first").iterdir())[:3]:
        path.rename(folder / "second" / path.name)
    (folder / "bad.dcm").write_bytes(b"no scan")
    (folder / "letter.txt").write_text("no image")
    return folder


def read_records(text, folder="", address=""):
    """Records without seconds, and with the names of another place."""
    lines = text.decode().splitlines()
    return [json.loads(line.replace(folder, address)) | {"seconds": None} for line in lines]


def command(model, *words, code=0):
    assert run(["predict", "--model", str(model), "--threads", "1", *map(str, words)]) == code


def test_records_are_those_of_files_by_other_names(bucket, scans, model, tmp_path, capsys):
    bucket.put_folder(scans, "a/scans")
    bucket.put_raw("a/scans/folder/", b"")  # what consoles write in the place of a folder
    command(model, scans, "--summary", "-o", tmp_path / "r.jsonl", code=1)
    near = read_records(
        (tmp_path / "r.jsonl").read_bytes(), str(scans), f"{bucket.address}/a/scans"
    )
    capsys.readouterr()
    output = f"{bucket.address}/out/r.jsonl"
    command(model, f"{bucket.address}/a/scans", "--summary", "-v", "-o", output, code=1)
    assert read_records(bucket.get("out/r.jsonl")) == near
    said = capsys.readouterr().err
    assert re.search(rf"fetching 17 objects of \d+ kB from {bucket.address}/a/scans", said)
    assert f"skipped {bucket.address}/a/scans/letter.txt" in said
    assert "temporary" not in said
    assert [key for key in bucket.list_keys() if not key.startswith("a/")] == ["out/r.jsonl"]


def test_python_takes_and_gives_addresses(bucket, scans, model):
    bucket.put_folder(scans / "pictures", "p")
    near = tumorlens.predict([scans / "pictures"], model=model)
    far = tumorlens.predict([f"{bucket.address}/p/", scans / "v.nii.gz"], model=model)
    assert [one.tumor_probability for one in far][: len(near)] == [
        one.tumor_probability for one in near
    ]
    assert far[0].info.path == f"{bucket.address}/p/n0.png"
    assert far[-1].info.path == str(scans / "v.nii.gz")
    names = [one.info.path for one in tumorlens.read(iter([f"{bucket.address}/p/t*.png"]))]
    assert names == [f"{bucket.address}/p/t{number}.png" for number in range(3)]
    (study, *_) = tumorlens.predict_studies(
        f"{bucket.address}/p", model=model, series_from="folder", on_error="record"
    )
    assert study.path == f"{bucket.address}/p"


def test_objects_are_read_with_what_lies_beside_them(bucket, model, tmp_path):
    volume = np.stack([paint_slice(None)] * 3).astype(np.int16)
    write_metaimage(tmp_path / "m.mhd", volume, data="m.raw")
    for path in (tmp_path / "m.mhd", tmp_path / "m.raw"):
        bucket.put(path.name, path)
    assert len(list(tumorlens.read(f"{bucket.address}/m.mhd"))) == 3
    series = tmp_path / "series"
    write_series(series, volume.astype(np.uint16), np.eye(4) * 3)
    write_zip(tmp_path / "s.zip", {path.name: path for path in series.iterdir()})
    bucket.put("z/s.zip", tmp_path / "s.zip")
    member = min(path.name for path in series.iterdir())
    (one,) = tumorlens.read(f"{bucket.address}/z/s.zip/{member}")
    assert one.info.path == f"{bucket.address}/z/s.zip/{member}"


def test_results_of_all_kinds_are_stored_and_not_replaced_unasked(bucket, scans, model, capsys):
    bucket.put_folder(scans / "pictures", "p")
    words = [f"{bucket.address}/p", "-o", f"{bucket.address}/o/r.csv"]
    words += ["--heatmaps", f"{bucket.address}/o/heat", "--report", f"{bucket.address}/o/r.html"]
    words += ["--run-log", f"{bucket.address}/o/log.json"]
    command(model, *words)
    keys = {key for key in bucket.list_keys() if key.startswith("o/")}
    assert keys == {"o/r.csv", "o/r.html", "o/log.json"} | {
        f"o/heat/p/{path.stem}.heatmap.png" for path in (scans / "pictures").iterdir()
    }
    for key in ("o/r.html", "o/log.json", "o/r.csv"):
        assert b"temporary" not in bucket.get(key)
    assert json.loads(bucket.get("o/log.json"))["options"]["output"] == f"{bucket.address}/o/r.csv"
    capsys.readouterr()
    command(model, *words, code=2)
    assert f"{bucket.address}/o/r.csv: exists already" in capsys.readouterr().err
    before = bucket.get("o/r.csv")
    command(model, *words, "--overwrite")
    assert len(bucket.get("o/r.csv").splitlines()) == len(before.splitlines())


def test_no_result_replaces_an_input_or_an_image(bucket, scans, model):
    bucket.put_folder(scans / "pictures", "p")
    for key in ("p/n0.png", "p/n1.png"):
        with pytest.raises(UsageError, match=f"{bucket.address}/{key}: is an image or another"):
            tumorlens.write_records(
                f"{bucket.address}/p/n0.png", f"{bucket.address}/{key}", model=model, overwrite=True
            )
    assert bucket.get("p/n0.png") == (scans / "pictures/n0.png").read_bytes()
    with pytest.raises(UsageError, match=f"{bucket.address}/p: is a folder; name a file"):
        tumorlens.write_records(scans, f"{bucket.address}/p", model=model)
    bucket.put("heat/p/n0.heatmap.png", scans / "pictures/n0.png")  # no overlay, of that name
    tumorlens.write_records(
        f"{bucket.address}/p", f"{bucket.address}/r.jsonl", heatmaps=f"{bucket.address}/heat",
        model=tumorlens.Detector(model, threads=1),
    )  # fmt: skip
    assert bucket.get("heat/p/n0.heatmap.png") == (scans / "pictures/n0.png").read_bytes()


class Broken(Exception):
    pass


def break_after(count):
    def progress(what, done, total):
        if done >= count:
            raise Broken

    return progress


def test_a_broken_run_keeps_what_is_finished_and_goes_on(bucket, scans, model, monkeypatch):
    bucket.put_folder(scans / "pictures", "p")
    inputs, output = f"{bucket.address}/p", f"{bucket.address}/o/r.jsonl"
    detector = tumorlens.Detector(model, threads=1, batch_size=1)
    monkeypatch.setattr(uploads, "_SECONDS", 0.0)
    with pytest.raises(Broken):
        tumorlens.write_records(inputs, output, model=detector, progress=break_after(3))
    left = bucket.get("o/r.jsonl.partial")
    assert 1 <= len(left.splitlines()) < 6
    assert "o/r.jsonl" not in bucket.list_keys()
    with pytest.raises(UsageError, match=re.escape(f"{output}.partial: is left from a broken run")):
        tumorlens.write_records(inputs, output, model=detector)
    assert bucket.get("o/r.jsonl.partial") == left
    done = tumorlens.write_records(inputs, output, model=detector, resume=True)
    assert sum(done.counts.values()) == 6
    whole = bucket.get("o/r.jsonl")
    assert whole.startswith(left)
    assert len(whole.splitlines()) == 6
    assert not [key for key in bucket.list_keys() if key.endswith(".partial")]


def test_a_killed_run_has_stored_its_records(bucket, scans, model, monkeypatch):
    """Nothing at the end of the run is done here: only what was stored on the way counts."""
    bucket.put_folder(scans / "pictures", "p")
    monkeypatch.setattr(uploads, "_SECONDS", 0.0)
    monkeypatch.setattr(uploads, "_SHARE", 0)
    monkeypatch.setattr("tumorlens.remote.staging.Staging.close", lambda *_, **__: None)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(scans.parent))
    with pytest.raises(Broken):
        tumorlens.write_records(
            f"{bucket.address}/p", f"{bucket.address}/r.jsonl", progress=break_after(4),
            model=tumorlens.Detector(model, threads=1, batch_size=1),
        )  # fmt: skip
    assert len(bucket.get("r.jsonl.partial").splitlines()) >= 2


def test_a_result_that_cannot_be_stored_is_kept_here(bucket, make_bucket, scans, model, staged_in):
    bucket.put_folder(scans / "pictures", "p")
    gone = make_bucket()

    def remove(what, done, total):
        if done == total:
            gone.files.rm(gone.name, recursive=True)

    with pytest.raises(UsageError, match=r"cannot be written \(there is no such bucket") as caught:
        tumorlens.write_records(
            f"{bucket.address}/p", f"{gone.address}/r.jsonl", model=model, progress=remove
        )
    kept = Path(str(caught.value).rpartition("is kept in ")[2])
    (file,) = (path for path in kept.rglob("*") if path.is_file())
    assert (file.name, len(file.read_text().splitlines())) == ("r.jsonl", 6)
    shutil.rmtree(kept)


def test_shards_are_resumed_and_merged_as_files_are(bucket, scans, model, tmp_path, capsys):
    bucket.put_folder(scans, "s")
    inputs = f"{bucket.address}/s"
    tumorlens.write_records(inputs, tmp_path / "whole.jsonl", model=model)
    whole = read_records((tmp_path / "whole.jsonl").read_bytes())
    for part in (1, 2):
        words = [
            inputs,
            "--quiet",
            "--shard",
            f"{part}/2",
            "-o",
            f"{bucket.address}/parts/{part}.jsonl",
        ]
        run(["predict", "--model", str(model), *words])
    capsys.readouterr()
    command(model, inputs, "--shard", "2/2", "--resume", "-o", f"{bucket.address}/parts/2.jsonl")
    assert f"{bucket.address}/parts/2.jsonl is complete already" in capsys.readouterr().err
    with pytest.raises(UsageError, match=f"{bucket.address}/parts/3.jsonl: there is no such file"):
        tumorlens.merge(
            [f"{bucket.address}/parts/{n}.jsonl" for n in (1, 3)], f"{bucket.address}/m.jsonl"
        )
    assert run(["merge", f"{bucket.address}/parts/*.jsonl", "-o", f"{bucket.address}/m.jsonl"]) == 1
    assert read_records(bucket.get("m.jsonl")) == whole
    note = json.loads(bucket.get("parts/1.jsonl.shard.json"))
    assert note["inputs"]["named"] == [inputs]


def test_what_cannot_be_read_is_told_with_its_address(bucket, model, scans, monkeypatch):
    bucket.put("p/n0.png", scans / "pictures/n0.png")
    for name in ("s3://no-such-bucket/p", f"{bucket.address}/q", f"{bucket.address}/p/*.jpg"):
        with pytest.raises(InputError, match=r"check the spelling") as caught:
            tumorlens.predict(name, model=model)
        assert caught.value.path == name
    with pytest.raises(UsageError, match=r"no-such-bucket/r\.jsonl\.partial: cannot be written"):
        tumorlens.write_records(f"{bucket.address}/p", "s3://no-such-bucket/r.jsonl", model=model)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk)
    with pytest.raises(UsageError, match=rf"{bucket.address}/p: 1 object of .* do not fit"):
        tumorlens.predict(f"{bucket.address}/p", model=model)
    monkeypatch.undo()


class Disk:
    free = 10


def test_a_list_that_comes_one_by_one_is_fetched_so(bucket, scans, model, tmp_path):
    bucket.put("p/n0.png", scans / "pictures/n0.png")
    named = [f"{bucket.address}/p/n0.png", f"{bucket.address}/none.png", scans / "pictures/n1.png"]
    done = tumorlens.write_records(iter(named), tmp_path / "r.jsonl", model=model)
    records = read_records((tmp_path / "r.jsonl").read_bytes())
    assert [one["path"] for one in records] == list(map(str, named))
    assert "there is no such bucket, folder or object" in records[1]["error"]
    assert done.failed == 1


def test_a_long_list_is_told_in_one_line(bucket, scans, model, tmp_path):
    named = [f"{bucket.address}/{number}.png" for number in range(5)]
    for number in range(5):
        bucket.put(f"{number}.png", scans / "pictures/n0.png")
    said = []
    tumorlens.write_records(named, tmp_path / "r.jsonl", model=model, notice=said.append)
    assert said[0].endswith(f"from {', '.join(named[:3])} and 2 more")


def test_dicom_objects_are_made_of_files_and_stored(bucket, model, tmp_path, capsys):
    pytest.importorskip("highdicom", reason="the extra dicom is not installed")
    scan = EXAMPLES / "t1c_axial_synthetic_lesion.dcm"
    bucket.put("a.dcm", scan)
    words = ["--objects", "sr", "--dicom-out"]
    command(model, scan, *words, f"{bucket.address}/objects")
    (key,) = (key for key in bucket.list_keys() if key.startswith("objects/"))
    assert key.endswith(".sr.dcm")
    command(model, f"{bucket.address}/a.dcm", *words, tmp_path / "objects", code=2)
    assert "--dicom-out reads the scans again" in capsys.readouterr().err


def test_denied_access_is_told(bucket, make_bucket, model, scans):
    bucket.put("p/n0.png", scans / "pictures/n0.png")
    with make_bucket.denied(), pytest.raises(InputError, match="access is denied; check the cred"):
        tumorlens.predict(f"{bucket.address}/p", model=model)
    with make_bucket.denied(), pytest.raises(InputError, match="access is denied; check the cred"):
        tumorlens.write_records(scans, f"{bucket.address}/r.jsonl", model=model)


def test_no_credentials_and_no_network_are_told(bucket, model, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(InputError, match="the store cannot be reached; check the network"):
            tumorlens.predict(f"{bucket.address}/p", model=model)
    with monkeypatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("HOME", "/nowhere")
        with pytest.raises(InputError, match="no credentials were found; check the credentials"):
            tumorlens.predict(f"{bucket.address}/p", model=model)


def test_keys_do_not_lead_out_of_the_folder(bucket, scans, model, staged_in):
    good = (scans / "pictures/n0.png").read_bytes()
    bucket.put_raw("p/good.png", good)
    for key in ("p/../../../../evil.png", "p//double.png", "p/./dot.png", "p/good.png/below.png"):
        bucket.put_raw(key, good)
    found = tumorlens.predict(f"{bucket.address}/p", model=model, on_error="record")
    errors = {one.info.path: one.error for one in found if one.error}
    assert len(errors) == 4
    assert sum("its key cannot be the name of a file" in error for error in errors.values()) == 3
    assert "has the name of a folder" in errors[f"{bucket.address}/p/good.png"]
    assert not list(staged_in.parent.rglob("evil.png"))
    with pytest.raises(InputError, match="its key cannot be the name of a file"):
        tumorlens.predict(f"{bucket.address}/../x", model=model)


def test_an_object_and_a_folder_of_one_name_are_told_apart(bucket, scans, model):
    for key in ("p/scan", "p/scan/x.png", "p/scanner.png"):
        bucket.put(key, scans / "pictures/n0.png")
    inside = f"{bucket.address}/p/scan/x.png"
    (one,) = tumorlens.read(f"{bucket.address}/p/scan/")
    assert one.info.path == inside
    (one,) = tumorlens.read(f"{bucket.address}/p/scan")
    assert one.info.path == f"{bucket.address}/p/scan"
    one, other = tumorlens.predict(iter([one.info.path, inside]), model=model, on_error="record")
    assert one.error is None
    assert "lies below an object" in other.error
    both = [f"{bucket.address}/p/scanner.png", f"{bucket.address}/p/scanner.png/x.png"]
    bucket.put("p/scanner.png/x.png", scans / "pictures/n0.png")
    found = tumorlens.predict(both, model=model, on_error="record")
    assert [one.info.path for one in found if one.error] == [both[0]]
    bucket.put_raw("mark/scan/", b"a note in the place of a folder")
    bucket.put("mark/scan/x.png", scans / "pictures/n0.png")
    found = tumorlens.predict(f"{bucket.address}/mark", model=model, on_error="record")
    assert {one.info.path for one in found if one.error} == {f"{bucket.address}/mark/scan/"}
    assert len(found) == 2
    bucket.put("alone", scans / "pictures/n0.png")
    with pytest.raises(UsageError, match="alone: an object has this name"):
        tumorlens.write_records(
            scans, f"{bucket.address}/r.jsonl", heatmaps=f"{bucket.address}/alone", model=model
        )


def test_a_key_with_letters_of_patterns_is_that_key(bucket, scans, model, tmp_path):
    for part in (1, 2):
        tumorlens.write_records(
            scans / "pictures", f"{bucket.address}/[x]/{part}.jsonl", model=model,
            shard=f"{part}/2",
        )  # fmt: skip
    parts = [f"{bucket.address}/[x]/{part}.jsonl" for part in (1, 2)]
    assert tumorlens.merge(parts, tmp_path / "m.jsonl").failed == 0
    bucket.put_raw("q?versionId=1.png", b"")  # s3fs takes what follows for a version
    with pytest.raises(InputError, match="there is no such bucket, folder or object"):
        next(tumorlens.read(f"{bucket.address}/q?versionId=1.png"))


def test_credentials_that_expire_end_the_run(bucket, scans, model, tmp_path, monkeypatch):
    """A record of an error would say that the scan is bad, and would never be tried again."""
    with serve_expired_credentials("scans", ["p/a.png", "p/b.png"]) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        output = tmp_path / "r.jsonl"
        for paths in ("s3://scans/p", iter([scans / "pictures/n0.png", "s3://scans/p/a.png"])):
            wanted = r"s3://scans/p/..png: the credentials are not accepted \(ExpiredToken\)"
            with pytest.raises(InputError, match=wanted):
                tumorlens.write_records(paths, output, model=model, overwrite=True)
            assert not output.exists()
    with pytest.raises(InputError, match="no bucket or object can have this name"):
        tumorlens.predict("s3://No_Bucket!/x", model=model)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "NAME:SECRET@localhost")
    with pytest.raises(
        InputError, match="the endpoint is no address; check the network, and AWS_END"
    ) as caught:
        tumorlens.predict("s3://scans/p", model=model)
    assert "SECRET" not in str(caught.value)


def test_half_an_object_is_never_stored_over_the_whole_one():
    """Results may go to the folder of the inputs, and a run may be stopped while it fetches."""
    stored = []

    class Halting:
        scheme = "s3"

        def name(self, place):
            return f"s3://{place}"

        def fetch(self, place, file):
            file.write_bytes(b"half")
            results.store_all()
            file.write_bytes(b"half and half")

        def store(self, file, place):
            stored.append(place)

    results, store = uploads.Results(), Halting()
    copies = Copies(results)
    results.add(store, "b/p", copies.find_place(store, "b/p"), folder=True)
    assert copies.copy_all([StoredObject(store, "b/p/scan.dcm", 13)], whole=True) == []
    results.store_all()
    assert copies.find_place(store, "b/p/scan.dcm").read_bytes() == b"half and half"
    assert stored == []
    shutil.rmtree(copies.root)


def test_labelled_data_and_scores_are_measured_where_they_lie(bucket, model, tmp_path, capsys):
    near, far = write_site(tmp_path / "hospital", patients=6).parent, f"{bucket.address}/hospital"
    bucket.put_folder(near, "hospital")
    words = ["--report", f"{bucket.address}/e/r.html", "--save-scores", f"{bucket.address}/e/s.csv"]
    words += ["--replicates", "100", "--quiet"]
    first = f"{bucket.address}/e/1.json"
    assert run(["evaluate", str(model), far, "-o", first, *words]) == 0
    again = ["--replicates", "100", "--quiet", "-o", f"{bucket.address}/e/2.json"]
    assert run(["evaluate", "--scores", f"{bucket.address}/e/s.csv", *again]) == 0
    measured, again = (json.loads(bucket.get(f"e/{n}.json"))["parts"] for n in (1, 2))
    wanted = json.loads(tumorlens.evaluate(model, near, replicates=100).to_json())["parts"]
    assert measured == wanted
    assert again[0]["estimates"][0] == wanted[0]["estimates"][0]
    assert "../hospital/" in bucket.get("e/s.csv").decode()
    for key in ("e/1.json", "e/r.html", "e/s.csv"):
        assert b"temporary" not in bucket.get(key)
    same = tumorlens.evaluate([f"{bucket.address}/e/s.csv"], replicates=100)
    assert json.loads(same.to_json())["parts"] == again
    bucket.put_raw("hospital/tumor//p9.png", b"no possible name of a file")
    with pytest.raises(InputError, match=r"tumor//p9.png: its key cannot be the name of a file"):
        tumorlens.evaluate(model, far, replicates=100)
    capsys.readouterr()
    assert run(["evaluate", str(model), far, "-o", f"{bucket.address}/e/3.json"]) == 2
    assert "tumor//p9.png: its key cannot" in capsys.readouterr().err
    assert run(["evaluate", str(model), far, "--save-scores", str(tmp_path / "s.csv")]) == 2
    assert "--save-scores names each picture as seen from its file" in capsys.readouterr().err
