"""Files in class folders that no reader takes: a set whose images are missing tells so."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from builders import write_picture
from tumorlens.data.manifest import read_data
from tumorlens.errors import DataError

PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) // 16


def test_images_of_other_formats_in_class_folders_are_told(tmp_path):
    for name in ("yes/masks", "no", "skipped"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("yes", "no", "skipped"):
        Image.fromarray(PIXELS.astype(np.uint8)).save(tmp_path / name / "1.gif")
    write_picture(tmp_path / "yes" / "2.png", PIXELS.astype(np.uint8))
    np.save(tmp_path / "no" / "3.npy", PIXELS)
    write_picture(tmp_path / "yes" / "masks" / "2.png", (PIXELS > 99).astype(np.uint8))
    (tmp_path / "yes" / "notes.txt").write_text("beside the images")
    heard: list[str] = []
    manifest = read_data(tmp_path, classes={"skipped": "skip"}, notice=heard.append)
    assert [row.path.name for row in manifest.rows] == ["2.png"]
    (told,) = heard
    assert told.startswith("3 files in class folders left out (a GIF picture: 2; a NumPy array")
    assert told.endswith("save as PNG what is a labelled image")


def test_a_set_without_any_image_says_what_its_class_folders_hold(tmp_path):
    (tmp_path / "yes").mkdir()
    np.save(tmp_path / "yes" / "1.npy", PIXELS)
    heard: list[str] = []
    with pytest.raises(DataError, match="holds no picture"):
        read_data(tmp_path, notice=heard.append)
    assert heard[0].startswith("1 file in class folders left out (a NumPy array")
