from __future__ import annotations

import warnings
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.readers import read_slice, read_slices

GREY = (np.arange(32 * 40).reshape(32, 40) % 251).astype(np.uint8)
DEEP = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40)


def paint(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return builders.write_picture(path, GREY)


def found(*paths: Path | str) -> list[str]:
    """What was found, as short words."""
    words = []
    for one in find_sources(paths):
        kind = "" if isinstance(one, Source) else "skip " if isinstance(one, Skipped) else "error "
        words.append(f"{kind}{Path(one.path).name}")
    return words


def write_study(folder: Path) -> None:
    """Two series of axial slices, their files mixed, and a report."""
    lps = np.eye(4)
    lps[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [6, 0, 0]])
    for uid, shift in (("1.2.1", 0), ("1.2.2", 7)):
        volume = np.stack([DEEP + shift + index for index in range(3)])
        for file in builders.write_series(folder / uid, volume, lps, SeriesInstanceUID=uid):
            file.rename(folder / f"{file.name}-{uid[-1]}")
        (folder / uid).rmdir()
    report = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Rows": None, "Columns": None}
    builders.write_dicom(folder / "report", DEEP, **report)


def test_folders_are_walked_in_natural_order(tmp_path) -> None:
    for name in ("s10.png", "s9.png", "S1.png", "b2/x.png", "b10/x.png"):
        paint(tmp_path / name)
    sources = list(find_sources([tmp_path]))
    names = [str(Path(one.path).relative_to(tmp_path)) for one in sources]
    assert names == ["S1.png", "s9.png", "s10.png", "b2/x.png", "b10/x.png"]
    assert not any(one.named for one in sources)


def test_a_folder_is_walked_lazily(tmp_path) -> None:
    for index in range(3):
        paint(tmp_path / f"{index}.png")
    (tmp_path / "last").mkdir()
    walk = find_sources([tmp_path])
    assert len(list(islice(walk, 3))) == 3
    paint(tmp_path / "last" / "late.png")
    assert Path(next(walk).path).name == "late.png"


def test_what_is_no_image_is_skipped_by_content_and_by_name(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "table.csv").write_text("path\n")
    (tmp_path / "empty").touch()
    (tmp_path / "broken.png").write_text("hello")  # an image by name: it gets its error
    builders.write_picture(tmp_path / "picture", GREY, format="PNG")  # an image by content
    assert found(tmp_path) == [
        "broken.png", "skip empty", "skip notes.txt", "picture", "skip table.csv",
    ]  # fmt: skip
    with pytest.raises(InputError, match="a text file"):
        list(read_slices(tmp_path / "broken.png"))


@pytest.mark.parametrize("name", [".git", ".ipynb_checkpoints", ".snapshot", "@eaDir", "__MACOSX"])
def test_hidden_folders_are_left_out_and_told(tmp_path, name) -> None:
    """They hold copies: of DataLad's files, of a notebook's, of a whole share."""
    paint(tmp_path / name / "objects" / "copy.png")
    paint(tmp_path / "a.png")
    assert found(tmp_path) == ["a.png", f"skip {name}"]
    assert found(tmp_path / name) == ["copy.png"]


def test_a_packed_volume_in_a_folder_is_no_other_file(tmp_path) -> None:
    (tmp_path / "v.nii.bz2").write_bytes(b"BZh9" + b"\0" * 99)
    (tmp_path / "notes.bz2").write_bytes(b"BZh9" + b"\0" * 99)
    source, skipped = sorted(find_sources([tmp_path]), key=lambda one: type(one).__name__)[::-1]
    assert source.path.endswith("v.nii.bz2") and skipped.path.endswith("notes.bz2")


def test_links_that_lead_back_end_the_walk(tmp_path) -> None:
    paint(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert found(tmp_path) == ["x.png", "skip again", "skip b"]


def test_named_files_and_patterns(tmp_path, monkeypatch) -> None:
    for name in ("s10.png", "s9.png", "deep/s1.png"):
        paint(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert found("s*.png") == ["s9.png", "s10.png"]
    assert found("**/*.png") == ["s1.png", "s9.png", "s10.png"]
    assert found("t*.png") == ["error t*.png"]
    assert [one.named for one in find_sources(["s9.png", "deep"])] == [True, False]
    builders.write_picture(tmp_path / "[odd].png", GREY)
    assert found("[odd].png") == ["[odd].png"]


def test_a_pattern_takes_each_file_once(tmp_path, monkeypatch) -> None:
    """`**` matches folders, which are walked, and the files in them, too."""
    for name in ("b/s10.png", "b/s9.png", "b/c2/x.png", "b/c10/d/y.png"):
        paint(tmp_path / name)
    builders.write_dicom(tmp_path / "b" / "c2" / "slice", DEEP)
    monkeypatch.chdir(tmp_path)
    images = ["s9.png", "s10.png", "x.png", "y.png", "slice"]
    for pattern in ("b/**", "**", "./**", tmp_path / "b" / "**", "b/**/", "b*/**"):
        assert found(pattern) == images, pattern
    for pattern in ("b/*", "b/**/*"):
        assert sorted(found(pattern)) == sorted(images), pattern
    assert found("b/*/*") == ["slice", "x.png", "y.png"]
    assert found("b/c*/**") == ["x.png", "y.png", "slice"]


def test_a_folder_with_a_bracket_in_its_name_stands_for_itself(tmp_path) -> None:
    for name in ("scan[1]/a.png", "scan[1]/b/c.png", "scan1/d.png"):
        paint(tmp_path / name)
    assert found(tmp_path / "scan[1]" / "*.png") == ["a.png"]
    assert found(tmp_path / "scan[1]" / "**" / "*.png") == ["a.png", "c.png"]
    assert found(tmp_path / "scan[0-9]" / "*.png") == ["d.png"]


def test_series_in_one_folder_are_kept_apart(tmp_path) -> None:
    write_study(tmp_path / "study")
    assert found(tmp_path) == ["skip report", "study", "study"]
    sources = [one for one in find_sources([tmp_path]) if isinstance(one, Source)]
    assert [one.series_uid for one in sources] == ["1.2.1", "1.2.2"]
    for shift, source in zip((0, 7), sources, strict=True):
        slices = list(read_slices(source))
        assert [int(one.pixels.min()) for one in slices] == [shift, shift + 1, shift + 2]


def test_a_pair_is_one_source(tmp_path) -> None:
    import nibabel as nib

    builders.write_nifti(tmp_path / "a.img", DEEP[..., None].astype(np.int16), kind=nib.Nifti1Pair)
    assert found(tmp_path) == ["a.img"]


def test_a_directory_stands_for_its_files(tmp_path) -> None:
    datasets = [
        builders.make_dataset(DEEP + n, InstanceNumber=n, SliceLocation=5 - n) for n in range(3)
    ]
    path = builders.write_directory(tmp_path / "disc", datasets)
    (source,) = find_sources([path])
    assert source.path == str(path) and len(source.files) == 3
    assert [int(one.pixels.min()) for one in read_slices(source)] == [2, 1, 0]
    assert sorted(found(tmp_path / "disc"))[-1] == "skip DICOMDIR"


@pytest.mark.parametrize("copied", ["{}.dcm", "{};1", "{}.", "mixed"])
def test_a_directory_finds_files_as_copies_of_a_disc_have_them(tmp_path, copied) -> None:
    dataset = builders.make_dataset(DEEP)
    path = builders.write_directory(tmp_path / "disc", [dataset])
    (file,) = (one for one in path.parent.rglob("*") if one.is_file() and one != path)
    name = file.name.lower() if copied == "mixed" else copied.format(file.name)
    file.rename(file.with_name(name))
    (source,) = find_sources([path])
    assert [one.name for one in source.files] == [name]


@pytest.mark.parametrize(
    "target", [("..", "secret.dcm"), ("", "etc", "x"), ("a/../../secret.dcm",)]
)
def test_a_directory_that_points_outside(tmp_path, target) -> None:
    builders.write_dicom(tmp_path / "secret.dcm", DEEP)
    datasets = [builders.make_dataset(DEEP, InstanceNumber=n) for n in range(2)]
    path = builders.write_directory(tmp_path / "disc", datasets)
    builders.redirect_directory(path, target)
    bad, good = find_sources([path])
    assert isinstance(bad, InputError) and "outside" in bad.reason
    assert isinstance(good, Source) and len(good.files) == 1


def test_a_directory_that_points_outside_through_a_link(tmp_path) -> None:
    secret = builders.write_dicom(tmp_path / "secret.dcm", DEEP)
    path = builders.write_directory(tmp_path / "disc", [builders.make_dataset(DEEP)])
    (file,) = (one for one in (tmp_path / "disc").rglob("*") if one.is_file() and one != path)
    file.unlink()
    file.symlink_to(secret)
    assert "outside" in next(find_sources([path])).reason


def test_a_zip_stands_for_its_dicom_files(tmp_path) -> None:
    write_study(tmp_path / "study")
    members = {f"disc/{f.name}": f for f in sorted((tmp_path / "study").iterdir())}
    path = builders.write_zip(tmp_path / "a.zip", {**members, "readme.txt": b"hello"})
    assert found(path) == ["skip readme.txt", "skip report", "a.zip", "a.zip"]
    slices = list(read_slices(path))
    assert len(slices) == 6 and slices[0].info.path == f"{path}/disc/IM0003-1"
    again = read_slice(slices[4].info.path)
    np.testing.assert_array_equal(again.pixels, slices[4].pixels)


@pytest.mark.parametrize("member", ["../evil.dcm", "/etc/evil.dcm", "C:/evil.dcm", "a\\..\\..\\b"])
def test_a_zip_entry_that_points_outside(tmp_path, member) -> None:
    file = builders.write_dicom(tmp_path / "a.dcm", DEEP)
    path = builders.write_zip(tmp_path / "a.zip", {member: file, "good.dcm": file})
    bad, good = find_sources([path])
    assert isinstance(bad, InputError) and "outside" in bad.reason
    assert isinstance(good, Source) and len(list(read_slices(good))) == 1


def test_of_two_members_with_one_name_the_later_one_counts(tmp_path) -> None:
    """As when it is unpacked."""
    first, last = (
        builders.write_dicom(
            tmp_path / f"{n}.dcm", DEEP + n, SeriesInstanceUID=f"1.{n}"
        ).read_bytes()
        for n in (0, 9)
    )
    path = tmp_path / "a.zip"
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        for content in (first, last):
            archive.writestr("a.dcm", content)
    (slice_,) = read_slices(path)
    assert slice_.pixels.min() == 9


def test_a_zip_without_images_is_an_error_where_it_was_named(tmp_path) -> None:
    path = builders.write_zip(tmp_path / "a.docx", {"word.xml": b"<xml>"})
    assert found(path) == ["skip word.xml", "error a.docx"]
    assert found(tmp_path) == ["skip word.xml", "skip a.docx"]


def test_an_encrypted_zip_is_refused(tmp_path) -> None:
    file = builders.write_dicom(tmp_path / "a.dcm", DEEP)
    path = builders.write_zip(tmp_path / "a.zip", {"a.dcm": file})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # of the local header
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # of the central directory
    path.write_bytes(data)
    assert "encrypted" in next(find_sources([path])).reason


def test_pydicom_directories() -> None:
    path = get_testdata_file("DICOMDIR", download=False)
    sources = [one for one in find_sources([path]) if isinstance(one, Source)]
    assert sum(len(one.files) for one in sources) == 31


def test_a_null_byte_is_no_file_name() -> None:
    (error,) = find_sources(["a\0b"])
    assert isinstance(error, InputError) and "file name" in error.reason


def test_an_empty_name_is_no_file_name() -> None:
    (found,) = find_sources([""])
    assert isinstance(found, InputError)
    assert str(found) == "'': is an empty name; name a file or a folder"


def test_what_a_run_is_writing_is_no_input(tmp_path) -> None:
    """A heat map that is half there is a picture by its content, and gone a moment later."""
    paint(tmp_path / "a.png")
    (tmp_path / "b_heat.png.12-34.partial").write_bytes((tmp_path / "a.png").read_bytes())
    source, skipped = find_sources([tmp_path])
    assert source.path.endswith("a.png")
    assert (Path(skipped.path).name, skipped.reason) == (
        "b_heat.png.12-34.partial",
        "a result that is not complete",
    )
