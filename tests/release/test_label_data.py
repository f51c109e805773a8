"""The manifest that the release model learns from, made from a small folder of sets."""

from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from shared_data import ROOT, SHARED, needs_shared
from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Row
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.readers import read_slice
from tumorlens.training.rows.brains import find_brain
from tumorlens.training.rows.codes import BRAIN_NONE

EXTENT = ROOT / "release" / "brain_extent.csv"


def read_rows(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_set(folder, lines):
    """A set with the given (path, source, note); each picture is a bright disc."""
    y, x = np.mgrid[:64, :64]
    disc = Image.fromarray(np.where((y - 32) ** 2 + (x - 32) ** 2 < 400, 200, 0).astype(np.uint8))
    rows = ["path,source,group,sequence,label,note"]
    for path, source, note in lines:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        disc.save(folder / path)
        rows.append(f"{path},{source},{source}_p,T1,no_tumor,{note}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The rows that the script makes of a small DATA, by the ends of their paths."""
    data = tmp_path_factory.mktemp("data")
    module = (ROOT / "release" / "label_data.py").read_text(encoding="utf-8")
    names = module.split("SETS = (")[1].split(")")[0].replace('"', "").replace(",", " ").split()
    for name in names:
        write_set(data / name, [(f"{name}.png", name, "")])
    ecog = "mne_ecog/T1/mne_ecog_1/"
    cuts = ["axi_054", "axi_062", "axi_191", "axi_199", "cor_054", "cor_064", "sag_199"]
    write_set(data / "look_alikes_2", [(f"{ecog}{cut}.png", "mne_ecog", "") for cut in cuts])
    write_set(data / "heads", [("T1/a.png", "heads", "")])
    Image.new("L", (64, 64), 255).save(data / "heads" / "mask.png")
    (data / "heads" / "brain.csv").write_text("path,brain_mask\nT1/a.png,mask.png\n")
    others = [("spine/a.png", "x/spine", ""), ("adc/a.png", "x/adc", "")]
    for name in ("not_brain_mri", "not_brain_mri_2"):
        write_set(data / name, others)
    sources = [*names, "mne_ecog"]
    folds = "\n".join(["source,fold", *(f"{name},0" for name in sources)])
    (data / "hospital_folds.csv").write_text(folds + "\n")
    output = data.parent / "labelled.csv"
    script = [sys.executable, str(ROOT / "release" / "label_data.py"), data.name]
    subprocess.run([*script, "--output", output.name], check=True, cwd=data.parent)
    return {row.path.relative_to(data).as_posix(): row for row in read_data(output).rows}


def test_slices_beyond_the_brain_have_an_empty_mask(labelled):
    ecog = "look_alikes_2/mne_ecog/T1/mne_ecog_1/"
    empty = {cut for cut in labelled if cut.startswith(ecog) and labelled[cut].brain is not None}
    assert empty == {f"{ecog}{cut}.png" for cut in ("axi_054", "axi_199", "cor_054", "sag_199")}


def test_images_without_a_brain_are_one_source_a_set_without_the_kinds_that_are_kept(labelled):
    others = {path: row for path, row in labelled.items() if path.startswith("not_brain_mri")}
    assert set(others) == {"not_brain_mri/spine/a.png", "not_brain_mri_2/spine/a.png"}
    row = others["not_brain_mri/spine/a.png"]
    assert (row.source, row.label, row.split) == ("not_brain_mri", "no_tumor", "")
    assert row.brain is not None


def test_an_empty_mask_says_that_no_pixel_shows_brain(labelled):
    row: Row = labelled["look_alikes_2/mne_ecog/T1/mne_ecog_1/axi_054.png"]
    slice_ = read_slice(row.path)
    prepared = prepare(slice_, PreprocessSpec(version=2, size=32))
    image = np.rint(prepared.image[0] * 255).astype(np.uint8)
    brain = find_brain(row, prepared, image, np.zeros((32, 32), np.uint8), slice_.pixels.shape)
    assert (brain == BRAIN_NONE).all()


def test_masks_of_a_set_are_found_under_a_relative_folder(labelled):
    assert labelled["heads/T1/a.png"].brain.name == "mask.png"


def test_nothing_is_said_of_series_that_nobody_looked_at(labelled):
    assert labelled["tcga_lgg/tcga_lgg.png"].brain is None


def test_each_line_of_the_table_names_two_ends_in_their_order():
    for row in read_rows(EXTENT):
        first, last = row["first"], row["last"]
        assert first.rstrip("0123456789") == last.rstrip("0123456789"), row
        assert len(first) == len(last) and first < last, row


@needs_shared
def test_the_table_leaves_out_no_slice_with_a_tumor():
    ends = {(r["set"], r["series"]): (r["first"], r["last"]) for r in read_rows(EXTENT)
            if r["first"].isdigit()}  # fmt: skip
    outside = 0
    for name in {name for name, _ in ends}:
        for row in read_rows(SHARED / "data" / name / "manifest.csv"):
            series, file = row["path"].rsplit("/", 1)
            first, last = ends.get((name, series), ("", "~"))
            if not first <= file.split(".")[0] <= last:
                outside += 1
                assert row["label"] == "no_tumor", row["path"]
    assert outside > 300
