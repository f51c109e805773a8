"""Files that the system cannot give, archives that are damaged, folders that never end: each costs
one record, and what lies beside them is found."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.encoding import read_encoding
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.readers import iterate_slices, read_slice, read_slices

GREY = (np.arange(32 * 40).reshape(32, 40) % 251).astype(np.uint8)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files of /proc")
DUPLEX = Path("/sys/class/net/lo/duplex")  # which a loop has not
unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="special files as Unix has them")


def surround(folder: Path) -> None:
    """Pictures before and after whatever is tested, and one folder on."""
    for name in ("0.png", "z.png", "zz/y.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        builders.write_picture(folder / name, GREY)


def outcomes(folder: Path) -> tuple[int, list[InputError]]:
    """Number of slices, and the errors."""
    items = list(iterate_slices(folder))
    errors = [one for one in items if isinstance(one, InputError)]
    return len(items) - len(errors), errors


@linux
@pytest.mark.parametrize(
    "name", ["IM_2", "b.dcm", "b.nii.gz", "b.png", "b.zip", "b.hdr", "DICOMDIR"]
)
def test_a_disc_that_fails_costs_one_file(tmp_path, name) -> None:
    """`/proc/self/mem` answers EIO, as a bad sector or a share that went away does."""
    surround(tmp_path)
    (tmp_path / name).symlink_to("/proc/self/mem")
    count, (error,) = outcomes(tmp_path)
    assert count == 3
    assert error.path == str(tmp_path / name)
    assert error.reason == "cannot be read (Input/output error)" and "disc" in error.advice
    with pytest.raises(InputError, match="Input/output error"):
        list(read_slices(tmp_path / name))
    with pytest.raises(InputError, match="Input/output error"):
        read_slice(tmp_path / name)


@pytest.mark.skipif(not DUPLEX.exists(), reason="no file that answers EINVAL")
@pytest.mark.parametrize("name", ["IM_2", "b.nii.gz", "b.png"])
def test_a_file_that_the_system_refuses_to_read_costs_one_file(tmp_path, name) -> None:
    """The system's EINVAL, which a decoder also raises for damaged bytes."""
    surround(tmp_path)
    (tmp_path / name).symlink_to(DUPLEX)
    count, (error,) = outcomes(tmp_path)
    assert count == 3
    assert error.path == str(tmp_path / name) and "Invalid argument" in error.reason


@linux
def test_a_disc_that_fails_in_a_series(tmp_path) -> None:
    lps = np.diag([1.0, 1.0, 6.0, 1.0])[[2, 1, 0, 3]].T
    files = builders.write_series(tmp_path, np.stack([GREY, GREY.copy(), GREY.copy()]), lps)
    (source,) = find_sources([tmp_path])
    files[1].unlink()
    files[1].symlink_to("/proc/self/mem")
    count, (error,) = outcomes(source)
    assert count == 2 and error.path == str(files[1]) and "Input/output" in error.reason


def test_what_a_decoder_says_is_not_blamed_on_the_disc() -> None:
    words = OSError("image file is truncated"), OSError(22, "Invalid argument")
    for error in words:
        with pytest.raises(InputError, match="is damaged"), refuse("a.png", "is damaged"):
            raise error


def test_a_panic_is_no_exception_and_is_caught() -> None:
    """Rust's panics come to Python as a BaseException; an interrupt is one, too, and goes on."""

    class PanicException(BaseException):
        pass

    with pytest.raises(InputError, match="out of range"), refuse("a", "is damaged"):
        raise PanicException("index out of range")
    for kind in (KeyboardInterrupt, SystemExit, GeneratorExit):
        with pytest.raises(kind), refuse("a", "is damaged"):
            raise kind


def pack(path: Path, method: int = zipfile.ZIP_STORED, name: str = "a.dcm") -> bytearray:
    content = builders.write_dicom(path.with_suffix(".part"), GREY).read_bytes()
    path.with_suffix(".part").unlink()
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return bytearray(path.read_bytes())


def spoil(method: int) -> Callable[[Path], bytearray]:
    def write(path: Path) -> bytearray:
        data = pack(path, method)
        data[60:110] = bytes(byte ^ 0x5A for byte in data[60:110])
        return data

    return write


def write_at(mark: bytes, offset: int, value: bytes) -> Callable[[Path], bytearray]:
    """An archive with some bytes of a structure of it replaced."""

    def write(path: Path) -> bytearray:
        data = pack(path)
        start = data.index(mark) + offset
        data[start : start + len(value)] = value
        return data

    return write


END, ENTRY = b"PK\5\6", b"PK\1\2"
ARCHIVES: dict[str, Callable[[Path], bytearray]] = {
    "deflate": spoil(zipfile.ZIP_DEFLATED),
    "bzip2": spoil(zipfile.ZIP_BZIP2),
    "lzma": spoil(zipfile.ZIP_LZMA),
    "cut short": lambda path: pack(path)[:300],
    "no end": lambda path: pack(path)[:-22],
    "directory elsewhere": write_at(END, 16, b"\xff\xff\xff\x7f"),
    "larger directory": write_at(END, 12, b"\xff\xff\xff\x7f"),
    "member elsewhere": write_at(ENTRY, 42, b"\xff\xff\xff\x7f"),
    "later version": write_at(ENTRY, 6, b"\xff\0"),
    "unknown method": write_at(ENTRY, 10, b"\x63\0"),
    "name in no code": lambda path: pack(path, name="é.dcm").replace("é".encode(), b"\xff\xfe"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_damaged_archives_cost_one_record(tmp_path, kind) -> None:
    surround(tmp_path)
    path = tmp_path / "m.zip"
    path.write_bytes(ARCHIVES[kind](path))
    count, (error,) = outcomes(tmp_path)
    assert count == 3
    assert error.path.startswith(str(path)) and "cannot be unpacked" in error.reason
    with pytest.raises(InputError, match="cannot be unpacked"):
        list(read_slices(path))


def test_a_member_without_a_name_costs_one_record(tmp_path) -> None:
    surround(tmp_path)
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("a")
        entry.filename = ""
        archive.writestr(entry, b"x")
    count, (error,) = outcomes(tmp_path)
    assert count == 3 and error.path.startswith(str(path))


def test_names_in_a_directory_that_are_numbers_cost_one_record_each(tmp_path) -> None:
    """The representation of the values was damaged: two letters are read as a number."""
    path = builders.write_directory(tmp_path, [builders.make_dataset(GREY) for _ in range(2)])
    data = path.read_bytes()
    place = data.index(b"\x04\0\0\x15CS")
    for kind in (b"US", b"AT"):
        path.write_bytes(data[: place + 4] + kind + data[place + 6 :])
        bad, good = find_sources([path])
        assert isinstance(bad, InputError) and isinstance(good, Source)


@unix
@pytest.mark.parametrize("name", ["IM_2", "a.png", "b.nii.gz", "b.dcm"])
def test_pipes_in_a_folder_do_not_hang(tmp_path, name) -> None:
    """One that is an image by its name gets its error."""
    surround(tmp_path)
    os.mkfifo(tmp_path / name)
    count, errors = outcomes(tmp_path)
    assert count == 3
    assert [one.reason for one in errors] == ["is no regular file"] * ("." in name)
    assert read_encoding(tmp_path / name).format == ""


def test_links_to_nothing_and_in_a_circle(tmp_path) -> None:
    surround(tmp_path)
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "lost.dcm").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    found = list(find_sources([tmp_path]))
    kinds = {Path(one.path).name: type(one) for one in found}
    assert kinds == {
        **dict.fromkeys(("0.png", "z.png", "y.png"), Source),
        "lost": Skipped,
        "lost.dcm": InputError,
        "round": InputError,
    }


def test_a_link_to_nothing_is_told_from_a_name_that_is_wrong(tmp_path) -> None:
    """As in a clone of a data set of DataLad, whose files were not fetched."""
    (tmp_path / "a.nii.gz").symlink_to(".git/annex/objects/a.nii.gz")
    with pytest.raises(InputError, match=r"is a link to nothing; .* git annex get"):
        list(read_slices(tmp_path / "a.nii.gz"))
    with pytest.raises(InputError, match="no such file"):
        list(read_slices(tmp_path / "b.nii.gz"))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="access rights as Unix has them")
def test_a_file_of_any_name_that_may_not_be_read_is_told_of() -> None:
    """It may be a slice: nobody can tell."""
    before = os.geteuid()
    with TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        surround(folder)
        (folder / "IM_2").touch(0)
        if before == 0:
            os.seteuid(65534)  # root may read everything
        try:
            found = list(find_sources([folder]))
        finally:
            os.seteuid(before)
    errors = [one for one in found if isinstance(one, InputError)]
    assert len(found) == 4 and ["permission" in one.reason for one in errors] == [True]


@contextmanager
def nest(name: str, depth: int) -> Iterator[Path]:
    """A folder of a folder of a folder, deeper than `shutil.rmtree` removes."""
    with TemporaryDirectory() as place:
        os.chdir(place)
        for _ in range(depth):
            Path(name).mkdir()
            os.chdir(name)
        yield Path(place)
        for _ in range(depth):
            for file in Path().iterdir():
                file.unlink()
            os.chdir("..")
            Path(name).rmdir()


@unix
def test_deep_folders_are_walked_to_their_end(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # and back at the end
    with nest("d", 1100) as place:
        builders.write_picture(Path("a.png"), GREY)
        (source,) = find_sources([place])
        assert isinstance(source, Source)
        (error,) = find_sources([f"{place}/**/*.png"])
        assert isinstance(error, InputError) and "too many folders" in error.reason


@unix
def test_a_path_that_is_too_long_is_told_of(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with nest("d" * 250, 20) as place:
        (error,) = find_sources([place])
    assert isinstance(error, InputError) and "too long" in error.reason
    assert "too long" in error.advice
