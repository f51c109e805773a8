"""What a result may be, checked before hours of work."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from limits_of_disk import small_files
from rights import as_nobody
from tumorlens.errors import UsageError
from tumorlens.writing import check_writable, write_text


def test_a_folder_without_rights_is_told_before_any_work():
    with TemporaryDirectory() as place:  # one that anybody may enter, as tmp_path is not
        folder = Path(place)
        folder.chmod(0o555)
        with as_nobody(), pytest.raises(UsageError, match="its folder may not be written to; chan"):
            check_writable(folder / "page.html")
        folder.chmod(0o777)
        with as_nobody():
            check_writable(folder / "page.html")


@pytest.mark.parametrize("name", ["split.xlsx", "scores.PARQUET"])
def test_no_result_is_written_under_the_name_of_a_workbook(tmp_path, name):
    with pytest.raises(UsageError, match="is another kind of file"):
        check_writable(tmp_path / name)


def test_a_result_goes_where_a_link_leads(tmp_path):
    link, disk = tmp_path / "page.html", tmp_path / "disk"
    link.symlink_to("disk/kept.html")
    with pytest.raises(UsageError, match=r"its folder does not exist; create .*disk first"):
        write_text(link, "first")
    disk.mkdir()
    write_text(link, "first")
    with pytest.raises(UsageError, match="exists already"):
        write_text(link, "second")
    write_text(link, "second", overwrite=True)
    assert link.is_symlink() and (disk / "kept.html").read_text() == "second"
    assert sorted(tmp_path.iterdir()) == [disk, link] and len(list(disk.iterdir())) == 1


def test_a_module_that_is_imported_while_the_disk_is_full_can_be_imported_again(
    tmp_path, monkeypatch
):
    """Python writes byte code that does not fit in part, and says nothing."""
    (tmp_path / "large_module.py").write_text(f"WORDS = {'x' * 5000!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    with small_files(1000):
        import_module("large_module")
    monkeypatch.delitem(sys.modules, "large_module")
    assert len(import_module("large_module").WORDS) == 5000
