"""``tumorlens data``: list, add, get."""

import csv

import pytest
from PIL import Image

from brains import paint_brain
from tumorlens.cli.main import run
from tumorlens.data.public_sets.catalogue import SETS


def test_list_says_all_of_every_set(capsys):
    assert run(["data", "list"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for name, known in SETS.items():
        assert f"{name}: {known.title}" in said
        for words in (known.content, known.home, known.terms, known.cite, *known.problems):
            assert " ".join(words.split()) in said


def test_list_knows_names(capsys):
    assert run(["data", "list", "br35h"]) == 0
    assert "navoneel:" not in capsys.readouterr().out
    assert run(["data", "list", "br36h"]) == 2
    assert "br35h" in capsys.readouterr().err


@pytest.fixture
def download(tmp_path):
    for number in range(6):
        folder = tmp_path / "download" / ("yes" if number < 3 else "no")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(paint_brain(number // 2)).save(folder / f"{number}.png")
    return tmp_path / "download"


def test_add_writes_a_manifest_with_groups(download, capsys):
    assert run(["data", "add", "navoneel", str(download)]) == 0
    assert "6 slices in 3 groups" in capsys.readouterr().err
    with (download / "manifest.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["source"] for row in rows} == {"navoneel"}
    assert [row["label"] for row in rows].count("tumor") == 3
    assert run(["data", "add", "navoneel", str(download)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_add_says_what_it_cannot_read(tmp_path, capsys):
    assert run(["data", "add", "cheng", str(tmp_path)]) == 2
    assert ".mat" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_get_says_where_a_set_lies(tmp_path, capsys):
    assert run(["data", "get", "navoneel", str(tmp_path / "new")]) == 2
    assert "kaggle.com" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_list_is_no_wider_than_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["data", "list", "navoneel"]) == 0
    lines = capsys.readouterr().out.splitlines()
    address = [line for line in lines if "https://" in line]
    assert max(len(line) for line in lines if line not in address) <= 60


def test_help_breaks_off_in_no_sentence(capsys):
    assert run(["data", "--help"]) == 0
    assert "..." not in capsys.readouterr().out.split("Commands:")[1]
