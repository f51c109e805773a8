"""Manifests built from class folders and from trees of DICOM and NIfTI files."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from builders import paint_head, store_volume, write_nifti, write_picture, write_series
from tumorlens.cli.measuring import parse_map
from tumorlens.data import folders, volumes
from tumorlens.data.class_names import ClassNames
from tumorlens.data.manifest import read_data, read_manifest
from tumorlens.data.pictures import read_row
from tumorlens.data.volumes import find_case
from tumorlens.errors import DataError, InputError, UsageError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.stored_files import Source, StoredFile
from tumorlens.imaging.slices import Slice

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.fixture
def tree(tmp_path):
    def build(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, PIXELS)
        return tmp_path

    return build


def facts(manifest, *columns):
    return {row.path.name: tuple(getattr(row, name) for name in columns) for row in manifest.rows}


def test_known_names_are_labels(tree):
    folder = tree(
        "YES/a.png", "no/b.png", "No Tumor/c.jpg", "glioma_tumor/d.png", "Pituitary/e.png"
    )
    manifest = read_data(folder)
    assert facts(manifest, "label", "tumor_class") == {
        "a.png": ("tumor", ""),
        "b.png": ("no_tumor", ""),
        "c.jpg": ("no_tumor", ""),
        "d.png": ("tumor", "glioma"),
        "e.png": ("tumor", "pituitary"),
    }
    assert manifest.sources == (folder.name,)
    assert all(row.group == "" and row.frame is None for row in manifest.rows)


@pytest.mark.parametrize(
    ("names", "label", "tumor_class"),
    [
        (
            "healthy Normal NO control Controls negative no-tumour Non_Tumor tumor_free",
            "no_tumor",
            "",
        ),
        ("Healthy_Controls Without-Tumor no_tumor notumor No.Tumor NORMAL", "no_tumor", ""),
        ("Yes POSITIVE Brain_Tumor brain-tumour Tumors tumorous with_tumor", "tumor", ""),
        ("glioma_tumor Glioma GBM HGG lgg brain_glioma Gliomas", "tumor", "glioma"),
        ("meningioma_tumor Meningioma-Tumour meningiomas", "tumor", "meningioma"),
        ("pituitary_tumor Pituitary-Adenoma PITUITARY", "tumor", "pituitary"),
        ("Metastases brain_metastasis", "tumor", "metastasis"),
    ],
)
def test_names_of_public_sets_are_known(names, label, tumor_class):
    for name in names.split():
        meaning = ClassNames({}).find(name)
        assert meaning is not None, name
        assert ClassNames.label(meaning) == (label, tumor_class), name


@pytest.mark.parametrize("name", ["patients", "abnormal", "0", "1", "other", "images", "lesion"])
def test_names_that_may_mean_anything_are_asked_about(tree, name):
    folder = tree("yes/a.png", f"{name}/b.png")
    with pytest.raises(DataError, match=f"say what '{name}' means with `classes=`: tumor"):
        read_data(folder)


def test_a_name_with_blanks_is_known(tree):
    """As in a set of Kaggle, whose hint once proposed no_tumor for its tumors."""
    folder = tree("Brain Tumor/a.png", "Healthy/b.png")
    assert facts(read_data(folder), "label") == {"a.png": ("tumor",), "b.png": ("no_tumor",)}


def test_splits_stand_above_or_below_classes(tree):
    folder = tree("Training/yes/a.png", "Testing/no/b.png", "yes/val/c.png")
    assert facts(read_data(folder), "split") == {
        "a.png": ("train",),
        "b.png": ("test",),
        "c.png": ("validation",),
    }


def test_other_names_need_a_map(tree):
    folder = tree("sound/a.png", "mets/b.png", "masks/c.png", "yes/d.png")
    with pytest.raises(DataError, match=r"masks, mets, sound.*what 'masks' means with `classes=`"):
        read_data(folder)
    given = parse_map(["sound=notumor", "mets=tumor:metastases", "masks=skip"])
    assert facts(read_data(folder, classes=given), "label", "tumor_class") == {
        "a.png": ("no_tumor", ""),
        "b.png": ("tumor", "metastases"),
        "d.png": ("tumor", ""),
    }


def test_what_lies_in_a_skipped_folder_is_skipped(tree):
    folder = tree("yes/a.png", "copy/yes/b.png")
    assert set(facts(read_data(folder, classes={"copy": "skip"}), "label")) == {"a.png"}


def test_hidden_folders_are_left_out_and_told(tree):
    """A class may lie in one: nobody would look for images that are missing without a word."""
    folder, heard = tree("yes/a.png", "no/b.png", ".no/c.png"), []
    assert set(facts(read_data(folder, notice=heard.append), "label")) == {"a.png", "b.png"}
    assert heard == [
        f"1 hidden folder is left out: {folder / '.no'}; rename it if it holds labelled images"
    ]
    with pytest.raises(DataError, match="no class is known"):
        read_data(tree("yes/@eaDir/d.png", "x/e.png"), notice=heard.append)
    assert heard[1].startswith(f"2 hidden folders are left out: {folder / '.no'}, {folder / 'yes'}")


@pytest.mark.parametrize("item", ["healthy", "=tumor", "healthy=", "healthy=healthy"])
def test_a_bad_map_is_refused(item):
    with pytest.raises(UsageError, match=r"--map|`classes=` gives 'healthy'"):
        ClassNames(parse_map([item]))
    with pytest.raises(UsageError, match="already"):
        parse_map(["a=tumor", "a=no_tumor"])


def test_folders_under_a_class_are_groups(tree):
    folder = tree("yes/p1/a.png", "no/p1/b.png", "yes/p2/FLAIR/c.png", "yes/sub-07_scan/d.png")
    assert facts(read_data(folder), "group", "sequence") == {
        "a.png": ("p1", ""),
        "b.png": ("p1", ""),
        "c.png": ("p2", "FLAIR"),
        "d.png": ("sub-07", ""),
    }


def test_folders_that_sort_images_are_no_patients(tree):
    """Else copies are not looked for between originals and what was made of them."""
    names = ("augmented", "original_images", "fold_1", "Axial", "PNG", "p1")
    manifest = read_data(tree(*(f"yes/{name}/{name}.png" for name in names), "no/p2/x.png"))
    assert {row.group for row in manifest.rows} == {"", "p1", "p2"}
    assert sum(not row.group for row in manifest.rows) == 5


def test_one_folder_for_all_is_no_group(tree):
    manifest = read_data(tree("yes/images/a.png", "no/images/b.png"))
    assert {row.group for row in manifest.rows} == {""}


def test_pictures_without_class_are_refused(tree):
    with pytest.raises(DataError, match="no class is known for the folders x;"):
        read_data(tree("x/a.png"))
    with pytest.raises(DataError, match=r"b\.png lies in no class folder; expected folders such"):
        read_data(tree("b.png"))


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match="holds no picture"):
        read_data(tmp_path)
    (tmp_path / "masks").mkdir()
    write_picture(tmp_path / "masks" / "a.png", PIXELS)
    with pytest.raises(DataError, match="skipped"):
        read_data(tmp_path, classes={"masks": "skip"})


def test_a_bids_tree_is_read_without_labels(tmp_path):
    volume, affine = paint_head((24, 28, 20)), np.diag([3.0, 3.0, 3.0, 1.0])
    names = [
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz",
        "sub-02/anat/sub-02_T2w.nii",
        "sub-02/anat/sub-02_dseg.nii.gz",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_nifti(tmp_path / name, volume, affine)
    manifest = read_data(tmp_path)
    assert {(row.group, row.sequence) for row in manifest.rows} == {
        ("sub-01", "FLAIR"),
        ("sub-01", "T1c"),
        ("sub-02", "T2"),
    }
    assert {row.label for row in manifest.rows} == {""}
    flair = [row for row in manifest.rows if row.sequence == "FLAIR" and row.position is not None]
    assert [row.position for row in flair] == sorted(row.position for row in flair)
    assert flair[0].position == 0
    assert flair[-1].position == 1
    assert [row.frame for row in flair] == list(range(flair[0].frame, flair[-1].frame + 1))


def test_a_data_set_that_is_named_like_a_subject_is_none(tmp_path):
    for subject in ("sub-01", "sub-02"):
        folder = tmp_path / "sub-set" / subject
        folder.mkdir(parents=True)
        write_nifti(folder / f"{subject}_T1w.nii", paint_head((24, 28, 20)))
    assert {row.group for row in read_data(tmp_path).rows} == {"sub-01", "sub-02"}


def test_folders_above_the_class_folders_are_told(tree):
    """They may be patients, sites or splits: nobody knows."""
    heard = []
    read_data(tree("p1/yes/a.png", "p1/no/b.png", "p2/no/c.png"), notice=heard.append)
    (told,) = heard
    assert told.startswith("2 folders hold class folders (p1, p2): they are not taken for patients")
    assert "If they are hospitals, name each of them" in told


def test_one_folder_above_the_class_folders_is_the_data_set(tree):
    heard = []
    rows = read_data(tree("set/Train_set/yes/a.png", "set/test/no/b.png"), notice=heard.append).rows
    assert heard == [] and {row.split for row in rows} == {"train", "test"}


def test_studies_without_a_patient_are_groups_of_their_own(tmp_path):
    """Their files are often called alike, such as IM_0001."""
    volume = paint_head((24, 28, 6)).transpose(2, 1, 0)
    affine = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [6.0, 0, 0, 0], [0, 0, 0, 1.0]])
    for study in ("1.7", "1.8"):
        names = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "PatientID": ""}
        write_series(tmp_path / study, volume, affine, **names)
    assert {row.group for row in read_data(tmp_path).rows} == {"1.7", "1.8"}


def name_volume(name):
    return Source(name, (StoredFile(name, Path(name)),), "volume")


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (("BraTS-GLI-00007-000-t2f.nii.gz", "BraTS-GLI-00007-001-t1n.nii.gz"), "brats-gli-00007"),
        (("UPENN-GBM-00001_11_T1GD.nii.gz", "UPENN-GBM-00001_21_FLAIR.nii"), "upenn-gbm-00001"),
        (("UCSF-PDGM-0004_T1_bias.nii.gz", "UCSF-PDGM-0004_FLAIR.nii.gz"), "ucsf-pdgm-0004"),
        (("ADNI_002_S_0295_MR_x.nii", "ADNI_002_S_0295_MR_y.nii"), "002-s-0295"),
        (("a_Timepoint_1_t1c.nii.gz", "a_Timepoint_2_t1c.nii.gz"), "a"),
        (("case1_T1.nrrd", "case1_T2.mha", "case1_flair.mgz", "case1_PD.nii"), "case1"),
        (("p7/T1.nii.gz", "p7/t2.nii.gz", "p7/mri/T1.mgz", "p7/week-044/FLAIR.nii.gz"), "p7"),
        (("p7/img.nii.gz", "p7/mri/brain.mgz", "p7/anat/Scan.nii"), "p7"),
    ],
)
def test_names_of_one_patient_give_one_group(names, group):
    """Else one patient would stand on two sides of a split, or all patients would be one."""
    assert {find_case(name_volume(name)) for name in names} == {group}


def test_cases_with_like_names_stay_apart():
    names = (
        "visit_1.nii",
        "visit_2.nii",
        "p1/T1.nii",
        "p2/T1.nii",
        "PD_01.nii",
        "BraTS20_001_t1.nii",
    )
    cases = {find_case(name_volume(name)) for name in names}
    assert cases == {"visit_1", "visit_2", "p1", "p2", "PD_01", "BraTS20_001"}


def test_channels_of_nnunet_are_one_case_and_numbered_cases_are_not(tmp_path):
    names = (
        "imagesTr/BRATS_7_0000.nii.gz",
        "imagesTr/BRATS_7_0003.nii.gz",
        "x/p_0000.nii",
        "x/p_0001.nii",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    cases = [find_case(name_volume(f"{tmp_path / name}")) for name in names]
    assert cases == ["BRATS_7", "BRATS_7", "p_0000", "p_0001"]


def test_two_volumes_of_one_case_share_a_group(tmp_path):
    for name in ("case_07_flair.nii.gz", "case_07_t1ce.nii.gz", "case_08_flair.nii.gz"):
        write_nifti(tmp_path / name, paint_head((16, 16, 8)), np.diag([4.0, 4, 4, 1]))
    rows = read_data(tmp_path).rows
    assert {(row.group, row.sequence) for row in rows} == {
        ("case_07", "FLAIR"),
        ("case_07", "T1c"),
        ("case_08", "FLAIR"),
    }


def test_a_dicom_tree_is_grouped_by_the_hashed_patient(tmp_path):
    volume = paint_head((24, 28, 6)).transpose(2, 1, 0)
    affine = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [6.0, 0, 0, 0], [0, 0, 0, 1.0]])
    for patient in ("A", "B"):
        for class_folder in ("yes", "no"):
            write_series(
                tmp_path / class_folder / patient,
                volume,
                affine,
                PatientID=patient,
                SeriesInstanceUID=f"1.2.{ord(patient)}.{len(class_folder)}",
                SeriesDescription="AX T2 FLAIR",
            )
    rows = read_data(tmp_path).rows
    assert len(rows) == 4 * 4  # the first and the last slice of each series are blank
    groups = {row.group for row in rows}
    assert len(groups) == 2
    assert not groups & {"A", "B"}
    assert {row.sequence for row in rows} == {"FLAIR"}
    assert {row.label for row in rows} == {"tumor", "no_tumor"}
    assert {row.position for row in rows} >= {0.0, 1.0}


def test_broken_files_of_a_tree_keep_their_rows(tmp_path):
    """They are told of where slices are read, all at once, as broken pictures are."""
    whole, affine = paint_head((24, 28, 20)), np.diag([3.0, 3.0, 3.0, 1.0])
    for name in ("yes", "no"):
        (tmp_path / name).mkdir()
        write_nifti(tmp_path / name / "case_1_flair.nii.gz", whole, affine)
    (tmp_path / "yes" / "case_2_flair.nii.gz").write_bytes(b"nothing like it")
    (tmp_path / "no" / "case_3.nii").write_bytes(b"")
    broken = read_data(tmp_path).unreadable
    assert {(row.path.name, row.frame, row.label, row.group) for row in broken} == {
        ("case_2_flair.nii.gz", None, "tumor", "case_2"),
        ("case_3.nii", None, "no_tumor", "case_3"),
    }
    assert all(row.note.startswith("unreadable: ") for row in broken)
    for row in broken:
        with pytest.raises(InputError, match=row.path.name):
            read_row(row)


def test_a_broken_slice_of_a_series_costs_no_other(tmp_path):
    volume = paint_head((24, 28, 9)).transpose(2, 1, 0)
    affine = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [6.0, 0, 0, 0], [0, 0, 0, 1.0]])
    files = write_series(tmp_path / "yes", volume, affine)
    files[4].write_bytes(files[4].read_bytes()[:-500])
    manifest = read_data(tmp_path)
    (broken,) = manifest.unreadable
    assert (broken.path, broken.frame) == (files[4], None)
    assert len(manifest.groups) == 1
    assert len(manifest) == 7  # the first and the last slice are blank
    with pytest.raises(InputError, match="IM0005"):
        read_row(broken)


def test_a_broken_frame_of_a_file_is_not_taken_for_another(monkeypatch):
    path, pixels = "/data/case_1.dcm", np.eye(8, dtype=np.float32)
    items = [Slice(pixels, SliceInfo(path, 2)), InputError(path, "is torn")]
    items.append(Slice(pixels, SliceInfo(path, 7)))
    monkeypatch.setattr(volumes, "iterate_slices", lambda _: items)
    rows = volumes.describe_volume(Source(path, (StoredFile(path, Path(path)),), "dicom"), "")
    found = [(row.frame, row.note, row.group) for row in rows]
    # The torn frame is 3, or a later one behind blank ones: 3 is none that can be seen.
    case = "case_1.dcm"
    assert found == [(2, "", case), (7, "", case), (3, "unreadable: is torn", case)]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    write_nifti(tmp_path / "a.nii", paint_head((16, 16, 8)), np.diag([4.0, 4, 4, 1]))
    monkeypatch.setattr(
        folders,
        "find_sources",
        lambda _, **options: [InputError(str(tmp_path), "cannot be listed")],
    )
    with pytest.raises(InputError, match="cannot be listed"):
        read_data(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="names there are always text")
def test_a_name_that_is_no_text_is_refused_since_no_manifest_can_hold_it(tmp_path):
    (tmp_path / "yes").mkdir()
    write_picture(tmp_path / "yes" / "a.png", PIXELS)
    with suppress(OSError):  # some file systems take text only
        (tmp_path / "yes" / "a.png").rename(tmp_path / "yes" / os.fsdecode(b"\xff.png"))
        with pytest.raises(DataError, match=r"\\udcff.png.*not UTF-8.*rename"):
            read_data(tmp_path)


def test_slices_cut_from_a_series_are_named_by_its_folder_and_read_again(tmp_path):
    head = paint_head((40, 36, 32)) + np.arange(36, dtype=np.uint16)[:, np.newaxis]
    volume, lps = store_volume(head, (2, 2, 2), (0, 2, 1), (1, -1, 1))
    write_series(tmp_path / "tree" / "p1", volume, lps)
    manifest = read_data(tmp_path / "tree")
    manifest.write(tmp_path / "m.csv")
    rows = read_manifest(tmp_path / "m.csv").rows
    assert {row.path for row in rows} == {tmp_path / "tree" / "p1"} and len(rows) == 32
    assert read_row(rows[20]).pixels.shape == (36, 40)
    assert read_row(rows[20]).info.frame == 20
    for file in write_series(tmp_path / "other", volume, lps, SeriesInstanceUID="1.9"):
        file.rename(tmp_path / "tree" / "p1" / f"other{file.name}")
    with pytest.raises(InputError, match="holds 2 series"):
        read_row(rows[20])
