"""Tables as people spell them, where a wrong reading would let a patient leak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders import write_picture
from tumorlens.data.choosing import Choice, choose_rows
from tumorlens.data.manifest import read_data, read_manifest
from tumorlens.errors import DataError


def write(folder: Path, text: str) -> Path:
    (folder / "cases.csv").write_text(text)
    return folder / "cases.csv"


@pytest.mark.parametrize(
    ("word", "split"),
    [
        *(("Train", "train"), ("TEST", "test"), ("testing", "test"), ("val", "validation")),
        *(("Valid", "validation"), ("Holdout", "Holdout"), ("0", "0")),
    ],
)
def test_splits_are_named_as_people_spell_them(tmp_path, word, split):
    """Else rows of a test that is spelled so would be trained on."""
    path = write(tmp_path, f"path,split\nx.png,{word}\ny.png,other\n")
    assert [row.split for row in read_manifest(path).rows] == [split, "other"]
    assert len(read_data(path, split=word)) == len(read_data(path, split=split)) == 1


def test_a_patient_of_a_column_of_floats_is_that_of_whole_numbers(tmp_path):
    """pandas writes 1.0 where another cell of the column is empty."""
    text = "path,group\nx.nii,1.0\ny.nii,\nz.nii,1.50\n"
    assert [row.group for row in read_manifest(write(tmp_path, text)).rows] == ["1", "", "1.50"]


@pytest.mark.parametrize("name", ["patient_id", "PatientID", "Subject", "participant_id", "GROUP"])
def test_a_column_of_patients_under_another_name_is_no_extra(tmp_path, name):
    """Without groups, a patient may stand on both sides of a split."""
    with pytest.raises(DataError, match=f"column {name}: expected group"):
        read_manifest(write(tmp_path, f"path,{name}\nx.png,a\n"))
    (row,) = read_manifest(write(tmp_path, f"path,group,{name}\nx.png,a,b\n")).rows
    assert (row.group, row.extra) == ("a", ((name, "b"),))


@pytest.mark.parametrize("name", ["class", "Diagnosis", "has_tumor", "LABEL"])
def test_a_column_of_labels_under_another_name_is_no_extra(tmp_path, name):
    """Without labels, a set is split as if all of its slices were alike."""
    with pytest.raises(DataError, match=f"column {name}: expected label"):
        read_manifest(write(tmp_path, f"path,{name}\nx.png,a\n"))
    (row,) = read_manifest(write(tmp_path, f"path,label,{name}\nx.png,tumor,b\n")).rows
    assert (row.label, row.extra) == ("tumor", ((name, "b"),))


def test_rows_that_stand_twice_are_told(tmp_path):
    path, heard = write(tmp_path, "path,group\nx.png,a\n./x.png,a\ny.png,b\n"), []
    choose_rows([path], Choice(twins=False), notice=heard.append)
    assert heard == ["rows that name the slice of an earlier row, and count again: 1 of 3"]


def test_patients_that_are_spelled_in_two_ways_are_told(tmp_path):
    path, heard = write(tmp_path, "path,group\nx.png,P01\ny.png,p1\nz.png,p10\n"), []
    choose_rows([path], Choice(twins=False), notice=heard.append)
    (told,) = heard
    assert "in zeros: 1, such as 'P01' and 'p1'; they count as different patients" in told


def test_files_that_name_a_patient_without_a_group_are_told(tmp_path):
    path, heard = write(tmp_path, "path\nTCGA_CS_4941_19960909_1.tif\nb.png\n"), []
    choose_rows([path], Choice(twins=False), notice=heard.append)
    assert heard[0].startswith("1 slice has no group, though names such as TCGA_CS_4941_19960909_1")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("tumor,no_tumor", "expected none, as the label is tumor, got 'no_tumor'"),
        ("no_tumor,yes", "expected none, as the label is no_tumor, got 'yes'"),
        ("glioma,meningioma", "expected glioma, as the label says, got 'meningioma'"),
    ],
)
def test_a_class_that_contradicts_the_label_is_refused(tmp_path, cells, expected):
    """A tumor of the class no_tumor was trained on as a tumor."""
    with pytest.raises(DataError, match=f"line 2, column tumor_class: {expected}"):
        read_manifest(write(tmp_path, f"path,label,tumor_class\nx.png,{cells}\n"))
    (row,) = read_manifest(write(tmp_path, "path,label,tumor_class\nx.png,glioma,yes\n")).rows
    assert (row.label, row.tumor_class) == ("tumor", "glioma")


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("TCGA_CS_4941_19960909_1.png", "tcga-cs-4941"),
        ("BraTS20_Training_001_slice_45.png", "brats20-training-001"),
        ("Brats18_TCIA01_131_1_t1ce_80.png", "brats18-tcia01-131"),
        ("BraTS-GLI-00012-000-t1c_80.png", "brats-gli-00012"),
        ("BraTS2021_00012_75.png", "brats2021-00012"),
        ("UPENN-GBM-00012_11_T1_80.png", "upenn-gbm-00012"),
        ("IXI012-HH-1211-T1_80.png", "ixi012"),
        ("OAS1_0028_MR1_mpr-1_100.png", "oas1-0028"),
        ("volume_12_slice_3.png", "volume-12"),
        ("Patient 7 (3).png", "patient-7"),
        ("Tr-gl_0010.png", ""),
        ("image(12).png", ""),
    ],
)
def test_a_picture_may_name_its_patient(tmp_path, name, group):
    """Slices that were saved as pictures of their own must not be parted."""
    for one in (f"yes/{name}", "no/patient_99_1.png", "no/p1/case_3.png"):
        (tmp_path / one).parent.mkdir(parents=True, exist_ok=True)
        write_picture(tmp_path / one, np.arange(64, dtype=np.uint8).reshape(8, 8))
    groups = {row.path.name: row.group for row in read_data(tmp_path).rows}
    assert groups[name] == group
    assert groups["case_3.png"] == "p1"  # a folder says it more surely
