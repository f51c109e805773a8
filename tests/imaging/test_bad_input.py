"""Every kind of bad file: an `InputError` that names it and says why, in bounded memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, RLELossless

import builders
from rights import as_nobody
from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.sources import find_sources
from tumorlens.imaging.readers import read_object, read_slice, read_slices

GREY = (np.arange(64 * 64).reshape(64, 64) % 251).astype(np.uint8)
DEEP = GREY.astype(np.uint16)
LIMITS = Limits(memory_bytes=2**28)
VOLUME = np.arange(20**3).reshape(20, 20, 20).astype(np.int16)


def cut(path: Path, share: float = 0.6) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def write_header(path: Path, offset: int, value: bytes) -> Path:
    """A NIfTI file with some bytes of its header replaced."""
    data = bytearray(builders.write_nifti(path, VOLUME).read_bytes())
    data[offset : offset + len(value)] = value
    path.write_bytes(data)
    return path


def write_text(path: Path) -> Path:
    path.write_text("No image at all.\n")
    return path


def write_encrypted(path: Path) -> Path:
    item = Dataset()
    item.EncryptedContentTransferSyntaxUID, item.EncryptedContent = "1.2.840.10008.1.2", bytes(64)
    return builders.write_dicom(path, DEEP, PixelData=None, EncryptedAttributesSequence=[item])


def write_enveloped(path: Path) -> Path:
    """A whole file in a CMS envelope (RFC 5652), as Secure DICOM Media has it."""
    path.write_bytes(bytes.fromhex("3080 06092a864886f70d010703 a080") + bytes(500))
    return path


def write_wrong_frame(path: Path) -> Path:
    """A JPEG 2000 frame of 4096 x 4096 pixels in a data set that states 64 x 64."""
    builders.write_dicom(path, DEEP, syntax=JPEG2000Lossless)
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\x4f\xff\x51")
    data[start + 8 : start + 16] = (4096).to_bytes(4, "big") * 2
    path.write_bytes(data)
    return path


def write_large_bmp(path: Path) -> Path:
    """A BMP header of 12000 x 12000 pixels, and a few of them."""
    SAVE(path, GREY)
    data = bytearray(path.read_bytes())
    data[18:26] = (12_000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    return path


def touch(path: Path) -> Path:
    path.touch()
    return path


SAVE = builders.write_picture
DICOM = builders.write_dicom
BAD: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "empty png": ("a.png", touch, "an empty file"),
    "empty dicom": ("a.dcm", touch, "an empty file"),
    "empty nifti": ("a.nii.gz", touch, "an empty file"),
    "text as png": ("a.png", write_text, "a text file"),
    "text as dicom": ("a.dcm", write_text, "a text file"),
    "text as nifti": ("a.nii", write_text, "a text file"),
    "truncated png": ("a.png", lambda p: cut(SAVE(p, GREY)), "cut short"),
    "truncated jpeg": ("a.jpg", lambda p: cut(SAVE(p, GREY)), "cut short"),
    "truncated tiff": ("a.tif", lambda p: cut(SAVE(p, GREY)), "damaged|readable|pages"),
    "truncated bmp": ("a.bmp", lambda p: cut(SAVE(p, GREY)), "cut short"),
    "truncated webp": ("a.webp", lambda p: cut(SAVE(p, GREY)), "readable|cut short"),
    "truncated dicom": ("a.dcm", lambda p: cut(DICOM(p, DEEP)), "cannot be decoded"),
    "dicom header only": ("a.dcm", lambda p: cut(DICOM(p, DEEP), 0.02), "cut short"),
    "truncated rle": ("a", lambda p: cut(DICOM(p, DEEP, syntax=RLELossless)), "cut short"),
    "truncated nifti": ("a.nii", lambda p: cut(builders.write_nifti(p, VOLUME)), "cut short"),
    "truncated gzip": ("a.nii.gz", lambda p: cut(builders.write_nifti(p, VOLUME)), "damaged"),
    "png bomb": ("a.png", builders.write_png_bomb, "too many pixels"),
    "bmp of 12000 x 12000": ("a.bmp", write_large_bmp, "allowed"),
    "deflated bomb": ("a.dcm", builders.write_deflated_bomb, "memory"),
    "gzip bomb": ("a.nii.gz", lambda p: builders.write_nifti_promise(p, zipped=True), "memory"),
    "gzip bomb below the limit": (
        "a.nii.gz",
        lambda p: builders.write_nifti_promise(p, 300, zipped=True),
        "cut short",
    ),
    "18 GB header": ("a.nii", builders.write_nifti_promise, "cut short"),
    "nested": ("a.dcm", builders.write_nested, "nested too deeply"),
    "wrong frame": ("a.dcm", write_wrong_frame, "4096 x 4096"),
    "all nan": ("a.tif", lambda p: SAVE(p, np.full((64, 64), np.nan, np.float32)), "finite"),
    "all nan nifti": (
        "a.nii",
        lambda p: builders.write_nifti(p, np.full((20, 20, 20), np.nan, np.float32)),
        "finite",
    ),
    "constant": ("a.png", lambda p: SAVE(p, np.full((64, 64), 9, np.uint8)), "constant"),
    "constant dicom": ("a.dcm", lambda p: DICOM(p, np.full((64, 64), 9, np.uint8)), "constant"),
    "constant nifti": ("a.nii", lambda p: builders.write_nifti(p, VOLUME * 0), "constant"),
    "1 x 1": ("a.png", lambda p: SAVE(p, GREY[:1, :1]), "only 1 x 1"),
    "15 columns": ("a.png", lambda p: SAVE(p, GREY[:, :15]), "only 15 x 64"),
    "1 x 1 dicom": ("a.dcm", lambda p: DICOM(p, DEEP[:1, :1]), "only 1 x 1"),
    "one voxel": ("a.nii", lambda p: builders.write_nifti(p, VOLUME[:1, :1, :1]), "only 1 x 1"),
    "no pixels": ("a.dcm", lambda p: DICOM(p, DEEP, PixelData=None), "no pixels"),
    "encrypted": ("a.dcm", write_encrypted, "encrypted"),
    "encrypted file": ("a.dcm", write_enveloped, "encrypted"),
    "65535 rows": ("a.dcm", lambda p: DICOM(p, DEEP, Rows=65535, Columns=65535), "allowed"),
    "a billion frames": ("a.dcm", lambda p: DICOM(p, DEEP, NumberOfFrames=10**9), "cut short"),
    "negative shape": ("a.nii", lambda p: write_header(p, 42, b"\xff\xff"), "shape"),
    "no dimensions": ("a.nii", lambda p: write_header(p, 40, b"\0\0"), "broken NIfTI header"),
    "unknown number type": ("a.nii", lambda p: write_header(p, 70, b"\x77\x07"), "broken NIfTI"),
    "voxels nowhere": ("a.nii", lambda p: write_header(p, 108, b"\0\0\0\x7f"), "voxels at byte"),
    "gzip of text": ("a.nii.gz", lambda p: p.write_bytes(gzip.compress(b"hi")) and p, "gzip file"),
    "minc 2": ("a.mnc", lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" * 9) and p, "mnc2nii"),
    "minc 1": ("a.mnc", lambda p: p.write_bytes(b"CDF\x01" * 99) and p, "mnc2nii"),
    "gif": ("a.gif", lambda p: SAVE(p, GREY), "a GIF picture"),
    "missing": ("a.png", lambda p: p, "no such file"),
    "missing folder": ("b/a.png", lambda p: p, "no such file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused(tmp_path, kind, capfd, recwarn) -> None:
    name, build, reason = BAD[kind]
    path = build(tmp_path / name)
    recwarn.clear()
    with pytest.raises(InputError, match=reason) as caught:
        list(read_slices(path, limits=LIMITS))
    assert caught.value.path == str(path) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))
    assert not recwarn and capfd.readouterr() == ("", "")
    with pytest.raises(InputError):
        read_slice(path, limits=LIMITS)
    for found in find_sources([tmp_path], limits=LIMITS):  # and none ends a walk
        assert found is not None


BOMBS = ("bomb", "GB", "65535", "12000", "nested", "wrong frame", "a billion")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak")
def test_bombs_go_off_in_bounded_memory(tmp_path) -> None:
    """All of them in one process under a limit of 256 MiB: never more than that beyond a base.

    The libraries themselves take about 150 MiB.
    """
    paths = []
    for index, kind in enumerate(kind for kind in BAD if any(word in kind for word in BOMBS)):
        folder = tmp_path / str(index)
        folder.mkdir()
        paths.append(str(BAD[kind][1](folder / BAD[kind][0])))
    assert len(paths) == 10
    code = (
        "import sys\n"
        "from tumorlens.errors import InputError\n"
        "from tumorlens.imaging.files.limits import Limits\n"
        "from tumorlens.imaging.readers import iterate_slices\n"
        "for path in sys.argv[1:]:\n"
        "    (item,) = iterate_slices(path, limits=Limits(memory_bytes=2**28))\n"
        "    assert isinstance(item, InputError), path\n"
        "print(next(line for line in open('/proc/self/status') if 'VmHWM' in line).split()[1])\n"
    )
    command = [sys.executable, "-c", code, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 256 + 150
    assert done.stderr == ""


def test_a_tiff_that_loops_comes_to_an_end(tmp_path) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(GREY.T)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    data = bytearray((tmp_path / "a.tif").read_bytes())
    first = int.from_bytes(data[4:8], "little")
    link = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    second = int.from_bytes(data[link : link + 4], "little")
    link = second + 2 + 12 * int.from_bytes(data[second : second + 2], "little")
    assert data[link : link + 4] == bytes(4)  # the end of the list of pages
    data[link : link + 4] = data[4:8]
    (tmp_path / "a.tif").write_bytes(data)
    assert len(list(read_slices(tmp_path / "a.tif"))) == 2


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="access rights as Unix has them")
def test_files_and_folders_without_permission(tmp_path) -> None:
    path = SAVE(tmp_path / "a.png", GREY)
    path.chmod(0)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0)
    with as_nobody():
        with pytest.raises(InputError, match="permission"):
            list(read_slices(path))
        with pytest.raises(InputError, match="permission"):
            read_slice(path)
        (error,) = find_sources([tmp_path / "closed"])
    assert isinstance(error, InputError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as Unix has them")
def test_a_pipe_does_not_hang_the_reader(tmp_path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="regular file"):
        list(read_slices(tmp_path / "a.png"))


def test_nifti_of_a_pair_whose_header_is_text(tmp_path) -> None:
    builders.write_nifti(tmp_path / "a.img", VOLUME, kind=nib.Nifti1Pair)
    write_text(tmp_path / "a.hdr")
    with pytest.raises(InputError, match="broken NIfTI header"):
        list(read_slices(tmp_path / "a.img"))


def test_a_strange_syntax_is_told_on_one_line(tmp_path) -> None:
    path = DICOM(tmp_path / "a.dcm", DEEP)
    syntax = b"1.2.840.10008.1.2.1"
    for strange in (b"1.2.840.10008\n1.2.1", b"1.2.840.10008\\1.2.1"):
        path.write_bytes(path.read_bytes().replace(syntax, strange))
        with pytest.raises(InputError) as caught:
            list(read_slices(path))
        assert "\n" not in str(caught.value)
        path.write_bytes(path.read_bytes().replace(strange, syntax))


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2.1", "1.2.840.10008.1.2.99"])
def test_an_unknown_transfer_syntax_is_named(tmp_path, syntax) -> None:
    """That of a vendor, and one newer than the decoders: the file is no damaged one."""
    path = DICOM(tmp_path / "a.dcm", DEEP)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", syntax.encode()))
    told = f"transfer syntax {syntax}, which is not known; convert it"
    for named in (path, tmp_path):
        with pytest.raises(InputError, match=told):
            list(read_slices(named))
    with pytest.raises(InputError, match=told):
        list(read_object(pydicom.dcmread(path)))


def test_what_a_header_breaks_is_told_to_nobody(tmp_path, recwarn) -> None:
    """pydicom warns of each value, by the value, whenever it is first asked for."""
    secret = {"StudyInstanceUID": "1.2.03SECRET", "PatientID": "SECRET" * 20}
    with warnings.catch_warnings(action="ignore"):
        for number in range(3):
            builders.write_dicom(
                tmp_path / f"{number}.dcm",
                GREY,
                SeriesInstanceUID="1.02.SECRET",
                InstanceNumber=number,
                **secret,
            )
        (tmp_path / "alone").mkdir()
        alone = builders.write_dicom(tmp_path / "alone/1.dcm", GREY, **secret)
    for source in (tmp_path, alone, alone.read_bytes(), pydicom.dcmread(alone)):
        recwarn.clear()
        assert list(read_object(source))
        assert [str(one.message) for one in recwarn] == []
    recwarn.clear()
    read_slice(alone)
    assert not recwarn
