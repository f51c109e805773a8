"""Masks among volumes, named as public sets name them, label each slice."""

from __future__ import annotations

import numpy as np
import pytest

from builders import paint_head, write_nifti, write_nrrd
from tumorlens.data.manifest import read_data
from tumorlens.data.pictures import read_row
from tumorlens.imaging.readers import read_mask
from tumorlens.imaging.slices import find_marked

SHAPE, AFFINE = (24, 28, 20), np.diag([3.0, 3.0, 5.0, 1.0])
HEAD = paint_head(SHAPE)
TUMOR = np.zeros(SHAPE, np.uint8)
TUMOR[8:12, 10:16, 9:13] = 4
TUMOR[9:11, 11:14, 10:12] = 1
MARKED = {9, 10, 11, 12}
OTHER = np.roll(TUMOR, 3, 2)


@pytest.fixture
def tree(tmp_path):
    def build(**volumes):
        for name, volume in volumes.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_nifti(path, volume, AFFINE)
        return tmp_path

    return build


LAYOUTS = {
    "BraTS 2021": {
        "BraTS2021_00017/BraTS2021_00017_flair.nii.gz": HEAD,
        "BraTS2021_00017/BraTS2021_00017_t1ce.nii.gz": HEAD,
        "BraTS2021_00017/BraTS2021_00017_seg.nii.gz": TUMOR,
    },
    "BraTS 2023": {
        "BraTS-GLI-00005-000/BraTS-GLI-00005-000-t1c.nii.gz": HEAD,
        "BraTS-GLI-00005-000/BraTS-GLI-00005-000-seg.nii.gz": TUMOR,
        "BraTS-GLI-00005-001/BraTS-GLI-00005-001-seg.nii.gz": OTHER,
    },
    "UCSF-PDGM": {
        "UCSF-PDGM-0004_nifti/UCSF-PDGM-0004_T1c_bias.nii.gz": HEAD,
        "UCSF-PDGM-0004_nifti/UCSF-PDGM-0004_tumor_segmentation.nii.gz": TUMOR,
        "UCSF-PDGM-0004_nifti/UCSF-PDGM-0004_brain_segmentation.nii.gz": np.uint8(HEAD > 0),
    },
    "UPENN-GBM, an expert's before a computer's": {
        "images_structural/UPENN-GBM-00002_11/UPENN-GBM-00002_11_T1GD.nii.gz": HEAD,
        "automated_segm/UPENN-GBM-00002_11_automated_approx_segm.nii.gz": OTHER,
        "images_segm/UPENN-GBM-00002_11_segm.nii.gz": TUMOR,
        "images_segm/UPENN-GBM-00002_21_segm.nii.gz": OTHER,
    },
    "nnU-Net": {
        "imagesTr/case_7_0000.nii.gz": HEAD,
        "imagesTr/case_7_0001.nii.gz": HEAD,
        "labelsTr/case_7.nii.gz": TUMOR,
        "labelsTr/case_70.nii.gz": OTHER,
    },
    "folders of pairs": {
        "images/a.nii.gz": HEAD,
        "labels/a.nii.gz": TUMOR,
        "labels/b.nii.gz": OTHER,
    },
    "a folder for each case": {"p7/T1.nii.gz": HEAD, "p7/seg.nii.gz": TUMOR},
    "BIDS": {
        "sub-07/ses-1/anat/sub-07_ses-1_FLAIR.nii.gz": HEAD,
        "derivatives/m/sub-07/ses-1/anat/sub-07_ses-1_space-T1w_label-tumor_mask.nii.gz": TUMOR,
        "derivatives/m/sub-07/ses-2/anat/sub-07_ses-2_space-T1w_label-tumor_mask.nii.gz": OTHER,
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_masks_of_public_sets_label_each_slice(tree, name):
    heard = []
    rows = read_data(tree(**LAYOUTS[name]), notice=heard.append).rows
    assert {row.frame for row in rows if row.label == "tumor"} == MARKED
    assert {row.label for row in rows} == {"tumor", "no_tumor"}
    for row in rows:
        assert (row.mask is not None) == (row.label == "tumor")
        if row.mask is not None:
            slice_ = read_row(row)
            mask = read_mask(row.mask, row.mask_frame, slice_.pixels.shape, slice_.info)
            assert row.note == f"{np.count_nonzero(find_marked(mask))} tumor pixels"
    assert heard[0].startswith("1 file is taken as masks of tumors in ")
    assert len({row.group for row in rows}) == 1


def test_each_volume_of_a_file_is_labelled_and_the_first_has_the_mask(tree):
    """As in the Medical Segmentation Decathlon: one file holds all sequences of a case."""
    both = np.stack([HEAD, HEAD[::-1]], axis=-1)
    names = {"imagesTr/BRATS_001.nii.gz": both, "labelsTr/BRATS_001.nii.gz": TUMOR}
    rows = read_data(tree(**names)).rows
    assert {row.frame for row in rows if row.label == "tumor"} == MARKED | {
        frame + SHAPE[2] for frame in MARKED
    }
    assert {row.frame for row in rows if row.mask} == MARKED


def test_a_mask_without_any_mark_is_of_a_head_without_tumor(tree):
    empty = {"imagesTr/a_0000.nii.gz": HEAD, "labelsTr/a.nii.gz": np.zeros(SHAPE, np.uint8)}
    rows = read_data(tree(**empty)).rows
    assert {(row.label, row.mask) for row in rows} == {("no_tumor", None)}


def test_lesions_need_a_word_of_the_caller(tree):
    """They may be strokes, or of multiple sclerosis."""
    heard = []
    folder = tree(**{
        "sub-07/anat/sub-07_FLAIR.nii.gz": HEAD,
        "derivatives/sub-07/anat/sub-07_desc-lesion_mask.nii.gz": TUMOR,
    })  # fmt: skip
    assert {row.label for row in read_data(folder, notice=heard.append).rows} == {""}
    assert heard == [
        "1 mask of lesions, such as sub-07_desc-lesion_mask.nii.gz: nothing tells whether the "
        "lesions are tumors; say what 'lesion' means with `classes=`: tumor, no_tumor, a tumor "
        "class, or skip"
    ]
    rows = read_data(folder, classes={"lesion": "metastasis"}).rows
    marked = {(row.label, row.tumor_class) for row in rows if row.frame in MARKED}
    assert marked == {("tumor", "metastasis")}
    rows = read_data(folder, classes={"lesion": "no_tumor"}).rows
    assert {(row.label, row.mask) for row in rows} == {("no_tumor", None)}
    assert {row.label for row in read_data(folder, classes={"lesion": "skip"}).rows} == {""}


def test_class_folders_say_what_is_marked(tree):
    heard = []
    folder = tree(**{
        "HGG/Brats18_a_1/Brats18_a_1_flair.nii.gz": HEAD,
        "HGG/Brats18_a_1/Brats18_a_1_seg.nii.gz": TUMOR,
        "HGG/Brats18_b_1/Brats18_b_1_flair.nii.gz": HEAD,
        "healthy/c/c_flair.nii.gz": HEAD,
        "healthy/c/c_lesion_mask.nii.gz": TUMOR,
    })  # fmt: skip
    rows = read_data(folder, notice=heard.append).rows
    one = [row for row in rows if "Brats18_a_1" in row.path.name]
    assert {row.frame for row in one if row.tumor_class == "glioma"} == MARKED
    assert {row.frame for row in one if row.label == "no_tumor"} & MARKED == set()
    assert {row.label for row in rows if "Brats18_b_1" in row.path.name} == {"tumor"}
    assert {(row.label, row.mask) for row in rows if row.path.name == "c_flair.nii.gz"} == {
        ("no_tumor", None)
    }
    assert any(
        "1 volume or series in folders of tumors, such as Brats18_b_1" in one for one in heard
    )
    assert any("1 volume has no mask, such as Brats18_b_1_flair.nii.gz" in one for one in heard)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.uint8(HEAD > 0), "it marks so much of the head that it is none of a tumor"),
        (TUMOR[:-2], "it has another size or place than the volume of its name"),
    ],
)
def test_a_mask_of_something_else_is_told_and_not_used(tree, mask, said):
    """Programs that part tissues name their result so, too."""
    heard = []
    folder = tree(**{"p/T1_brain.nii.gz": HEAD, "p/T1_brain_seg.nii.gz": mask})
    assert {row.label for row in read_data(folder, notice=heard.append).rows} == {""}
    assert heard == [f"1 mask is not used, such as T1_brain_seg.nii.gz: {said}"]


def test_a_mask_that_lies_elsewhere_or_is_broken_is_told(tmp_path):
    write_nifti(tmp_path / "a_flair.nii.gz", HEAD, AFFINE)
    moved = AFFINE.copy()
    moved[:3, 3] = 30
    write_nifti(tmp_path / "a_seg.nii.gz", TUMOR, moved)
    write_nrrd(tmp_path / "b_flair.nrrd", HEAD.astype(np.int16))
    (tmp_path / "b_seg.nrrd").write_bytes(b"NRRD0004\nno more")
    heard = []
    rows = read_data(tmp_path, notice=heard.append).rows
    assert {row.label for row in rows} == {""}
    assert any("such as a_seg.nii.gz: it has another size or place" in one for one in heard)
    assert any("such as b_seg.nrrd: it cannot be read (" in one for one in heard)
