"""Names of rows in the table of an audit."""

from __future__ import annotations

from tumorlens.report.audits.audit_tables import _shorten


def test_a_long_path_is_cut_between_folders():
    path = "/somewhere/new8/a/own/hospital-a/no/ptbp_01/005.jpg"
    assert _shorten(path) == "…/a/own/hospital-a/no/ptbp_01/005.jpg"
    assert _shorten("no/005.jpg") == "no/005.jpg"
    assert _shorten("/data/" + "x" * 60) == "…" + "x" * 39
    assert _shorten("/data/hospital-b/glioma/" + "x" * 30 + ".nii") == f"…/{'x' * 30}.nii"
