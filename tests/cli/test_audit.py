"""``tumorlens audit`` from the command line: table, JSON, marked manifest, exit codes."""

import csv
import json

import pytest

from auditing.planting import OF_REAL_HEADS, Site
from models import write_tiny_model
from tumorlens.cli.main import run


@pytest.fixture
def site(tmp_path):
    """A set with a patient on two sides and a picture that cannot be read."""
    site = Site(tmp_path / "site", patients=6)
    site.rows[1]["split"] = "test"
    (site.folder / site.rows[-1]["path"]).write_bytes(b"no picture")
    site.write()
    return site


def audit(*words):
    return run(["audit", "--no-model", *map(str, words)])


def test_table_json_marks_and_run_log(site, tmp_path, capsys):
    output, marked, log = (tmp_path / name for name in ("a.json", "m.csv", "log.json"))
    words = ("--output", output, "--marked", marked, "--run-log", log)
    assert audit(site.folder, *words) == 0
    shown = capsys.readouterr().out
    assert "site: 12 slices (6 no tumor, 6 tumor), 11 different pictures" in shown
    assert "groups across splits" in shown
    assert "\\n" not in shown
    assert "For research only" in shown
    record = json.loads(output.read_text(encoding="utf-8"))
    checks = {one["check"] for one in record["findings"]} - set(OF_REAL_HEADS)
    assert checks == {"groups across splits", "unreadable files"}
    with marked.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["note"] for row in rows if row["note"]] == ["audit: leave out"] * 2
    assert rows[-1]["audit"] == "unreadable files"
    counts = {"slices": 12, "findings": len(record["findings"])}
    assert json.loads(log.read_text())["counts"] == counts
    assert audit(marked, "--quiet", "--fail-on", "any") == 1  # it can be audited again


@pytest.mark.parametrize(
    ("kinds", "code"),
    [("leakage", 1), ("conflicts, unreadable", 1), ("conflicts,twins", 0), ("any", 1), ("", 0)],
)
def test_kinds_to_fail_on(site, kinds, code, capsys):
    assert audit(site.folder, "--fail-on", kinds) == code
    assert ("failed on" in capsys.readouterr().err) == bool(code)


def test_a_model_tells_what_it_does_not_know(site, tmp_path, capsys):
    model = write_tiny_model(tmp_path / "tiny.onnx")  # unfamiliar is what is bright
    output = tmp_path / "a.json"
    assert run(["audit", str(site.folder), "--model", str(model), "--output", str(output)]) == 0
    assert "no model was asked" not in capsys.readouterr().out


def test_against_a_set_with_the_same_names(site, tmp_path, capsys):
    assert audit(site.folder, "--against", site.folder, "--fail-on", "leakage") == 2
    assert "--shared-groups" in capsys.readouterr().err
    other = Site(tmp_path / "other", patients=4, seed=500)
    assert audit(site.folder, "--against", other.write().parent) == 0
    assert "against other" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fail-on", "leaks"), "no kind of finding is named leaks; expected any, leakage"),
        (("--against", "nowhere"), "no such file or folder"),
        (("--marked", "nowhere/m.csv"), "its folder does not exist"),
    ],
)
def test_bad_lines_leave_nothing_behind(site, tmp_path, words, message, capsys):
    output = tmp_path / "a.json"
    assert audit(site.folder, "--output", output, *words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("a.json*"))


def test_two_results_of_one_name_are_refused(site, tmp_path, capsys):
    both = tmp_path / "both"
    assert audit(site.folder, "--output", both, "--report", both) == 2
    assert "is named for two results" in capsys.readouterr().err
    assert not both.exists()


def test_one_is_one(site, capsys):
    assert audit(site.folder) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 row cannot be read" in shown
    assert "1 group (patient) in more than one of test and train: 1 of" in shown


def test_a_page_for_people(site, tmp_path):
    page = tmp_path / "page.html"
    assert audit(site.folder, "--report", page, "--quiet") == 0
    text = page.read_text(encoding="utf-8")
    assert "groups across splits" in text
    assert f"tumorlens audit --no-model {site.folder}" in text
    assert audit(site.folder, "--report", page, "--quiet") == 2  # it exists
