"""How much memory does the verdict of a study take, when its volume is huge?

Takes a volume (NIfTI), enlarges it to 512 x 512 x 1000 voxels of 16 bits (500 MiB) with a little
noise, stores it as NIfTI, as compressed NIfTI and as a DICOM series, and runs `tumorlens predict`
on each in a process of its own. Prints the largest memory of that process, beside that of a run on
the volume as it is.

    python benchmarks/study_memory.py VOLUME.nii.gz [--shape 512 512 1000] [--kinds nii dicom]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

RUN = "import sys; from tumorlens.cli.main import run; sys.exit(run(sys.argv[1:]))"


def enlarge(path: Path, shape: tuple[int, int, int]) -> nib.Nifti1Image:
    """The volume with as many voxels as asked for, over the same head."""
    image = nib.as_closest_canonical(nib.load(path))
    small = np.asarray(image.dataobj, np.float32)
    small *= 1000 / small.max()
    rows, columns, layers = (
        np.arange(wide) * have // wide for have, wide in zip(small.shape, shape, strict=True)
    )
    rng = np.random.default_rng(0)
    large = np.empty(shape, np.int16)
    for layer, source in enumerate(layers):
        noise = rng.normal(0, 5, shape[:2])
        large[:, :, layer] = np.abs(small[:, :, source][np.ix_(rows, columns)] + noise)
    affine = image.affine.copy()
    affine[:, :3] *= np.divide(small.shape, shape)
    return nib.Nifti1Image(large, affine)


def write_dicom(image: nib.Nifti1Image, folder: Path) -> None:
    """One file a slice, from foot to head."""
    folder.mkdir()
    volume = np.asanyarray(image.dataobj)
    gaps = np.linalg.norm(image.affine[:3, :3], axis=0)
    study, series = generate_uid(), generate_uid()
    for layer in range(volume.shape[2]):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID = study, series
        one.Modality, one.PatientID, one.InstanceNumber = "MR", "large", layer + 1
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [0, 0, round(float(layer * gaps[2]), 4)]
        one.PixelSpacing = [round(float(gaps[1]), 5), round(float(gaps[0]), 5)]
        one.SliceThickness = round(float(gaps[2]), 5)
        pixels = np.ascontiguousarray(volume[::-1, ::-1, layer].T)
        one.Rows, one.Columns = pixels.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.PixelData = pixels.tobytes()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.save_as(folder / f"{layer:04}.dcm", enforce_file_format=True)


def write_nifti(image: nib.Nifti1Image, path: Path) -> None:
    nib.save(image, path)


def measure(path: Path, model: str, output: Path) -> tuple[float, str]:
    """MiB of the largest of all memory that the run held, and its last words."""
    arguments = ["predict", str(path), "--model", model, "--threads", "2", "--output", str(output)]
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write, 1)
        os.execv(sys.executable, [sys.executable, "-c", RUN, *arguments])
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read().strip()
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{path}: the run ended with status {status}: {said}")
    return used.ru_maxrss / 1024, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volume", type=Path)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 1000))
    writers: dict[str, Callable[[nib.Nifti1Image, Path], None]]
    writers = {"nii": write_nifti, "nii.gz": write_nifti, "dicom": write_dicom}
    parser.add_argument("--kinds", nargs="+", choices=writers, default=list(writers))
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, said = measure(options.volume, options.model, folder / "base.jsonl")
        print(f"{options.volume.name}: {base:.0f} MiB; {said}", flush=True)
        image = enlarge(options.volume, tuple(options.shape))
        for kind in options.kinds:
            path = folder / f"large.{kind}"
            writers[kind](image, path)
            memory, said = measure(path, options.model, folder / f"{kind}.jsonl")
            words = " x ".join(map(str, options.shape))
            print(f"{words} as {kind}: {memory:.0f} MiB; {said}", flush=True)


if __name__ == "__main__":
    main()
