"""Manifests: what is read, what is written, what is refused and where it says so."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders import write_nifti, write_picture
from shared_data import SHARED, needs_shared
from tumorlens.data.manifest import merge_manifests, read_data, read_manifest
from tumorlens.data.rows import COLUMNS, Manifest, Row
from tumorlens.errors import DataError, UsageError

HEADER = ",".join(COLUMNS)


def write(folder: Path, text: str, name: str = "cases.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def make(name: str, *groups: str, source: str = "") -> Manifest:
    rows = tuple(
        Row(Path(f"/data/{name}/{number}.png"), source=source or name, group=group)
        for number, group in enumerate(groups)
    )
    return Manifest(rows, name, Path("/data") / name)


def test_every_column_is_read(tmp_path):
    path = write(
        tmp_path,
        f"{HEADER},scanner\n"
        "a/1.png,3,here,p1,t1C,Tumor,glioma,train,1 2 3 4;5 6.5 7 8,m/1.png,0.25,note,"
        "Axial,off,b/1.png,GE\n",
    )
    (row,) = read_manifest(path).rows
    assert row == Row(
        path=tmp_path / "a/1.png",
        frame=3,
        source="here",
        group="p1",
        sequence="T1c",
        label="tumor",
        tumor_class="glioma",
        split="train",
        boxes=((1, 2, 3, 4), (5, 6.5, 7, 8)),
        mask=tmp_path / "m/1.png",
        position=0.25,
        note="note",
        plane="axial",
        skull="off",
        brain=tmp_path / "b/1.png",
        extra=(("scanner", "GE"),),
    )


def test_path_alone_will_do(tmp_path):
    manifest = read_manifest(write(tmp_path, "path\nx.png\n\n../y.png\n"))
    assert [row.path for row in manifest.rows] == [tmp_path / "x.png", tmp_path.parent / "y.png"]
    assert manifest.sources == ("cases",)
    assert manifest.groups == tuple(sorted(f"file:{row.path}" for row in manifest.rows))


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,label\r\nx.png,tumor\r\n")
    assert read_manifest(path).rows[0].label == "tumor"


def test_a_tumor_class_says_tumor(tmp_path):
    manifest = read_manifest(write(tmp_path, "path,tumor_class\nx.png,glioma\n"))
    assert manifest.rows[0].label == "tumor"


@pytest.mark.skipif(os.sep != "/", reason="Windows reads its own paths")
def test_backslashes_of_windows_are_slashes(tmp_path):
    (tmp_path / "odd\\name.png").touch()
    text = "path,mask\nimg\\a.png,img\\m\\a.png\n..\\b.png,\nodd\\name.png,\n"
    rows = read_manifest(write(tmp_path, text)).rows
    assert [row.path for row in rows] == [
        tmp_path / "img/a.png", tmp_path.parent / "b.png", tmp_path / "odd\\name.png"
    ]  # fmt: skip
    assert rows[0].mask == tmp_path / "img/m/a.png"
    (row,) = read_manifest(write(tmp_path, "path,frame\nimg\\a.nii,3\n")).rows
    assert row.path == tmp_path / "img/a.nii"


@pytest.mark.parametrize("head", ["", "Unnamed: 0"])
def test_the_row_numbers_of_pandas_are_passed_over(tmp_path, head):
    rows = read_manifest(write(tmp_path, f"{head},path,label\n0,x.png,tumor\n1,y.png,\n")).rows
    assert [(row.path.name, row.label, row.extra) for row in rows] == [
        ("x.png", "tumor", ()),
        ("y.png", "", ()),
    ]


@pytest.mark.parametrize(
    ("text", "label", "tumor_class"),
    [
        ("path,label\nx.png,Healthy\n", "no_tumor", ""),
        ("path,label\nx.png,No Tumor\n", "no_tumor", ""),
        ("path,label\nx.png,YES\n", "tumor", ""),
        ("path,label\nx.png,glioma_tumor\n", "tumor", "glioma"),
        ("path,label,tumor_class\nx.png,tumor,Glioma\n", "tumor", "glioma"),
        ("path,label,tumor_class\nx.png,glioma,\n", "tumor", "glioma"),
        ("path,label,tumor_class\nx.png,no,notumor\n", "no_tumor", ""),
        ("path,tumor_class\nx.png,no_tumor\n", "no_tumor", ""),
        ("path,tumor_class\nx.png,pituitary_tumor\n", "tumor", "pituitary"),
        ("path,tumor_class\nx.png,ependymoma\n", "tumor", "ependymoma"),
    ],
)
def test_classes_may_be_written_as_folders_are_named(tmp_path, text, label, tumor_class):
    (row,) = read_manifest(write(tmp_path, text)).rows
    assert (row.label, row.tumor_class) == (label, tumor_class)


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "N/A", "<NA>", "#N/A", "NaT", "null", "None"])
def test_what_programs_write_for_a_missing_value_is_an_empty_cell(tmp_path, word):
    """Else all patients without a name would be one."""
    head = "path,frame,source,group,sequence,split,box,mask,position,plane,note,study\n"
    cells = ",".join([word] * 11)
    (row,) = read_manifest(write(tmp_path, f"{head}x.png,{cells}\n")).rows
    assert (row.group, row.split, row.sequence, row.plane) == ("", "", "", "")
    assert (row.frame, row.mask, row.position, row.boxes) == (None, None, None, ())
    assert (row.source, row.note, row.extra) == ("cases", word, (("study", ""),))


@pytest.mark.parametrize(
    ("label", "read"), [("", ""), ("no_tumor", "no_tumor"), ("tumor", "tumor")]
)
def test_a_tumor_class_of_none_is_no_class(tmp_path, label, read):
    (row,) = read_manifest(write(tmp_path, f"path,label,tumor_class\nx.png,{label},None\n")).rows
    assert (row.label, row.tumor_class) == (read, "")


def test_whole_numbers_of_pandas_are_read(tmp_path):
    text = "path,frame,split\nx.nii,3.0,1.0\ny.nii,,2.50\n"
    first, second = read_manifest(write(tmp_path, text)).rows
    assert (first.frame, first.split, second.frame, second.split) == (3, "1", None, "2.50")


def test_slices_of_two_hospitals_have_names_of_their_own():
    paths = [Path(f"/all/clinic-{site}/yes/1.png") for site in "ab"]
    assert [Row(path).short_name for path in paths] == ["clinic-a/yes/1.png", "clinic-b/yes/1.png"]
    assert Row(Path("/1.nii"), 7).short_name == "1.nii, slice 7"


def test_empty_columns_of_a_spreadsheet_are_passed_over(tmp_path):
    text = "path,label,,\nx.png,tumor,,\ny.png,tumor\n,,,\n"
    rows = read_manifest(write(tmp_path, text)).rows
    assert [(row.path.name, row.label, row.extra) for row in rows] == [
        ("x.png", "tumor", ()),
        ("y.png", "tumor", ()),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "Excel or OpenDocument workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        ("path\nx.png\n".encode("utf-16"), "text in UTF-16"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"path\n\x00\x01\x02", "is no text"),
        ("path,label\nGrün.png,tumor\n".encode("cp1252"), "is not UTF-8"),
    ],
)
def test_what_is_no_csv_says_how_to_make_one(tmp_path, content, words):
    file = tmp_path / "m.xlsx"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_manifest(file)
    message = str(caught.value)
    assert words in message
    assert 'in a spreadsheet "CSV UTF-8", in pandas table.to_csv(file, index=False)' in message
    assert message.isprintable()


def test_an_image_in_place_of_a_manifest_is_called_one(tmp_path):
    pixels = np.eye(64, dtype=np.uint8)
    for file in (
        write_picture(tmp_path / "head.png", pixels),
        write_picture(tmp_path / "head.jpg", pixels),
        write_nifti(tmp_path / "head.nii", pixels[None]),
    ):
        with pytest.raises(DataError, match="is an image; expected a folder of class folders"):
            read_manifest(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["line 1", "column named path"]),
        ("file,label\nx.png,tumor\n", ["line 1", "column named path", "file, label"]),
        ("path;label\nx.png;tumor\n", ["line 1", "commas", "CSV UTF-8"]),
        (",path\nadam,x.png\n", ["line 2", "column 1", "no name in the header", "pandas"]),
        ("path,,label\nx.png,,tumor\n", ["line 1", "a column without a name"]),
        ("path\nC:\\data\\x.png\n", ["line 2", "column path", "one of Windows", "relative"]),
        ("path\nC:/data/x.png\n", ["line 2", "column path", "one of Windows", "relative"]),
        ("path,frame\nC:/x.nii,0\n", ["line 2", "column path", "one of Windows", "relative"]),
        ("path,path\nx,y\n", ["line 1", "2 columns named 'path'"]),
        ("path,lable\nx.png,tumor\n", ["line 1", "column lable", "expected label"]),
        ("path,label\n", ["no rows"]),
        ("path,label\nx.png\n", ["line 2", "expected 2 cells", "got 1"]),
        ("path,label\n,tumor\n", ["line 2", "column path", "got nothing"]),
        (
            "path,label\nx.png,cancer\n",
            ["line 2", "column label", "no_tumor", "'cancer'"],
        ),
        ("path,label,tumor_class\nx,no_tumor,glioma\n", ["line 2", "column tumor_class"]),
        ("path,sequence\nx.png,T7\n", ["line 2", "column sequence", "FLAIR", "'T7'"]),
        ("path,frame\nx.png,-1\n", ["line 2", "column frame", "'-1'"]),
        ("path,position\nx.png,1.5\n", ["line 2", "column position", "0 to 1", "'1.5'"]),
        ("path,box\nx.png,.2 .3 .5 .6\n", ["line 2", "column box", "got shares of the image"]),
        ("path,label\nx.png,none\n", ["line 2", "column label", "got 'none'"]),
        ("path,label,,\nx.png,tumor,,1\n", ["line 2", "expected 2 cells (path, label), got 4"]),
        ("path,box\nx.png,1 2 3\n", ["line 2", "column box", "'1 2 3'"]),
        ("path,box\nx.png,5 2 3 4\n", ["line 2", "column box", "x0 < x1"]),
        ("path,box\nx.png,0 0 inf 4\n", ["line 2", "column box"]),
        ('path,note\nx.png,"open\n', ["line 2", "not a CSV table"]),
        ("path,group\nx.png,p1\nx.png,p2\n", ["line 3", "line 2", "x.png"]),
        ("path,label\nx.png,tumor\nx.png,no_tumor\n", ["line 3", "line 2"]),
        ("path,label,frame\nx.png,tumor,\nx.png,no_tumor,0\n", ["line 3", "line 2"]),
    ],
)
def test_errors_name_file_line_and_column(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_other_encodings_are_refused(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_bytes("path,note\nx.png,Größe\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_manifest(path)


def test_a_slice_may_stand_twice_if_nothing_contradicts(tmp_path):
    text = "path,group,position\nx.png,p1,0.1\nx.png,p1,0.2\n"
    assert len(read_manifest(write(tmp_path, text))) == 2


def test_what_is_written_is_read_again(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    row = Row(
        path=tmp_path / "a" / "ü, 1.png",
        frame=2,
        source="s",
        group="g",
        sequence="T2",
        label="tumor",
        boxes=((1.5, 2, 3, 4),),
        mask=tmp_path / "m.png",
        position=0.123456,
        note='say "no"\nmore',
        extra=(("age", "61"),),
    )
    manifest = Manifest((row, Row(tmp_path / "b.png", source="t")), "m", tmp_path)
    manifest.write(folder / "m.csv")
    again = read_manifest(folder / "m.csv")
    assert again.rows[0] == row
    assert again.rows[1] == replace(manifest.rows[1], extra=(("age", ""),))
    first = next(iter(csv.DictReader((folder / "m.csv").open(encoding="utf-8"))))
    assert first["path"] == "../a/ü, 1.png"


def test_nothing_is_overwritten_unasked(tmp_path):
    path = write(tmp_path, "path\nx.png\n")
    with pytest.raises(UsageError, match="`overwrite=True`"):
        read_manifest(path).write(path)
    assert path.read_text() == "path\nx.png\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_with_a_manifest_is_that_manifest(tmp_path):
    write(tmp_path, "path,split\nx.png,a\ny.png,b\n", "manifest.csv")
    assert read_data(tmp_path).name == tmp_path.name
    assert [row.path.name for row in read_data(tmp_path, split="b").rows] == ["y.png"]
    with pytest.raises(DataError, match=r"'c'.* a, b"):
        read_data(tmp_path, split="c")
    with pytest.raises(DataError, match="no such file or folder"):
        read_data(tmp_path / "none")


def test_merging_asks_when_a_group_name_stands_in_two_sets():
    one, two = make("one", "p1", "p2"), make("two", "p2", "p3")
    with pytest.raises(DataError, match=r"'p2'.*one.*two.*groups=True`.*groups=False`"):
        merge_manifests([one, two])
    shared = merge_manifests([one, two], shared_groups=True)
    assert shared.groups == ("p1", "p2", "p3")
    separate = merge_manifests([one, two], shared_groups=False)
    assert separate.groups == ("one/p1", "one/p2", "two/p2", "two/p3")
    assert dict(separate.members) == {"one": ("one",), "two": ("two",)}


def test_sets_of_one_name_stay_apart():
    sets = [make("case", "p1"), make("case", "p1")]
    sets[1] = sets[1].with_rows(
        replace(row, path=Path("/else") / row.path.name) for row in sets[1].rows
    )
    with pytest.raises(DataError, match="p1"):
        merge_manifests(sets)
    assert len(merge_manifests(sets, shared_groups=False).groups) == 2


def test_files_without_group_never_join_but_with_themselves():
    one, two = make("one", "", ""), make("two", "", "")
    assert len(merge_manifests([one, two]).groups) == 4
    assert len(merge_manifests([one, one]).groups) == 2


def test_contradictions_between_sets_are_refused():
    one = make("one", "p1")
    other = one.with_rows(replace(row, label="tumor") for row in one.rows)
    with pytest.raises(DataError, match="two rows of the slice"):
        merge_manifests([one, replace(other, name="two")], shared_groups=True)


@pytest.mark.parametrize(
    "values",
    [
        {"label": "maybe"},
        {"tumor_class": "glioma"},
        {"sequence": "t1"},
        {"frame": -1},
        {"position": 2.0},
        {"boxes": ((0, 0, 0, 1),)},
    ],
)
def test_a_row_checks_itself(values):
    with pytest.raises(ValueError, match=next(iter(values)).rstrip("es")):
        Row(Path("x"), **values)


@pytest.mark.parametrize(
    ("mask", "frame", "place"),
    [("m.png", 7, 0), ("m.webp", 7, 0), ("m.nii.gz", 7, 7), ("m.dcm", 7, 7), ("m.nii", None, 0)],
)
def test_a_mask_volume_has_the_frames_of_its_image_and_a_picture_one(mask, frame, place):
    assert Row(Path("x"), frame=frame, mask=Path(mask)).mask_frame == place


@needs_shared
def test_the_development_sets_are_read_as_they_are():
    folders = sorted((SHARED / "data").glob("*/manifest.csv"))
    sets = {path.parent.name: read_data(path.parent) for path in folders}
    assert {name: len(one) for name, one in sets.items()} == {
        "br35h": 3000,
        "cheng": 3064,
        "heads": 887,
        "healthy": 1402,
        "healthy_2": 349,
        "look_alikes": 510,
        "look_alikes_2": 387,
        "more_tumors": 864,
        "ms_iran": 510,
        "navoneel": 253,
        "nickparvar": 7023,
        "not_brain_mri": 542,
        "not_brain_mri_2": 469,
        "oasis": 600,
        "tcga_lgg": 10371,
        "tumors_elsewhere": 692,
    }
    web = [sets[name] for name in ("navoneel", "br35h", "nickparvar", "cheng")]
    merged = merge_manifests(web, shared_groups=True)
    assert len(merged.groups) < sum(len(one.groups) for one in web)
    seen = {row.group for row in sets["br35h"].rows}
    assert sum(row.group in seen for row in sets["navoneel"].rows) == 248
