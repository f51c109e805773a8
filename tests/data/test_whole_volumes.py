"""Volumes in a folder of tumors: all of their slices get its label, which is told."""

from __future__ import annotations

import numpy as np
import pytest

from builders import paint_head, write_nifti
from tumorlens.data.manifest import read_data


@pytest.mark.parametrize(
    ("slices", "folder", "count"), [(20, "tumor", 1), (20, "no", 0), (5, "tumor", 0)]
)
def test_a_head_that_is_labelled_tumor_from_end_to_end_is_told(tmp_path, slices, folder, count):
    (tmp_path / folder).mkdir()
    write_nifti(
        tmp_path / folder / "p1_T1.nii", paint_head((24, 28, slices)), np.diag([1, 1, 5, 1])
    )
    heard = []
    manifest = read_data(tmp_path, notice=heard.append)
    assert len(manifest.rows) >= slices - 2
    assert len(heard) == count
    assert all("such as p1_T1.nii: each of their slices is labelled tumor" in one for one in heard)
