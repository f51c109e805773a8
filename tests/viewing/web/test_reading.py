"""Odd files are read by the page as Python reads them, or refused: the same pixels in one order.

Needs chromium, and no model: the modules that read are asked alone.
"""

from __future__ import annotations

import base64
import gzip
import importlib.util
import io
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, JPEG2000Lossless

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.readers import iterate_slices
from viewing.web import pages

pytestmark = [
    pytest.mark.skipif(pages.BROWSER is None, reason="needs chromium"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="needs playwright"),
]
PAGE = Path(__file__).parents[3] / "src/tumorlens/viewing/web/page"
GREY = (np.add.outer(np.arange(32) * 40, np.arange(40) * 30)).astype(np.uint16)
READ = """async (given) => {
  const { findSources } = await import("/reading/files.js");
  const decode = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const files = given.map(([path, text]) => ({ path, file: new Blob([decode(text)]) }));
  const found = await findSources(files);
  const errors = found.errors.map(({ reason }) => reason), slices = [];
  for (const one of found.sources) {
    try {
      const source = await one.open();
      for (let i = 0; i < source.count; i++) {
        const { pixels, width, info } = await source.read(i);
        slices.push({ pixels: [...pixels], width, notes: info.notes });
      }
    } catch (error) {
      errors.push(error.message);
    }
  }
  return { slices, errors, skipped: found.skipped };
}"""


@pytest.fixture(scope="module")
def page():
    with pages.serve(PAGE) as address, pages.open_browser() as browser:
        one = browser.new_page()
        one.goto(f"{address}licenses.txt")
        yield one


def ask(page, folder: Path) -> tuple[list[np.ndarray], list[str], list[str]]:
    """Pixels of the slices, errors, and notes, as the page reads the files of a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    given = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    answer = page.evaluate(READ, given)
    slices = [np.reshape(one["pixels"], (-1, one["width"])) for one in answer["slices"]]
    notes = sorted({note for one in answer["slices"] for note in one["notes"]})
    return slices, answer["errors"] + ["skipped"] * answer["skipped"], notes


def read(folder: Path) -> list[np.ndarray]:
    """The same of Python; nothing of what it refuses."""
    items = iterate_slices(folder)
    return [item.pixels for item in items if not isinstance(item, InputError)]


def write_placed(folder: Path, name: str, pixels: np.ndarray, place: float, **elements) -> None:
    builders.write_dicom(
        folder / name,
        pixels,
        **{
            "ImagePositionPatient": [0, 0, place],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [1, 1],
            **elements,
        },
    )


def write_bits(folder: Path) -> None:
    builders.write_dicom(folder / "few", GREY, BitsStored=10, HighBit=9)
    builders.write_dicom(folder / "high", (GREY << 4) | 10, BitsStored=12, HighBit=15)
    builders.write_dicom(
        folder / "overlay", GREY | np.eye(32, 40, dtype=np.uint16) << 15, BitsStored=12, HighBit=11
    )


def write_one_instance(folder: Path) -> None:
    for index in range(6):
        names = {"SOPInstanceUID": "1.2.3.9", "InstanceNumber": index + 1}
        write_placed(folder, f"{index}", GREY + index, 5 * index, **names)


def write_two_contrasts(folder: Path) -> None:
    names = np.random.default_rng(1).permutation(16)
    for index in range(8):
        for volume, word in enumerate(("WATER", "FAT")):
            elements = {"InstanceNumber": index + 1, "ImageType": ["DERIVED", "PRIMARY", word]}
            name = f"{names[2 * index + volume]:02d}"
            write_placed(folder, name, GREY + 100 * volume + index, 5 * index, **elements)


def write_screenshot(folder: Path) -> None:
    for index in range(9):
        write_placed(folder, f"{index}", GREY + index, 5 * index, InstanceNumber=index + 1)
    colors = np.stack([(GREY // 10).astype(np.uint8)] * 3, axis=-1)
    write_placed(folder, "shot", colors, 20, InstanceNumber=5)


def write_swapped_pairs(folder: Path) -> None:
    pixels = (GREY // 10).astype(np.uint8)
    dataset = builders.make_dataset(pixels)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = pixels.reshape(-1, 2)[:, ::-1].tobytes()
    dataset["PixelData"].VR = "OW"
    builders.save_dataset(folder / "a", dataset)


def write_far_from_zero(folder: Path) -> None:
    builders.write_dicom(folder / "a", GREY, RescaleSlope=1, RescaleIntercept=1e9)
    image = nib.Nifti1Image(paint_ramp().astype(np.int16), np.eye(4)).to_bytes()
    scale = np.array([2, 1e12], "<f4").tobytes()  # scl_slope, scl_inter
    (folder / "b.nii").write_bytes(image[:112] + scale + image[120:])


def write_decimal_commas(folder: Path) -> None:
    for index, name in enumerate("dbcaefgh"):
        write_placed(folder, name, GREY + index, index + 0.5, InstanceNumber=1)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data.replace(b"\\%d.5 " % index, b"\\%d,5 " % index))


def write_nameless_series(folder: Path) -> None:
    for index, name in enumerate("dbcaefgh"):
        elements = {"SeriesInstanceUID": "", "InstanceNumber": index + 1}
        write_placed(folder, name, GREY + index, 5 * index, **elements)


def write_half_byte(folder: Path) -> None:
    write_offset(folder, 352.5)


def write_offset(folder: Path, offset: float) -> None:
    image = nib.Nifti1Image(paint_ramp().astype(np.int16), np.eye(4)).to_bytes()
    stated = np.array([offset], "<f4").tobytes()  # vox_offset
    (folder / "b.nii").write_bytes(image[:108] + stated + image[112:])


def write_misspelt(folder: Path) -> None:
    builders.write_dicom(folder / "a", GREY, PhotometricInterpretation="MONOCHROME 1")


@pytest.mark.parametrize(
    "write",
    [
        *(write_bits, write_one_instance, write_two_contrasts),
        *(write_screenshot, write_swapped_pairs, write_misspelt, write_far_from_zero),
        *(write_decimal_commas, write_nameless_series, write_half_byte),
    ],
)
def test_the_page_reads_the_pixels_of_python(page, tmp_path, write):
    write(tmp_path)
    slices, errors, _ = ask(page, tmp_path)
    wanted = read(tmp_path)
    assert errors == [] and len(slices) == len(wanted) > 0
    for one, other in zip(slices, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=0.01)


def write_other_size(folder: Path) -> None:
    for name, shape in (("turned", (40, 32)), ("half", (16, 40))):
        dataset = builders.make_dataset(GREY)
        dataset.compress(JPEG2000Lossless)
        dataset.Rows, dataset.Columns = shape
        builders.save_dataset(folder / name, dataset)


def write_results(folder: Path) -> None:
    builders.write_dicom(folder / "a", GREY, Manufacturer="tumorlens")
    image = nib.Nifti1Image(paint_ramp(), np.eye(4))
    image.header["descrip"] = b"tumorlens evidence"
    nib.save(image, folder / "heat.nii")


def write_shares(folder: Path) -> None:
    nib.save(nib.Nifti1Image(paint_ramp() / 3000, np.eye(4)), folder / "tumor_probseg.nii")


def write_damaged(folder: Path) -> None:
    """A byte has changed, and only the checksum tells."""
    plain = gzip.compress(nib.Nifti1Image(paint_ramp(), np.eye(4)).to_bytes(), 0)
    (folder / "a.nii.gz").write_bytes(hurt(plain))
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.write(builders.write_dicom(folder / "b.dcm", GREY), "b.dcm")
    (folder / "b.dcm").unlink()
    (folder / "b.zip").write_bytes(hurt(stored.getvalue()))


def paint_ramp() -> np.ndarray:
    return np.add.outer(np.arange(40) * 30, np.add.outer(np.arange(36) * 20, np.arange(32))) * 1.0


def hurt(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 255]) + data[len(data) // 2 + 1 :]


def write_voxels_in_header(folder: Path) -> None:
    write_offset(folder, 0)


@pytest.mark.parametrize(
    "write", [write_other_size, write_results, write_shares, write_damaged, write_voxels_in_header]
)
def test_the_page_refuses_what_python_refuses(page, tmp_path, write):
    write(tmp_path)
    slices, errors, _ = ask(page, tmp_path)
    assert read(tmp_path) == [] and slices == []
    assert errors


def test_a_damaged_picture_says_what_to_do(page, tmp_path):
    picture = builders.write_picture(tmp_path / "a.png", (GREY // 10).astype(np.uint8))
    picture.write_bytes(picture.read_bytes()[:-30])
    (error,) = ask(page, tmp_path)[1]
    assert "damaged" in error and error.endswith("save it again, or leave it out")


def test_gzip_with_bytes_behind_its_end_is_read(page, tmp_path):
    plain = nib.Nifti1Image(paint_ramp(), np.eye(4)).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(plain) + b"behind")
    slices, errors, _ = ask(page, tmp_path)
    assert errors == [] and len(slices) == len(read(tmp_path))


def test_gzip_of_several_members_says_so(page, tmp_path):
    """As bgzip and others write it; only the first would be read."""
    plain = nib.Nifti1Image(paint_ramp(), np.eye(4)).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(plain[:5000]) + gzip.compress(plain[5000:]))
    slices, errors, _ = ask(page, tmp_path)
    assert slices == [] and errors == ["it is a gzip file of several members; unpack it first"]


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"Modality": "", "SOPClassUID": CTImageStorage}, "modality CT, not MR"),
        ({"SeriesDescription": "ep2d ADC"}, "an ADC map"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "R"]}, "the real part of a complex image"),
        ({"RescaleSlope": -1, "RescaleIntercept": 3000}, "a negative Rescale Slope"),
    ],
)
def test_the_page_doubts_what_python_doubts(page, tmp_path, elements, said):
    builders.write_dicom(tmp_path / "a", GREY, **elements)
    notes = ask(page, tmp_path)[2]
    assert any(note.startswith(said) for note in notes)
    (slice_,) = iterate_slices(tmp_path)
    assert any(note.startswith(said) for note in slice_.info.notes)


def test_the_page_refuses_jpeg_2000_of_8_bits_with_a_sign(page, tmp_path):
    """Its decoder makes negative values 0."""
    dataset = builders.make_dataset((GREY // 10 - 90).astype(np.int8))
    dataset.compress(JPEG2000Lossless)
    builders.save_dataset(tmp_path / "a", dataset)
    slices, errors, _ = ask(page, tmp_path)
    assert slices == [] and "with a sign" in errors[0]
