"""Names of overlays: unique, traceable, and inside their folder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.errors import UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.slices import Slice
from tumorlens.report.heatmaps import HeatmapFolder, common_folder


def place(folder, path, **info):
    return HeatmapFolder(folder / "out", folder).place(SliceInfo(str(path), **info))


def test_names_keep_tree_and_ending(tmp_path):
    assert place(tmp_path, tmp_path / "a/x.png") == tmp_path / "out/a/x.png.png"
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
        assert f"{holder}.1.2.0000.png" in names


def test_files_outside_the_base_stay_inside_the_folder(tmp_path):
    path = HeatmapFolder(tmp_path / "out", tmp_path / "deep/er").place(
        SliceInfo(str(tmp_path / "x.png"))
    )
    assert path == tmp_path / "out/up/up/x.png.png"


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
