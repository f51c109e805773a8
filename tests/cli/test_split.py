"""``tumorlens split`` from the command line to the manifest."""

import csv
import json

import pytest
from PIL import Image

from brains import paint_brain
from tumorlens.cli.main import run


@pytest.fixture
def site(tmp_path):
    """Twelve heads in two class folders; each stands there a second time, mirrored."""
    for number in range(12):
        folder = tmp_path / "site" / ("no" if number % 2 else "yes")
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(paint_brain(number))
        picture.save(folder / f"{number}.png")
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"copy of {number}.png")
    return tmp_path / "site"


def read(path):
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_copies_stay_together(site, tmp_path, capsys):
    output, log = tmp_path / "folds.csv", tmp_path / "run.json"
    assert run(["split", str(site), "--folds", "3", "-o", str(output), "--run-log", str(log)]) == 0
    rows = read(output)
    assert len(rows) == 24
    split_of = {row["path"].split("/")[-1]: row["split"] for row in rows}
    for number in range(12):
        assert split_of[f"{number}.png"] == split_of[f"copy of {number}.png"]
    assert set(split_of.values()) == {"0", "1", "2"}
    said = capsys.readouterr().err
    assert "24 pictures are 12 different ones" in said
    assert "0: 8 slices of 4 groups, 4 with a tumor, 4 without" in said
    assert json.loads(log.read_text())["counts"] == {"slices": 24, "groups": 12, "notes": 0}


@pytest.mark.parametrize(
    "words", [("split", "--no-twins", "-o", "split.csv"), ("audit", "--no-model")]
)
def test_a_hidden_class_folder_is_told(site, words, capsys, monkeypatch):
    monkeypatch.chdir(site.parent)
    (site / "no").rename(site / ".no")
    assert run([words[0], str(site), *words[1:]]) == 0
    assert f"1 hidden folder is left out: {site / '.no'}; rename it" in capsys.readouterr().err


def test_without_copies_files_are_groups(site, tmp_path):
    output = tmp_path / "split.csv"
    assert run(["split", str(site), "--no-twins", "-o", str(output), "--quiet"]) == 0
    assert {row["group"] for row in read(output)} == {""}
    assert {row["split"] for row in read(output)} == {"train", "validation", "test"}


def test_the_same_seed_gives_the_same_file(site, tmp_path):
    files = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    for file, seed in zip(files, "112", strict=True):
        assert run(["split", str(site), "--no-twins", "-o", str(file), "--seed", seed]) == 0
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--folds", "50"], "cannot be split into 50 parts (0 to 49); expected"),
        (["--folds", str(10**15)], "cannot be split into 1000000000000000 parts"),
        (["--folds", "3", "--fractions", "0.5", "0.3", "0.2"], "either --folds or --fractions"),
        (["--seed", "-1"], "-1 is not in the range x>=0"),
        (["--fractions", "0.5", "0.2", "0.2"], "add up to 1"),
        (["--map", "yes"], "--map yes: expected NAME=MEANING"),
    ],
)
def test_bad_wishes_write_nothing(site, tmp_path, capsys, arguments, words):
    output = tmp_path / "split.csv"
    assert run(["split", str(site), "--no-twins", "-o", str(output), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [site]


def test_groups_of_two_sets_are_asked_for(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rows = "".join(f"{n}.png,p{n},tumor\n" for n in range(4))
        (tmp_path / name / "manifest.csv").write_text("path,group,label\n" + rows)
    words = ["split", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "s.csv")]
    assert run(words) == 2
    assert "--shared-groups" in capsys.readouterr().err
    assert run([*words, "--shared-groups"]) == 0
    assert {row["group"] for row in read(tmp_path / "s.csv")} == {"p0", "p1", "p2", "p3"}
    assert run([*words, "--separate-groups"]) == 2  # the file exists
    assert run([*words, "--separate-groups", "--overwrite"]) == 0
    assert len({row["group"] for row in read(tmp_path / "s.csv")}) == 8


def test_broken_volumes_are_said(site, tmp_path, capsys):
    (site / "yes/broken.nii.gz").write_bytes(b"nothing like it")
    output = tmp_path / "folds.csv"
    assert run(["split", str(site), "--folds", "3", "-o", str(output)]) == 0
    assert "1 slice cannot be read; its note says why" in capsys.readouterr().err
    notes = [row["note"] for row in read(output) if row["path"].endswith("broken.nii.gz")]
    assert notes[0].startswith("unreadable: ")


def test_two_results_may_not_be_one_file(site, tmp_path, capsys):
    output = tmp_path / "split.csv"
    again = f"{tmp_path}/../{tmp_path.name}/split.csv"
    assert run(["split", str(site), "--no-twins", "-o", str(output), "--run-log", again]) == 2
    assert "is named for two results" in capsys.readouterr().err
    assert not output.exists()


def test_parts_stand_in_their_order_and_unlabelled_slices_are_counted(tmp_path, capsys):
    lines = [f"{n}.png,p{n},{'' if n % 2 else 'tumor'}" for n in range(8)]
    (tmp_path / "set.csv").write_text("path,group,label\n" + "\n".join(lines) + "\n")
    output = str(tmp_path / "split.csv")
    fractions = ["--fractions", "0.5", "0.375", "0.125"]
    assert run(["split", str(tmp_path / "set.csv"), "-o", output, *fractions]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said[:3]] == ["train", "validation", "test"]
    assert "4 slices of 4 groups, 2 with a tumor, 0 without, 2 unlabelled" in said[0]
    assert "1 slice of 1 group" in said[2]
