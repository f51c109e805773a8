"""Do the DICOM objects of six kinds of series pass a validator, and lie where the evidence is?

Takes a head without a tumor (NIfTI, thin slices), paints a bright ball into it on the patient's
left, and stores it as scanners do: axial slices, thin sagittal ones that are cut anew, an enhanced
multi-frame object, an axial series of which slices are missing, one that states nothing of the
patient, and compressed slices under the header of a real file of Siemens, from pydicom's test data.
tumorlens judges each and writes its objects. Printed are the errors and warnings of dciodvfy
(Debian: dicom3tools), without those on the private code scheme; the processor seconds a series, for
the verdict alone and with the objects; and the distance of the strongest evidence from the ball, as
SimpleITK reads it. It takes slices for an even volume, so pydicom reads the uneven series.
FOLDER/evidence.png shows the segmentation over its source, both read by SimpleITK.

    python benchmarks/dicom_objects.py HEAD.nii.gz FOLDER [--model M]

FOLDER must not be there yet. Needs the extra dicom, SimpleITK and nibabel.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

import tumorlens
from tumorlens import Detector

PRIVATE = "Unrecognized defined term = <99TUMORLENS>"
SIDE = 300  # pixels of a picture
PATIENT = {
    "PatientName": "Example^Head",
    "PatientID": "BENCHMARK",
    "PatientBirthDate": "19700101",
    "PatientSex": "O",
    "StudyDate": "20260101",
    "StudyTime": "120000",
    "StudyID": "1",
    "AccessionNumber": "1",
    "Manufacturer": "benchmarks/dicom_objects.py",
}


def read_head(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y, z) uint16 with indices rising to the left, back and top; its LPS affine; the ball."""
    image = nib.as_closest_canonical(nib.load(file))
    volume = np.asarray(image.dataobj, np.float32)[::-1, ::-1]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    for axis in (0, 1):
        affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
        affine[:3, axis] *= -1
    head = np.argwhere(volume > np.quantile(volume, 0.6))
    low, high = head.min(axis=0), head.max(axis=0)
    center = low + (high - low) * np.array([0.67, 0.5, 0.62])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    steps = ((np.indices(volume.shape).T - center) * spacing).T
    share = 0.8 / (1 + np.exp((np.sqrt((steps**2).sum(axis=0)) - 15) / 1.5))
    painted = volume * (1 - share) + np.quantile(volume, 0.999) * share
    ball = affine[:3, :3] @ center + affine[:3, 3]
    return np.rint(painted * (2000 / painted.max())).astype(np.uint16), affine, ball


def make_header(pixels: np.ndarray, shared: dict[str, str], **stated: object) -> Dataset:
    """A MR image with its pixels."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = MRImageStorage, generate_uid(), "MR"
    made.Rows, made.Columns = pixels.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.PixelData = np.ascontiguousarray(pixels).tobytes()
    for keyword, value in {**shared, **stated}.items():
        setattr(made, keyword, value)
    return made


def name_series(**stated: str) -> dict[str, str]:
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    return {**{uid: str(generate_uid()) for uid in uids}, "SeriesDescription": "T1", **stated}


def place(affine: np.ndarray, index: int) -> dict[str, object]:
    """Of slice ``index`` of a [slice, row, column] volume."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / spacing
    numbers = {
        "ImageOrientationPatient": [*cosines[:, 2], *cosines[:, 1]],
        "ImagePositionPatient": affine[:3, 3] + index * affine[:3, 0],
        "PixelSpacing": spacing[1:],
    }
    return {key: [f"{one:.6g}" for one in values] for key, values in numbers.items()}


def write_slices(
    folder: Path, volume: np.ndarray, affine: np.ndarray, shared: dict[str, str]
) -> None:
    folder.mkdir(parents=True)
    for index, pixels in enumerate(volume):
        made = make_header(pixels, shared, InstanceNumber=index + 1, **place(affine, index))
        made.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)


def cut(
    head: np.ndarray, affine: np.ndarray, order: tuple[int, int, int], step: int
) -> tuple[np.ndarray, np.ndarray]:
    """The head as [slice, row, column], every ``step``-th slice; rows run downwards."""
    volume, turned = head.transpose(order)[::step], affine.copy()
    turned[:3, :3] = affine[:3, order]
    turned[:3, 0] *= step
    if order[1] == 2:
        volume = volume[:, ::-1]
        turned[:3, 3] += turned[:3, 1] * (volume.shape[1] - 1)
        turned[:3, 1] *= -1
    return volume, turned


def write_axial(folder: Path, head: np.ndarray, affine: np.ndarray) -> None:
    step = max(1, round(5 / np.linalg.norm(affine[:3, 2])))
    write_slices(folder, *cut(head, affine, (2, 1, 0), step), name_series(**PATIENT))


def write_sagittal(folder: Path, head: np.ndarray, affine: np.ndarray) -> None:
    write_slices(folder, *cut(head, affine, (0, 2, 1), 1), name_series(**PATIENT))


def write_uneven(folder: Path, head: np.ndarray, affine: np.ndarray) -> None:
    write_axial(folder, head, affine)
    for number in (5, 6, 13, 20):
        (folder / f"{number:04d}.dcm").unlink(missing_ok=True)


def write_poor(folder: Path, head: np.ndarray, affine: np.ndarray) -> None:
    step = max(1, round(5 / np.linalg.norm(affine[:3, 2])))
    write_slices(folder, *cut(head, affine, (2, 1, 0), step), name_series())


def write_enhanced(folder: Path, head: np.ndarray, affine: np.ndarray) -> None:
    folder.mkdir(parents=True)
    step = max(1, round(5 / np.linalg.norm(affine[:3, 2])))
    volume, turned = cut(head, affine, (2, 1, 0), step)
    made = make_header(volume, name_series(**PATIENT), NumberOfFrames=len(volume))
    made.SOPClassUID = EnhancedMRImageStorage
    groups = []
    for index in range(len(volume)):
        group = Dataset()
        for keyword, macro in (
            ("ImageOrientationPatient", "PlaneOrientationSequence"),
            ("ImagePositionPatient", "PlanePositionSequence"),
            ("PixelSpacing", "PixelMeasuresSequence"),
        ):
            item = Dataset()
            setattr(item, keyword, place(turned, index)[keyword])
            setattr(group, macro, [item])
        group.PixelMeasuresSequence[0].SliceThickness = f"{np.linalg.norm(turned[:3, 0]):.6g}"
        groups.append(group)
    shared = Dataset()
    shared.PlaneOrientationSequence = groups[0].PlaneOrientationSequence
    shared.PixelMeasuresSequence = groups[0].PixelMeasuresSequence
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = groups
    made.save_as(folder / "enhanced.dcm", enforce_file_format=True)


def write_vendor(folder: Path, head: np.ndarray, affine: np.ndarray) -> None:
    """Axial slices under the header of a real file of Siemens, compressed."""
    write_axial(folder, head, affine)
    real = pydicom.dcmread(str(get_testdata_file("MR-SIEMENS-DICOM-WithOverlays.dcm")))
    for file in folder.iterdir():
        made, painted = copy.deepcopy(real), pydicom.dcmread(file)
        for element in [one for one in made if 0x6000 <= one.tag.group < 0x6100]:
            del made[element.tag]  # the overlays have another size
        for element in painted:
            if element.keyword not in (*PATIENT, "SeriesDescription"):
                made[element.tag] = element
        for keyword in ("SliceThickness", "SpacingBetweenSlices", "SliceLocation"):
            made.pop(keyword, None)
        made.SeriesDescription, made.BodyPartExamined = "t1_mpr", "HEAD"
        made.WindowCenter, made.WindowWidth = 600, 1200
        made.compress(RLELossless)
        made.save_as(file, enforce_file_format=True)


WRITERS: dict[str, Callable[[Path, np.ndarray, np.ndarray], None]] = {
    "axial": write_axial,
    "sagittal": write_sagittal,
    "enhanced": write_enhanced,
    "uneven": write_uneven,
    "poor": write_poor,
    "vendor": write_vendor,
}


def validate(file: Path) -> tuple[list[str], list[str]]:
    done = subprocess.run(
        ["dciodvfy", "-new", file], capture_output=True, text=True, errors="replace", check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    warnings = [one for one in lines if one.startswith("Warning") and PRIVATE not in one]
    return [one for one in lines if one.startswith("Error")], warnings


def read_source(folder: Path) -> sitk.Image:
    """The series as ITK takes it; slices in the order of their places."""
    files = list(folder.iterdir())
    if len(files) == 1:
        return sitk.ReadImage(str(files[0]))
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def lay_over(folder: Path, file: Path, even: bool) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of source and evidence on one grid."""
    if even:
        source, evidence = read_source(folder), sitk.ReadImage(str(file))
        evidence = sitk.Resample(evidence, source, sitk.Transform(), sitk.sitkNearestNeighbor)
        return sitk.GetArrayFromImage(source), sitk.GetArrayFromImage(evidence)
    # ITK takes slices for an even volume, so that each frame is laid over the file that it names.
    slices = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, folder.iterdir())}
    made = pydicom.dcmread(file)
    named = (
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for group in made.PerFrameFunctionalGroupsSequence
    )
    return np.stack([slices[uid].pixel_array for uid in named]), made.pixel_array


def paint(source: np.ndarray, evidence: np.ndarray) -> Iterator[Image.Image]:
    """The slice with most evidence, plain and with it in red."""
    index = int((evidence > 127).sum(axis=(1, 2)).argmax() or evidence.max(axis=(1, 2)).argmax())
    grey = np.clip(source[index] * (255 / max(np.quantile(source[index], 0.995), 1)), 0, 255)
    plain = np.stack([grey] * 3, axis=-1)
    share = (evidence[index] / 255)[..., np.newaxis] * 0.7
    for one in (plain, plain * (1 - share) + np.array([255.0, 40.0, 20.0]) * share):
        picture = Image.fromarray(one.astype(np.uint8))
        picture.thumbnail((SIDE, SIDE))
        yield picture.resize((SIDE, round(SIDE * picture.height / picture.width)))


def find_peak(file: Path, even: bool) -> np.ndarray:
    """The middle of the voxels that are nearly as strong as the strongest, in mm."""
    if even:
        evidence = sitk.ReadImage(str(file))
        voxels = sitk.GetArrayFromImage(evidence)
        z, y, x = np.argwhere(voxels >= 0.95 * voxels.max()).mean(axis=0).tolist()
        return np.array(evidence.TransformContinuousIndexToPhysicalPoint((x, y, z)))
    made = pydicom.dcmread(file)
    shared = made.SharedFunctionalGroupsSequence[0]
    right, down = np.reshape(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)
    ).astype(float)
    row, column = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    voxels = made.pixel_array
    found = np.argwhere(voxels >= 0.95 * voxels.max())
    origins = np.array(
        [
            group.PlanePositionSequence[0].ImagePositionPatient
            for group in made.PerFrameFunctionalGroupsSequence
        ],
        float,
    )
    z, y, x = found.T
    return (origins[z] + np.outer(y, down * row) + np.outer(x, right * column)).mean(axis=0)


def measure(name: str, folder: Path, detector: Detector, ball: np.ndarray) -> list[Image.Image]:
    """Judge, write, validate, read back; prints a line, and gives the pictures."""
    began = process_time()
    tumorlens.predict_studies(str(folder), model=detector)
    bare = process_time() - began
    began, told = process_time(), list[str]()
    done = tumorlens.write_dicom(
        folder, folder.parent / f"{name}-objects", model=detector, notice=told.append
    )
    whole = process_time() - began
    found = [validate(one) for one in done.files]
    kinds = {one.name.split(".")[-2]: one for one in done.files}
    verdict = done.studies[0].verdict if done.studies else None
    apart, pictures = "", []
    if "seg" in kinds:
        even = name != "uneven"
        apart = f"{np.linalg.norm(find_peak(kinds['seg'], even) - ball):6.1f}"
        pictures = list(paint(*lay_over(folder, kinds["seg"], even)))
    errors, warnings = (sum(len(one[place]) for one in found) for place in (0, 1))
    slices = sum(done.counts.values())
    print(
        f"{name:9} {slices:6} {verdict or 'none':10} {','.join(sorted(kinds)):10} "
        f"{errors:6} {warnings:8} {bare:8.1f} {whole:8.1f} {apart}"
    )
    for lines in found:
        for line in (*lines[0], *lines[1]):
            print(f"          {line}")
    for line in told:
        if "segmentation" in line or "object" in line:
            print(f"          {line}")
    return pictures


def join(rows: list[list[Image.Image]]) -> Image.Image:
    height = max(one.height for row in rows for one in row)
    sheet = Image.new("RGB", (4 * SIDE, height * ((len(rows) + 1) // 2)))
    for number, row in enumerate(rows):
        for step, one in enumerate(row):
            sheet.paste(one, ((number % 2 * 2 + step) * SIDE, number // 2 * height))
    return sheet


def main() -> None:
    """Parse, write six series, measure each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("head", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    options.folder.mkdir()
    head, affine, ball = read_head(options.head)
    detector = Detector(options.model)
    tumorlens.predict(np.ones((64, 64), np.float32) * np.arange(64), model=detector)
    __import__("highdicom")  # loading it is no cost of a series
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # of slices that are missing on purpose
    print(f"model {detector.name}; seconds of the processor")
    print("source    slices verdict    objects    errors warnings    judge  + write  mm off")
    rows = []
    for name, write in WRITERS.items():
        write(options.folder / name, head, affine)
        rows.append(measure(name, options.folder / name, detector, ball))
    join([row for row in rows if row]).save(options.folder / "evidence.png")


if __name__ == "__main__":
    main()
