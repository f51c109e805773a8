"""Shards merge to the file of one run; what is missing, broken, doubled or strange is told."""

import csv
import json
import re
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tumorlens
from builders import write_nifti, write_series
from heads import paint_slice, write_folder
from models import write_tiny_model
from study_tables import write_study_model
from tumorlens.cli.main import run
from tumorlens.errors import UsageError

OF = 3
LPS = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [9.0, 0, 0, 0], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_study_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Series, volumes, pictures, files that are damaged and files that are no image.

    They are named by a relative path, so that their parts are always the same.
    """
    with chdir(tmp_path_factory.mktemp("many")):
        yield _write_scans(Path("scans"))


def _write_scans(folder):
    head = np.stack([paint_slice((40, 30) if 1 < z < 4 else None) for z in range(6)])
    for number in range(3):
        uids = {"SeriesInstanceUID": f"1.2.{number}", "StudyInstanceUID": f"1.1.{number // 2}"}
        write_series(folder / f"s{number}", head, LPS, **uids)
        write_nifti(folder / f"v{number}.nii.gz", head.T.astype(np.int16), np.eye(4) * 3)
        (folder / f"v{number}bad.nii.gz").write_bytes(b"no volume")
    write_folder(folder / "pictures")
    (folder / "pictures/n1bad.png").write_bytes(b"no picture")
    (folder / "s1/IM0003").write_bytes((folder / "s1/IM0003").read_bytes()[:700])
    (folder / "letter.txt").write_text("no image")
    return folder


def write_shards(folder, scans, model, of=OF, ending="jsonl", **options):
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number}.{ending}" for number in range(1, of + 1)]
    for number, path in enumerate(files, start=1):
        tumorlens.write_records(scans, path, model=model, shard=f"{number}/{of}", **options)
    return files


def timeless(path):
    """The bytes of a file of records, without the seconds."""
    return re.sub(rb'"seconds": [^,]+', b'"seconds"', path.read_bytes())


@pytest.fixture(scope="module")
def shards(tmp_path_factory, scans, model):
    return write_shards(tmp_path_factory.mktemp("shards"), scans, model)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"summary": True},
        {"summary": True, "series_from": "folder", "study_from": "folder"},
    ],
    ids=str,
)
def test_merged_shards_are_one_run_byte_for_byte(tmp_path, scans, model, options):
    whole = tumorlens.write_records(scans, tmp_path / "whole.jsonl", model=model, **options)
    files = write_shards(tmp_path / "parts", scans, model, **options)
    assert sum(path.stat().st_size > 0 for path in files) > 1
    merged = tumorlens.merge(files[::-1], tmp_path / "merged.jsonl")
    assert timeless(tmp_path / "merged.jsonl") == timeless(tmp_path / "whole.jsonl")
    assert (merged.counts, merged.skipped) == (whole.counts, whole.skipped)


def test_merged_tables_are_one_table(tmp_path, scans, model):
    tumorlens.write_records(scans, tmp_path / "whole.csv", model=model, summary=True)
    files = write_shards(tmp_path / "parts", scans, model, ending="csv", summary=True)
    tumorlens.merge(files, tmp_path / "merged.csv")
    merged, whole = (read_table(tmp_path / name) for name in ("merged.csv", "whole.csv"))
    assert merged == whole
    with pytest.raises(UsageError, match=r"written as csv, which the name \.jsonl contradicts"):
        tumorlens.merge(files, tmp_path / "merged.jsonl")


def read_table(path):
    with path.open(newline="") as stream:
        return [row | {"seconds": ""} for row in csv.DictReader(stream)]


def test_predict_takes_a_shard_and_refuses_objects(scans, model, shards):
    for number, path in enumerate(shards, start=1):
        findings = tumorlens.predict(scans, model=model, on_error="record", shard=f"{number}/{OF}")
        told = [(one["path"], one["frame"]) for one in map(json.loads, path.open())]
        assert [(one.info.path, one.info.frame) for one in findings] == told
    with pytest.raises(UsageError, match="`shard=1/2` parts files and folders, and got an object"):
        tumorlens.predict(np.ones((8, 8)), model=model, shard="1/2")


def test_a_note_beside_the_records_tells_shard_and_inputs(scans, shards):
    note = json.loads((shards[1].parent / "2.jsonl.shard.json").read_text())
    assert (note["shard"], note["state"]) == ("2/3", "finished")
    assert note["inputs"]["named"] == [str(scans)]
    assert note["inputs"]["count"] == 3 + 6 + 7
    assert note["bytes"] == shards[1].stat().st_size


def refuse(files, target, **options):
    with pytest.raises(UsageError) as caught:
        tumorlens.merge(files, target, **options)
    assert not target.exists()
    return str(caught.value)


def test_a_shard_that_never_started_is_told_and_nothing_is_written(tmp_path, shards):
    said = refuse([shards[0], shards[2]], tmp_path / "m.jsonl")
    assert "1 shard of 3 cannot be merged, and nothing was written" in said
    assert f"{shards[1]}: shard 2/3 was not named" in said
    alone = [
        shutil.copy(path, tmp_path)
        for one in shards[::2]
        for path in one.parent.glob(f"{one.name}*")
    ]
    named = [path for path in alone if str(path).endswith(".jsonl")]
    said = refuse([*named, tmp_path / "2.jsonl"], tmp_path / "m.jsonl")
    assert "2.jsonl: there is no such file; its shard never started" in said
    assert "1 shard of 3 cannot be merged" in said
    said = refuse(named, tmp_path / "m.jsonl")
    assert "shard 2/3: never started, or its file was not named" in said
    told = []
    done = tumorlens.merge(named, tmp_path / "m.jsonl", allow_missing=True, notice=told.append)
    assert done.missing == ("shard 2/3: never started, or its file was not named",)
    assert told == [f"missing: {done.missing[0]}"]


def test_a_folder_is_no_shard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("", tmp_path):  # the first, when a variable of a shell is empty
        said = refuse([folder], tmp_path / "m.jsonl")
        assert f"{Path(folder)}: is a folder; name the files in it" in said


def copy_shards(shards, folder):
    folder.mkdir(exist_ok=True)
    for one in shards:
        for path in one.parent.glob(f"{one.name}*"):
            shutil.copy(path, folder)
    return [folder / one.name for one in shards]


def test_a_shard_that_was_cut_off_is_told_and_goes_on(tmp_path, scans, model, shards):
    files = copy_shards(shards, tmp_path / "parts")
    cut, note = files[1], tmp_path / "parts/2.jsonl.shard.json"
    lines = cut.read_bytes().splitlines(keepends=True)
    (tmp_path / "parts/2.jsonl.partial").write_bytes(b"".join(lines[:2]) + lines[2][:40])
    cut.unlink()
    begun = json.loads(note.read_text()) | {"state": "running", "bytes": 0, "counts": {}}
    note.write_text(json.dumps(begun))
    for named in (files, files[::2]):  # a pattern does not see FILE.partial
        said = refuse(named, tmp_path / "m.jsonl")
        assert "shard 2/3 was cut off, or still runs, and " in said
        assert "2.jsonl.partial holds 2 lines; run it again with `resume=True`" in said
    for wrong in ({}, {"shard": "1/3"}, {"shard": "2/4"}):
        with pytest.raises(UsageError, match="is left from shard 2/3, and this run is"):
            tumorlens.write_records(scans, cut, model=model, resume=True, **wrong)
    with pytest.raises(
        UsageError,
        match="it has parts series in place of studies and summary False in place of True",
    ):
        tumorlens.write_records(scans, cut, model=model, resume=True, shard="2/3", summary=True)
    tumorlens.write_records(scans, cut, model=model, resume=True, shard="2/3")
    tumorlens.merge(files, tmp_path / "m.jsonl")
    tumorlens.merge(shards, tmp_path / "whole.jsonl")
    assert timeless(tmp_path / "m.jsonl") == timeless(tmp_path / "whole.jsonl")


def test_a_run_that_was_not_parted_is_not_continued_as_a_shard(tmp_path, scans, model):
    (tmp_path / "r.jsonl.partial").write_text("")
    with pytest.raises(UsageError, match=r"left from a run that was not parted.*is shard 1/2"):
        tumorlens.write_records(scans, tmp_path / "r.jsonl", model=model, resume=True, shard="1/2")


def test_a_file_that_was_copied_in_part_or_without_its_note_is_told(tmp_path, shards):
    files = copy_shards(shards, tmp_path / "parts")
    files[0].write_bytes(files[0].read_bytes()[:-9])
    (tmp_path / "parts/3.jsonl.shard.json").unlink()
    said = refuse(files, tmp_path / "m.jsonl")
    assert re.search(r"1\.jsonl: has [\d,]+ bytes, and shard 1/3 wrote [\d,]+", said)
    assert "3.jsonl: has no 3.jsonl.shard.json beside it; copy that file, too" in said


def test_the_same_shard_twice_is_refused(tmp_path, shards):
    (again, *_) = copy_shards(shards[:1], tmp_path / "again")
    said = refuse([*shards, again], tmp_path / "m.jsonl")
    assert f"{again}: is shard 1/3, as {shards[0]} is; name each shard once" in said
    said = refuse([*shards, again], tmp_path / "m.jsonl", allow_missing=True)
    assert "name each shard once" in said


def test_shards_of_two_runs_models_or_inputs_are_refused(tmp_path, scans, model, shards):
    other = tmp_path / "other"
    other.mkdir()

    def refuse_beside(name, source=scans, **options):
        tumorlens.write_records(source, other / name, **{"model": model, "shard": "2/3"} | options)
        return refuse([shards[0], other / name, shards[2]], tmp_path / "m.jsonl")

    assert "has 4 shards in place of 3" in refuse_beside("of.jsonl", shard="2/4")
    changed = tmp_path / "changed.onnx"
    write_tiny_model(changed)
    assert "it has sha256" in refuse_beside("model.jsonl", model=changed)
    assert "has parts studies in place of series" in refuse_beside("o.jsonl", summary=True)
    fewer = tmp_path / "scans"
    shutil.copytree(scans, fewer)
    assert "has other inputs (16 in place of 16)" in refuse_beside("i.jsonl", source=fewer)


def test_a_shard_keeps_its_slices(tmp_path, scans, model):
    with pytest.raises(UsageError, match="does not go with `shard=1/2`"):
        write_shards(tmp_path, scans, model, 2, summary=True, slices=False)


def test_an_empty_shard_is_complete(tmp_path, model, capsys):
    write_folder(tmp_path / "scans", 1, 0)
    words = ["predict", str(tmp_path / "scans"), "--model", str(model)]
    for number in (1, 2, 3):
        file = str(tmp_path / f"{number}.csv")
        assert run([*words, "--shard", f"{number}/3", "-o", file]) == 0
    assert capsys.readouterr().err.count("has no inputs; its records are complete") == 2
    files = [str(tmp_path / f"{number}.csv") for number in (1, 2, 3)]
    assert run(["merge", *files, "-o", str(tmp_path / "all.csv")]) == 0
    assert "1 slice" in capsys.readouterr().err
    assert run([*words, "-o", str(tmp_path / "one.csv")]) == 0
    assert read_table(tmp_path / "all.csv") == read_table(tmp_path / "one.csv")


def test_the_command_tells_by_its_exit_code(tmp_path, shards, capsys, scans, model):
    target = ["-o", str(tmp_path / "m.jsonl")]
    assert run(["merge", *map(str, shards[:2]), *target]) == 2
    assert "--allow-missing merges the others" in capsys.readouterr().err
    assert run(["merge", *map(str, shards[:2]), "--allow-missing", *target]) == 1
    assert run(["merge", *map(str, shards), *target]) == 2  # exists already
    assert run(["merge", *map(str, shards), *target, "--overwrite"]) == 1  # damaged files
    assert run(["merge", str(shards[0]), "-o", str(shards[0]), "--overwrite"]) == 2
    words = ["predict", str(scans), "--model", str(model), "--shard", "2/3"]
    assert run(words) == 2
    assert "name their file with --output" in capsys.readouterr().err
    before = shards[1].stat().st_mtime_ns
    assert run([*words, "-o", str(shards[1]), "--resume"]) == 0
    assert "is complete already: shard 2/3" in capsys.readouterr().err
    assert shards[1].stat().st_mtime_ns == before


def test_other_orders_of_the_inputs_are_told(tmp_path, model):
    files = [str(path) for path in write_folder(tmp_path / "scans")]
    for number, names in ((1, files), (2, files[::-1])):
        tumorlens.write_records(
            names, tmp_path / f"{number}.jsonl", model=model, shard=f"{number}/2"
        )
    told = []
    done = tumorlens.merge(
        [tmp_path / "1.jsonl", tmp_path / "2.jsonl"], tmp_path / "m.jsonl", notice=told.append
    )
    assert sum(done.counts.values()) == 6
    assert len(told) == 1 and "in the order of no single run" in told[0]


def test_records_of_one_picture_are_the_same_alone_and_in_a_batch(tmp_path, model):
    files = write_folder(tmp_path, 6, 6)
    Image.fromarray(paint_slice((50, 50), (90, 150))).save(tmp_path / "z.png")
    together = tumorlens.predict([str(path) for path in files])
    for path, finding in zip(files, together, strict=True):
        alone = tumorlens.predict(str(path))[0]
        assert alone.to_record() | {"seconds": 0} == finding.to_record() | {"seconds": 0}
