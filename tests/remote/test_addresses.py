"""What an address is, and what is never told of one."""

import sys
from pathlib import Path

import numpy as np
import pytest

import builders
from tumorlens.cli.main import run
from tumorlens.data.manifest import read_data
from tumorlens.errors import DataError, InputError, MissingExtra, UsageError
from tumorlens.imaging.readers import read_slices
from tumorlens.optional import say_install
from tumorlens.predicting.recording import write_records
from tumorlens.remote.addresses import hide_secrets, is_address, scheme_of, spell_address
from tumorlens.remote.staging import open_staging
from tumorlens.writing import check_writable


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("s3://bucket/key", "s3"),
        ("S3://bucket/key", "s3"),
        ("gs://bucket", "gs"),
        ("file:///data/a.png", "file"),
        ("ftp://host/a.png", "ftp"),
        (str(Path("s3://bucket/key")), "s3"),
        (str(Path("S3://bucket/key")), "s3"),
        (str(Path("file:///data/a.png")), "file"),
        ("scans/a.png", ""),
        ("C://scans/a.png", ""),
        ("./s3:/a.png", ""),
        ("s3:", ""),
        ("study: s3://bucket", ""),
    ],
)
def test_an_address_is_told_from_a_file(name, scheme):
    assert (scheme_of(name), is_address(name)) == (scheme, bool(scheme))


def test_an_address_that_went_through_pathlib_is_spelled_again():
    assert spell_address(str(Path("s3://bucket/a b/c"))) == "s3://bucket/a b/c"
    assert spell_address(str(Path("GS://bucket/Key"))) == "gs://bucket/Key"
    assert spell_address("scans/a.png") == "scans/a.png"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://NAME:SECRET@bucket/key", "s3://***@bucket/key"),
        ("ftp://NAME:SEC/RET@host/key", "ftp://***@host/key"),
        ("ftp://SECRET@host/key", "ftp://***@host/key"),
        ("https://host/a?X-Amz-Signature=SECRET&b=1", "https://host/a?***"),
        ("s3://bucket/a@b.png", "s3://bucket/a@b.png"),
        ("s3://bucket/a?b.png", "s3://bucket/a?b.png"),
    ],
)
def test_secrets_are_hidden(text, shown):
    assert hide_secrets(text) == shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (Path("https://host/a?token=SECRET"), "holds a password or a signature"),
        (Path("ftp://NAME:SECRET@host/key"), r"ftp://\*\*\*@host/key: holds a password"),
        ("ftp://host/a.png", "ftp:// is not read or written; s3://, gs:// and file:// are"),
        ("https://host/a?token=SECRET", "holds a password or a signature"),
        ("s3://NAME:SECRET@bucket/key", r"s3://\*\*\*@bucket/key: holds a password"),
        ("ftp://NAME:SECRET@host/key", r"ftp://\*\*\*@host/key: holds a password"),
        ("s3://", "names no bucket"),
        ("file://host/a.png", "file:// names a file of this machine from the root on"),
    ],
)
def test_an_address_that_nobody_reads_is_refused_without_its_secrets(name, words):
    with pytest.raises(UsageError, match=words) as caught, open_staging() as staging:
        staging.place(name)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["https://host/a?token=SECRET", "ftp://NAME:SECRET@host/key"])
def test_no_secret_of_a_result_is_told(name):
    with pytest.raises(UsageError, match=r"://.*\*\*\*") as caught:
        check_writable(Path(name))
    assert "SECRET" not in str(caught.value)


def test_a_file_address_is_the_file_itself_and_needs_no_extra(monkeypatch, tmp_path):
    for library in ("fsspec", "s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, library, None)
    file = tmp_path / "a b.png"
    with open_staging() as staging:
        assert staging.fetch([file.as_uri(), "b.png"]) == (str(file), "b.png")
        assert staging.expect(Path(file.as_uri())) == file
        assert staging.place("file:///data/a#1 b?c%20d.png") == "/data/a#1 b?c d.png"
        assert staging.place("file://localhost/data/a.png") == "/data/a.png"
        assert not staging.is_used


def test_a_missing_library_is_told_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    wanted = pytest.raises(MissingExtra, match="reading and writing s3:// needs")
    with wanted as caught, open_staging() as staging:
        staging.fetch(["s3://bucket/key"])
    assert say_install("remote") in str(caught.value)


def test_where_no_address_is_taken_it_is_no_missing_file():
    with pytest.raises(InputError, match=r"s3://bucket/a: is an address.*give it to predict"):
        next(read_slices("s3://bucket/a"))
    with pytest.raises(UsageError, match="s3://bucket/a: this result goes to a file of this"):
        check_writable(Path("s3://bucket/a"))
    with pytest.raises(DataError, match=r"s3://bucket/a: is an address, and this reads folders"):
        read_data("s3://bucket/a")


@pytest.mark.parametrize("option", ["--output", "--report", "--heatmaps"])
def test_the_host_of_a_result_is_no_folder(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    builders.write_picture(tmp_path / "a.png", np.eye(64, dtype=np.uint8))
    place = tmp_path / "result"
    assert run(["predict", "a.png", option, f"file://elsewhere{place}"]) == 2
    assert "file:// names a file of this machine" in " ".join(capsys.readouterr().err.split())
    assert run(["predict", "a.png", option, f"file://localhost{place}", "--quiet"]) == 0
    assert place.exists()


def test_python_takes_no_host_of_a_result_for_a_folder(tmp_path):
    builders.write_picture(tmp_path / "a.png", np.eye(64, dtype=np.uint8))
    with pytest.raises(UsageError, match="file:// names a file of this machine"):
        write_records(tmp_path / "a.png", f"file://elsewhere{tmp_path}/a.jsonl")
    write_records(tmp_path / "a.png", f"file://localhost{tmp_path}/a.jsonl")
    assert (tmp_path / "a.jsonl").exists()
