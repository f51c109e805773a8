"""Parts of the rows that are scored apart give the figures of one run; what is missing is told."""

import csv
import json
import re

import pytest

import tumorlens
from models import write_tiny_model
from sites import write_site
from tumorlens.cli.main import run
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.score_files import write_scores


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site") / "hospital", patients=24)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def parts(tmp_path_factory, site, model):
    folder = tmp_path_factory.mktemp("parts")
    words = [str(model), str(site), "--quiet"]
    files = [folder / f"{number}.csv" for number in (1, 2, 3)]
    for number, path in enumerate(files, start=1):
        more = ["--shard", f"{number}/3", "--save-scores", str(path)]
        assert run(["evaluate", *words, *more]) == 0
    return files


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_parts_are_whole_groups_and_alike_in_size(site, parts):
    groups = [{row["group"] for row in read(path)} for path in parts]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 24
    assert [len(read(path)) for path in parts] == [16, 16, 16]


def test_the_figures_of_all_parts_are_those_of_one_run(tmp_path, site, model, parts):
    whole, joined = tmp_path / "whole.json", tmp_path / "joined.json"
    again = tmp_path / "again.csv"
    common = ["--replicates", "100", "--quiet"]
    write_scores(tmp_path / "whole.csv", tumorlens.score(model, site))
    one = ["--scores", str(tmp_path / "whole.csv")]
    assert run(["evaluate", *one, *common, "--output", str(whole)]) == 0
    named = [word for path in parts[::-1] for word in ("--scores", str(path))]
    words = ["--output", str(joined), "--save-scores", str(again)]
    assert run(["evaluate", *named, *common, *words]) == 0
    assert read(again) == read(tmp_path / "whole.csv")
    theirs, ours = (json.loads(path.read_text())["parts"] for path in (joined, whole))
    assert theirs[0]["estimates"] == ours[0]["estimates"]


def test_python_scores_the_same_part(tmp_path, site, model, parts):
    write_scores(tmp_path / "2.csv", tumorlens.score(model, site, shard="2/3"))
    assert [row | {"path": ""} for row in read(tmp_path / "2.csv")] == [
        row | {"path": ""} for row in read(parts[1])
    ]


def spoil(path, target, old, new):
    target.write_text(re.sub(old, new, path.read_text()))
    return target


def test_what_does_not_belong_together_is_refused(tmp_path, parts):
    def refuse(*files):
        with pytest.raises(DataError) as caught:
            tumorlens.evaluate(list(files))
        return str(caught.value)

    assert "shard 2/3 missing" in refuse(parts[0], parts[2])
    assert "shards 1/3, 2/3 missing" in refuse(parts[2])
    twice = spoil(parts[0], tmp_path / "twice.csv", "^$", "")
    assert "is shard 1/3, as" in refuse(*parts, twice)
    other = spoil(parts[1], tmp_path / "other.csv", "tiny 0", "tiny 1")
    assert "it has the model tiny 1" in refuse(parts[0], other, parts[2])
    torn = spoil(parts[1], tmp_path / "torn.csv", r"2/3", "x")
    assert "are not those of one shard" in refuse(parts[0], torn, parts[2])
    moved = spoil(parts[0], tmp_path / "moved.csv", "1/3", "2/3")
    assert "hold a row twice" in refuse(parts[0], moved, parts[2])


def test_a_group_is_never_parted(site, model):
    with pytest.raises(UsageError, match=r"the rows have 24; give at most 24 shards"):
        tumorlens.score(model, site, shard="3/25")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shard", "1/2"], "give MODEL DATA... and --save-scores FILE"),
        (["--shard", "3/2", "--save-scores", "s.csv"], "the parts are numbered from 1"),
        (
            ["--shard", "1/2", "--save-scores", "s.csv", "--by", "source"],
            "--by does not go with --shard",
        ),
    ],
)
def test_a_shard_has_no_figures(tmp_path, monkeypatch, capsys, site, model, words, said):
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", str(model), str(site), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
