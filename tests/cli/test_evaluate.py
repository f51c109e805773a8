"""``tumorlens evaluate`` from end to end: real pictures, a real model file, a real JSON."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from models import write_tiny_model
from score_tables import draw_heads
from sites import write_site
from tumorlens.cli.main import run
from tumorlens.evaluation.score_files import write_scores
from tumorlens.imaging.pixels.fingerprint import fingerprint_slice
from tumorlens.imaging.readers import read_slice
from tumorlens.model.seen_entry import encode_fingerprints


@pytest.fixture
def site(tmp_path):
    return write_site(tmp_path / "hospital", patients=24).parent


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


def evaluate(*words):
    return run(["evaluate", "--replicates", "100", *map(str, words)])


def figures(path, part=0):
    record = json.loads(path.read_text(encoding="utf-8"))
    return {one["name"]: one for one in record["parts"][part]["estimates"]}


def test_summary_json_scores_and_run_log(site, model, tmp_path, capsys):
    output, scores, log = (tmp_path / name for name in ("e.json", "s.csv", "log.json"))
    words = ("--output", output, "--save-scores", scores, "--run-log", log, "--prevalence", "0.1")
    assert evaluate(model, site, *words) == 0
    shown = capsys.readouterr().out
    assert "hospital: 48 slices (24 tumor, 24 no tumor), 24 groups; tiny 0" in shown
    assert "For research only" in shown
    found = figures(output)
    assert found["auc"]["value"] > 0.8
    assert found["pointing"]["n"] == 24
    assert found["pointing"]["value"] > found["pointing_of_center"]["value"] - 1e-9
    assert found["ppv"]["value"] is not None
    assert json.loads(log.read_text())["counts"] == {"slices": 48, "failed": 0}
    again = tmp_path / "again.json"
    assert evaluate("--scores", scores, "--prevalence", "0.1", "--output", again) == 0
    assert figures(again)["auc"] == found["auc"]
    assert figures(again)["pointing"] == found["pointing"]


def test_a_box_outside_its_picture_is_a_failure_with_its_line(site, model, capsys):
    manifest = site / "manifest.csv"
    lines = manifest.read_text().splitlines()
    lines[3] = lines[3].replace("26 30 42 46", "26 30 42 460")
    manifest.write_text("\n".join(lines) + "\n")
    assert evaluate(model, site) == 1
    said = capsys.readouterr()
    assert "manifest.csv, line 4, column box: expected boxes inside" in said.err
    assert "1 of 48 slices could not be read" in said.err
    assert "47 slices (23 tumor" in said.out


def test_two_sets_are_measured_apart(site, model, tmp_path, capsys):
    other = write_site(tmp_path / "clinic", patients=3, seed=1).parent
    output = tmp_path / "e.json"
    assert evaluate(model, site, other, "--output", output, "--by", "source") == 0
    parts = json.loads(output.read_text())["parts"]
    assert [part["by"] for part in parts] == [{}, {"source": "clinic"}, {"source": "hospital"}]
    assert "Subset by subset" in capsys.readouterr().out
    counts = figures(output, 1)["sensitivity"]["counts"]
    assert [whole for _, _, whole in counts] == [1, 1, 1]


def test_comparison_with_a_model_and_with_scores(site, model, tmp_path, capsys):
    scores = tmp_path / "s.csv"
    assert evaluate(model, site, "--save-scores", scores, "--compare", model) == 0
    assert "Against tiny 0" in capsys.readouterr().out
    assert evaluate(model, site, "--compare", scores) == 0
    assert "+0.000" in capsys.readouterr().out


def test_whole_heads_of_pooled_scores(tmp_path, capsys):
    files = []
    for name, seed in (("a", 1), ("b", 2)):
        files += ["--scores", str(tmp_path / f"{name}.csv")]
        write_scores(tmp_path / f"{name}.csv", draw_heads(24, seed=seed, prefix=name))
    output, page = tmp_path / "e.json", tmp_path / "e.html"
    assert evaluate(*files, "--output", output, "--report", page) == 0
    told = json.loads(output.read_text())
    assert told["heads"] == "judged with numbers fitted on the other fold"
    heads = told["parts"][0]["heads"]
    assert heads["of_series"] == heads["of_studies"] == [24, 24]
    assert {"auc", "found_at_10_alarms", "alarms_per_100"} <= {
        one["name"] for one in heads["series"]
    }
    assert "found_at_99_cleared" in figures(output)
    shown = capsys.readouterr().out
    assert "Whole series: 24 with a tumor, 24 tumor-free" in shown
    assert "false alarms per 100 tumor-free" in shown
    assert "Whole studies: 24 with a tumor" in page.read_text()


def test_too_few_heads_are_told_in_a_note(tmp_path, capsys):
    write_scores(tmp_path / "s.csv", draw_heads(8))
    assert evaluate("--scores", tmp_path / "s.csv") == 0
    assert "too few series to fit numbers" in " ".join(capsys.readouterr().out.split())


def test_a_group_on_both_sides_of_the_split_was_seen(tmp_path, model, capsys):
    manifest = write_site(tmp_path / "hospital", patients=2, slices=4, split="test")
    lines = manifest.read_text().splitlines()
    lines[1] = lines[1].replace(",test,", ",train,")
    manifest.write_text("\n".join(lines) + "\n")
    output = tmp_path / "e.json"
    assert evaluate(model, manifest, "--split", "test", "--output", output) == 0
    parts = json.loads(output.read_text())["parts"]
    assert [(part["seen"], part["slices"]) for part in parts] == [("without_seen", 4), ("as_is", 7)]
    shown = " ".join(capsys.readouterr().out.split())
    unseen = shown.index("hospital, not seen in training: 4 slices")
    assert unseen < shown.index("hospital, 3 of 7 SEEN in training, so too optimistic: 7 slices")


def test_all_seen_is_said_plainly_and_is_no_error(tmp_path, site, capsys):
    fingerprints = encode_fingerprints(
        fingerprint_slice(read_slice(path)) for path in site.glob("*.png")
    )
    model = write_tiny_model(tmp_path / "m.onnx", seen=fingerprints)
    assert evaluate(model, site) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "hospital, all 48 SEEN in training, so too optimistic: 48 slices" in shown
    assert "hospital, not seen in training: no slice is left" in shown


def test_class_folders_are_grouped_by_copies(site, model, tmp_path, capsys):
    folders = tmp_path / "clinic"
    for number, name in ((0, "lesion"), (1, "clean")):
        (folders / name).mkdir(parents=True)
        for picture in site.glob(f"[0-4]-{number}.png"):
            (folders / name / picture.name).write_bytes(picture.read_bytes())
    (folders / "clean" / "copy.png").write_bytes((site / "0-1.png").read_bytes())
    output = tmp_path / "e.json"
    mapped = ("--map", "lesion=tumor", "--map", "clean=no_tumor")
    assert evaluate(model, folders, *mapped, "--output", output) == 0
    part = json.loads(output.read_text())["parts"][0]
    assert part["slices"] == 11
    assert part["groups"] < 11  # the copy is no new case
    assert "11 of 11 slices had no group" in capsys.readouterr().err


def test_an_unreadable_picture_is_named_and_the_exit_code_is_1(site, model, capsys):
    (site / "0-0.png").write_bytes(b"no picture")
    assert evaluate(model, site) == 1
    said = capsys.readouterr().err
    assert "0-0.png" in said
    assert "1 of 48 slices could not be read" in said


def test_an_unreadable_picture_does_not_stop_the_search_for_copies(site, model, tmp_path, capsys):
    for number, name in ((0, "yes"), (1, "no")):
        (tmp_path / "clinic" / name).mkdir(parents=True)
        for picture in site.glob(f"[0-4]-{number}.png"):
            (tmp_path / "clinic" / name / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "clinic" / "no" / "0-1.png").write_bytes(b"no picture")
    assert evaluate(model, tmp_path / "clinic") == 1
    assert "1 of 10 slices could not be read" in capsys.readouterr().err


def forget_hits(scores, folder, masks=None):
    """A scores.csv of another program: peaks, but nobody has judged where they lie."""
    with scores.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        for name in ("peak_hit", "center_hit", "grid_hit"):
            del row[name]
        if masks and row["box"]:
            row["box"], row["mask"] = "", masks.pop(0)
    target = scores.with_name("forgotten.csv")
    with target.open("w", newline="") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    return target


def test_pointing_is_judged_from_the_boxes_of_a_scores_file(site, model, tmp_path):
    scores, output, again = (tmp_path / name for name in ("s.csv", "e.json", "again.json"))
    assert evaluate(model, site, "--save-scores", scores, "--output", output) == 0
    assert evaluate("--scores", forget_hits(scores, tmp_path), "--output", again) == 0
    assert figures(again)["pointing"] == figures(output)["pointing"]


def test_masks_that_cannot_be_read_are_counted(site, model, tmp_path, capsys):
    scores, output = tmp_path / "s.csv", tmp_path / "e.json"
    assert evaluate(model, site, "--save-scores", scores) == 0
    mask = np.zeros((96, 96), np.uint8)
    mask[30:46, 26:42] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    file = forget_hits(scores, tmp_path, ["mask.png"] * 22 + ["gone.png"] * 2)
    assert evaluate("--scores", file, "--output", output) == 0
    assert figures(output)["pointing"]["n"] == 22
    note = json.loads(output.read_text())["notes"][0]
    assert "the masks of 2 slices could not be used, and the pointing game leaves them out" in note
    assert "gone.png" in note
    assert "the masks of 2 slices" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kept", ["tumor", "no_tumor"])
def test_one_label_only_says_what_still_holds(site, model, tmp_path, capsys, kept):
    manifest = site / "manifest.csv"
    header, *lines = manifest.read_text().splitlines()
    rows = [line for line in lines if f",{kept}," in line]
    manifest.write_text("\n".join([header, *rows]) + "\n")
    output = tmp_path / "e.json"
    assert evaluate(model, site, "--output", output) == 0
    shown = capsys.readouterr().out
    assert f"one label only ({kept})" in " ".join(shown.split())
    found = figures(output)
    for name in ("sensitivity", "found") if kept == "tumor" else ("specificity", "cleared"):
        assert found[name]["low"] < found[name]["value"] <= found[name]["high"]
    # The JSON says of each figure what it needs; the table shows those that there are.
    assert found["auc"]["value"] is None
    assert found["auc"]["note"] == "needs slices of both labels"
    assert "balanced accuracy  " not in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected MODEL and DATA..., or --scores FILE"),
        (["{model}"], "expected MODEL and DATA..., or --scores FILE"),
        (["{model}", "{site}", "--scores", "{site}/manifest.csv"], "not both"),
        (["--scores", "{site}/manifest.csv", "--map", "yes=tumor"], "scores have none"),
        (["{model}", "{site}", "--by", "hospital"], "no column 'hospital'"),
        (["{model}", "{site}", "--split", "exam"], "no row has the split 'exam'"),
        (["--scores", "{site}/manifest.csv"], "tumor_probability, low, middle, high not found"),
        (["{model}", "{site}", "--operating-point", "keen"], "no operating point 'keen'"),
        (["{model}", "{site}/empty"], "no such file or folder"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    site, model, tmp_path, capsys, words, message
):
    output = tmp_path / "e.json"
    filled = [word.format(model=model, site=site) for word in words]
    assert evaluate(*filled, "--output", output) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("e.json*"))


def test_an_existing_result_is_refused_before_the_work(site, model, tmp_path, capsys):
    output = tmp_path / "e.json"
    output.write_text("kept")
    assert evaluate(model, site, "--output", output) == 2
    assert output.read_text() == "kept"
    assert evaluate(model, site, "--output", output, "--overwrite", "--quiet") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("broken", ["missing", "blank", "small"])
def test_a_mask_that_cannot_serve_is_told_and_stands_in_no_pointing_game(
    site, model, tmp_path, capsys, broken
):
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(site / "blank.png")
    Image.fromarray(np.eye(9, dtype=np.uint8) * 255).save(site / "small.png")
    manifest = site / "manifest.csv"
    with manifest.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    first = next(row for row in rows if row["label"] == "tumor")
    first.update(box="", mask=f"{broken}.png")
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(first))
        table.writeheader()
        table.writerows(rows)
    output = tmp_path / "e.json"
    assert evaluate(model, site, "-o", output) == 0
    assert figures(output)["pointing"]["n"] == 23
    shown = " ".join(capsys.readouterr().out.split())
    assert "the mask of 1 slice could not be used, and the pointing game leaves it out" in shown
    assert f"{broken}.png" in shown.replace(" ", "")


def test_a_negative_seed_and_one_file_for_two_results_are_refused(site, model, tmp_path, capsys):
    output = tmp_path / "e.json"
    assert evaluate(model, site, "--seed", "-1") == 2
    assert "-1 is not in the range x>=0" in capsys.readouterr().err
    assert evaluate(model, site, "--replicates", 10**9) == 2
    assert "100<=x<=100000" in capsys.readouterr().err
    assert evaluate(model, site, "-o", output, "--report", output) == 2
    assert "is named for two results" in capsys.readouterr().err
    assert not output.exists()
