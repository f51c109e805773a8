"""The picture of a row, held against what its row says of it."""

import numpy as np
import pytest

from builders import write_picture
from tumorlens.data.manifest import read_manifest
from tumorlens.data.pictures import read_row
from tumorlens.errors import DataError, InputError

PIXELS = np.arange(480, dtype=np.uint16).reshape(20, 24).astype(np.uint8)


@pytest.fixture
def read(tmp_path):
    write_picture(tmp_path / "a.png", PIXELS)

    def call(box):
        (tmp_path / "cases.csv").write_text(f"path,label,box\na.png,tumor,{box}\n")
        return read_manifest(tmp_path / "cases.csv").rows[0]

    return call


def test_a_box_may_reach_to_the_edges(read):
    np.testing.assert_array_equal(read_row(read("0 0 24 20")).pixels, PIXELS)


@pytest.mark.parametrize("box", ["0 0 24.5 20", "0 0 24 21", "1 1 2 2;2 2 20 30"])
def test_a_box_outside_the_picture_is_told_with_its_line(read, box):
    with pytest.raises(InputError) as caught:
        read_row(read(box))
    said = str(caught.value)
    assert "a.png: " in said
    assert "cases.csv, line 2, column box: expected boxes inside the picture of 24 x 20" in said
    assert f"got {box.split(';')[-1]}" in said


@pytest.mark.parametrize(("column", "cells"), [("path", "scans,"), ("mask", "a.png,scans")])
def test_a_folder_is_no_slice(tmp_path, column, cells):
    (tmp_path / "scans").mkdir()
    write_picture(tmp_path / "scans/a.png", PIXELS)
    (tmp_path / "cases.csv").write_text(f"path,mask\na.png,\n{cells}\n")
    with pytest.raises(DataError, match=rf"line 3, column {column}: expected a file, got a folder"):
        read_manifest(tmp_path / "cases.csv")
