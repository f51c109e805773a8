"""Names of overlays: unique, traceable, and inside their folder."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.errors import InputError, UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.files.sources import Skipped, find_sources
from tumorlens.imaging.readers import read_slice, read_slices
from tumorlens.imaging.slices import Slice
from tumorlens.report.pictures.heatmaps import HeatmapFolder, common_folder, name_series
from tumorlens.study_finding import SeriesFinding


def place(folder, path, **info):
    return HeatmapFolder(folder / "out", folder).place(SliceInfo(str(path), **info))


def test_names_keep_tree_and_ending(tmp_path):
    assert place(tmp_path, tmp_path / "a/x.png") == tmp_path / "out/a/x.heatmap.png"
    assert place(tmp_path, tmp_path / "a/X.PNG") == tmp_path / "out/a/X.heatmap.PNG"
    assert place(tmp_path, tmp_path / "a/x.jpg") == tmp_path / "out/a/x.jpg.png"
    assert place(tmp_path, tmp_path / "b/x.jpg") == tmp_path / "out/b/x.jpg.png"


def test_volumes_get_a_frame_and_pictures_none(tmp_path):
    path = tmp_path / "v.nii.gz"
    assert place(tmp_path, path, plane="axial").name == "v.nii.gz.0000.png"
    assert place(tmp_path, path, plane="axial", frame=12).name == "v.nii.gz.0012.png"
    assert place(tmp_path, tmp_path / "x.tif", frame=3).name == "x.tif.0003.png"


def test_series_of_one_folder_or_archive_are_kept_apart(tmp_path):
    (tmp_path / "dcm").mkdir()
    (tmp_path / "s.zip").touch()
    for holder in ("dcm", "s.zip"):
        names = {
            place(
                tmp_path, tmp_path / holder, plane="axial", frame=frame, series_instance_uid=uid
            ).name
            for frame in (0, 1)
            for uid in ("1.2", "1.3")
        }
        assert len(names) == 4
        assert not [name for name in names if "1.2" in name or not name.startswith(f"{holder}.")]


def test_files_outside_the_base_stay_inside_the_folder(tmp_path):
    path = HeatmapFolder(tmp_path / "out", tmp_path / "deep/er").place(
        SliceInfo(str(tmp_path / "x.png"))
    )
    assert path == tmp_path / "out/up/up/x.heatmap.png"
    taken = HeatmapFolder(tmp_path / "out", tmp_path).place(
        SliceInfo(str(tmp_path / "up/up/x.png"))
    )
    assert taken != path


@pytest.mark.parametrize("deeper", ["", "deep", "deep/er"])
def test_a_folder_that_is_itself_a_series_gives_its_name(tmp_path, deeper):
    folder = tmp_path / "study"
    folder.mkdir()
    info = SliceInfo(str(folder), plane="axial", series_instance_uid="1.2")
    path = HeatmapFolder(tmp_path / "out", folder / deeper).place(info)
    assert path.is_relative_to(tmp_path / "out")
    assert path.name.startswith("study.")


def test_here_is_a_series_too(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    folder = HeatmapFolder(tmp_path / "out", common_folder(["."]))
    assert folder.place(SliceInfo(".", plane="axial")).name == "study.0000.png"


UIDS = [
    *("/../../../escaped/x", "..", "../x", "a/b", "a\\b", "c:x", "con", "nul.1", "1.2\0", " "),
    *("9" * 5000, "\x1b[2J", "ü", "\udcff"),
]


@pytest.mark.parametrize("uid", UIDS)
def test_nothing_in_a_file_names_a_path(tmp_path, uid):
    plain = place(tmp_path, tmp_path, plane="axial", series_instance_uid="1.2")
    path = place(tmp_path, tmp_path, plane="axial", series_instance_uid=uid)
    assert path.parent == plain.parent == tmp_path / "out"
    assert len(path.name) == len(plain.name)
    assert path != plain
    assert path.name.isascii()


MEMBERS = [
    *(
        "con.dcm",
        "NUL",
        "lpt1.dcm.x",
        "a:b.dcm",
        "a\\b.dcm",
        "x\x9b.dcm",
        "x. ",
        "q?*.dcm",
        "l" * 4000,
    ),
    *("\udcff.dcm", "sub/con/aux.dcm", "up/a.dcm", "x.heatmap", "ü" * 300),
]


@pytest.mark.parametrize("member", MEMBERS)
def test_members_of_an_archive_get_names_for_any_system(tmp_path, member):
    (tmp_path / "m.zip").touch()
    folder = HeatmapFolder(tmp_path / "out", tmp_path)
    path = folder.place(SliceInfo(f"{tmp_path}/m.zip/{member}"))
    parts = path.relative_to(tmp_path / "out").parts
    for part in parts:
        assert not set(part) & set('<>:"/\\|?*\x9b')
        assert part.partition(".")[0].lower() not in ("con", "nul", "aux", "lpt1")
        assert part.rstrip(". ") == part
        assert len(os.fsencode(part)) < 230
    slice_ = Slice(np.eye(64, dtype=np.float32), SliceInfo(f"{tmp_path}/m.zip/{member}"))
    assert folder.save(slice_, Finding(slice_.info, error="none")) == path


def test_names_that_are_made_safe_stay_apart(tmp_path):
    (tmp_path / "m.zip").touch()
    members = ["a:b", "a_b", "a?b", "a*b", "l" * 300, "l" * 301, "x.heatmap", "x.png", "x"]
    paths = {place(tmp_path, f"{tmp_path}/m.zip/{name}") for name in members}
    assert len(paths) == len(members)


def save(folder, path, **info):
    slice_ = Slice(np.eye(64, dtype=np.float32), SliceInfo(str(path), **info))
    return folder.save(slice_, Finding(slice_.info, error="none"))


def test_an_overlay_is_replaced_and_no_other_file_is(tmp_path):
    folder = HeatmapFolder(tmp_path, tmp_path)
    first = save(folder, tmp_path / "a.jpg")
    assert first == tmp_path / "a.jpg.png" == save(folder, tmp_path / "a.jpg")
    (tmp_path / "b.jpg.png").write_bytes(b"a scan")
    beside = save(folder, tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg.png").read_bytes() == b"a scan"
    assert beside.parent == tmp_path
    assert beside == save(folder, tmp_path / "b.jpg")
    (tmp_path / "c.jpg.png").mkdir()
    save(folder, tmp_path / "c.jpg")
    (tmp_path / "d").touch()
    save(folder, tmp_path / "d/x.jpg")
    assert (tmp_path / "d").is_file()
    assert not list(tmp_path.rglob("*.partial"))


def test_an_overlay_of_another_scan_is_not_replaced(tmp_path, monkeypatch):
    """Two patients whose files are called alike, judged one after the other."""
    rng, saved = np.random.default_rng(0), {}
    for name in ("p1", "p2", "p1"):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        folder = HeatmapFolder(tmp_path / "out", common_folder(["."]))
        info = SliceInfo("im1.jpg")
        assert folder.has(info) == (name in saved)
        slice_ = Slice(rng.random((64, 64), np.float32), info)
        path = folder.save(slice_, Finding(info, error="none"))
        assert saved.setdefault(name, path) == path  # its scan may have changed meanwhile
        assert folder.has(info)
    assert len(set(saved.values())) == 2
    moved = HeatmapFolder(tmp_path / "out", tmp_path).save(
        Slice(slice_.pixels, SliceInfo(str(tmp_path / "im1.jpg"))), Finding(info, error="none")
    )
    assert moved == saved["p1"]


def test_series_that_are_called_alike_here_and_there_have_names_of_their_own(tmp_path, monkeypatch):
    names = []
    for folder in ("p1", "p2"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        for path in ("T1.nii.gz", str(Path.cwd() / "T1.nii.gz")):
            names.append(name_series(SeriesFinding(path, None, 1, 0, 0.1, 0)))
    assert names[0] == names[1] != names[2] == names[3]
    assert all(name.startswith("T1.nii.gz.") for name in names)


def test_a_path_too_deep_for_the_disk_gets_a_short_name(tmp_path):
    deep = "/".join(["f" * 150] * 40)
    assert save(HeatmapFolder(tmp_path, tmp_path), f"{tmp_path}/{deep}/x.jpg").parent == tmp_path


def test_overlays_are_known_as_results(tmp_path):
    saved = save(HeatmapFolder(tmp_path, tmp_path), tmp_path / "a.jpg")
    (found,) = find_sources([tmp_path])
    assert found == Skipped(str(saved), "a result of tumorlens")
    assert list(find_sources([tmp_path / "*.png"])) == [found]
    with pytest.raises(InputError, match="is a result of tumorlens; give the scan itself"):
        list(read_slices(saved))
    with pytest.raises(InputError, match="result of tumorlens"):
        read_slice(saved)
    saved.rename(tmp_path / "b.png.partial")
    assert isinstance(next(find_sources([tmp_path])), Skipped)


def test_saved_picture_can_be_opened(tmp_path):
    slice_ = Slice(np.eye(64, dtype=np.float32), SliceInfo(str(tmp_path / "a/x.png")))
    folder = HeatmapFolder(tmp_path / "new/out", tmp_path)
    saved = folder.save(slice_, Finding(slice_.info, error="none"))
    with Image.open(saved) as picture:
        assert picture.format == "PNG"


def test_a_file_in_the_way_is_a_usage_error(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="no folder can be made there"):
        HeatmapFolder(tmp_path / "out", tmp_path)


def test_common_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/x[1].png").touch()
    assert common_folder(["a"]) == tmp_path / "a"
    assert common_folder(["a/b", "a/x.png"]) == tmp_path / "a"
    assert common_folder(["a/*.png"]) == tmp_path / "a"
    assert common_folder(["a/x[1].png"]) == tmp_path / "a"
    assert common_folder(["a/**/x.png", "a/b"]) == tmp_path / "a"
    assert common_folder([]) == Path.cwd()
