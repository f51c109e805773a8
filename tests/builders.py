"""Writers of real files: pictures, DICOM objects and series, NIfTI, archives, broken ones."""

from __future__ import annotations

import bz2
import gzip
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

Array = npt.NDArray[Any]

AXIAL = [1, 0, 0, 0, 1, 0]

AXIS_ORDERS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]
"""All 48 ways to store a volume along the patient's axes: axis of each array axis, and its sign."""


def paint_head(shape: tuple[int, int, int] = (40, 48, 32)) -> npt.NDArray[np.uint16]:
    """A head as [x, y, z], indices rising to the patient's left, back and top.

    An ellipsoid of 500, and one bright block of 3000 on the left, in front and high.
    """
    axes = np.ogrid[tuple(slice(-1, 1, complex(size)) for size in shape)]
    head = np.where(sum(axis**2 for axis in axes) < 0.9, 500, 0).astype(np.uint16)
    x, y, z = (np.array(shape) * (0.7, 0.3, 0.65)).astype(int)
    head[x : x + 4, y : y + 3, z : z + 2] = 3000
    return head


def store_volume(
    volume: Array, spacing: Sequence[float], order: Sequence[int], signs: Sequence[int]
) -> tuple[Array, npt.NDArray[np.float64]]:
    """An [x, y, z] volume stored in another axis order, and its LPS affine (4, 4)."""
    stored = volume.transpose(order)
    steps = (np.eye(3) * spacing)[:, list(order)]
    origin = np.zeros(3)
    for axis, sign in enumerate(signs):
        if sign < 0:
            stored = np.flip(stored, axis)
            origin = origin + (stored.shape[axis] - 1) * steps[:, axis]
            steps[:, axis] *= -1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, origin
    return stored, affine


def write_picture(path: Path, pixels: Array, **options: Any) -> Path:
    """Any format that Pillow writes; ``options`` go to its ``save``."""
    Image.fromarray(pixels).save(path, **options)
    return path


def write_nifti(
    path: Path, volume: Array, lps: npt.NDArray[np.float64] | None = None, kind: Any = None
) -> Path:
    """A NIfTI-1 file of an array and its LPS affine; ``kind`` is another nibabel image class."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ (np.eye(4) if lps is None else lps)
    image = (kind or nib.Nifti1Image)(np.ascontiguousarray(volume), affine)
    nib.save(image, path)
    return path


def write_nrrd(
    path: Path,
    volume: Array,
    lps: npt.NDArray[np.float64] | None = None,
    *,
    encoding: str = "raw",
    data: str = "",
    lines: Sequence[str] = (),
    without: Sequence[str] = (),
    zipped: bytes | None = None,
) -> Path:
    """An NRRD file, as 3D Slicer writes it.

    Args:
        path: of the file, or of the header where ``data`` names another one for the voxels.
        volume: any axes; the affine is that of the last three.
        lps: (4, 4).
        encoding: raw, gzip or bzip2.
        data: what the header says under ``data file``; written beside it, by its base name.
        lines: fields that replace those of their name, or come beside them.
        without: names of fields to leave out.
        zipped: bytes of the voxels instead of those that would be right.
    """
    affine = np.eye(4) if lps is None else lps
    vectors = ["none"] * (volume.ndim - 3) + [_vector(affine[:3, axis]) for axis in range(3)]
    fields = {
        "type": str(volume.dtype.newbyteorder("=")).replace("float32", "float"),
        "dimension": volume.ndim,
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, volume.shape)),
        "space directions": " ".join(vectors),
        "kinds": " ".join(["list"] * (volume.ndim - 3) + ["domain"] * 3),
        "endian": "big" if volume.dtype.byteorder == ">" else "little",
        "encoding": encoding,
        "space origin": _vector(affine[:3, 3]),
        "data file": data,
    }
    text = {name: f"{name}: {value}" for name, value in fields.items() if value != ""}
    text |= {line.partition(":")[0]: line for line in lines}
    kept = [line for name, line in text.items() if name not in without]
    head = "\n".join(["NRRD0005", "# made for a test", *kept]).encode() + b"\n\n"
    pack = {"gzip": gzip.compress, "bzip2": bz2.compress}.get(encoding, bytes)
    body = pack(volume.tobytes(order="F")) if zipped is None else zipped
    if data:
        (path.parent / data).write_bytes(body)
        body = b""
    path.write_bytes(head + body)
    return path


def write_metaimage(
    path: Path,
    volume: Array,
    lps: npt.NDArray[np.float64] | None = None,
    *,
    zipped: bool = False,
    data: str = "LOCAL",
    fields: dict[str, Any] | None = None,
    body: bytes | None = None,
) -> Path:
    """A MetaImage file, as ITK writes it.

    Args:
        path: of the file, or of the header where ``data`` names another one for the voxels.
        volume: 3-D, or with more axes behind.
        lps: (4, 4).
        zipped: whether the voxels are compressed.
        data: what the header says in ``ElementDataFile``; written beside it.
        fields: that replace others of their name, or leave them out where None.
        body: bytes of the voxels instead of those that would be right.
    """
    affine = np.eye(4) if lps is None else lps
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    matrix, more = np.eye(volume.ndim), [1.0] * (volume.ndim - 3)
    matrix[:3, :3] = (affine[:3, :3] / spacing).T
    types = {"u1": "UCHAR", "i1": "CHAR", "i2": "SHORT", "u2": "USHORT", "f4": "FLOAT"}
    packed = zlib.compress(volume.tobytes(order="F")) if zipped else volume.tobytes(order="F")
    text = {
        "ObjectType": "Image",
        "NDims": volume.ndim,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": volume.dtype.byteorder == ">",
        "CompressedData": zipped,
        "TransformMatrix": " ".join(map(str, matrix.ravel().tolist())),
        "Offset": " ".join(map(str, [*affine[:3, 3].tolist(), *([0.0] * len(more))])),
        "CenterOfRotation": " ".join(["0"] * volume.ndim),
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": " ".join(map(str, [*spacing.tolist(), *more])),
        "DimSize": " ".join(map(str, volume.shape)),
        "ElementType": f"MET_{types.get(volume.dtype.str[1:], 'DOUBLE')}",
        **(fields or {}),
        "ElementDataFile": data,
    }
    head = "".join(f"{name} = {value}\n" for name, value in text.items() if value is not None)
    body = packed if body is None else body
    if data != "LOCAL":
        (path.parent / data).write_bytes(body)
        body = b""
    path.write_bytes(head.encode() + body)
    return path


def write_mgh(path: Path, volume: Array, lps: npt.NDArray[np.float64] | None = None) -> Path:
    """A file of FreeSurfer's; ``.mgz`` is zipped."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ (np.eye(4) if lps is None else lps)
    nib.save(nib.MGHImage(np.ascontiguousarray(volume), affine), path)
    return path


def _vector(values: npt.NDArray[np.float64]) -> str:
    return f"({','.join(map(repr, values.tolist()))})"


def make_dataset(pixels: Array, **elements: Any) -> Dataset:
    """An MR image object in memory; ``elements`` set, or with None delete, elements by keyword."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.Modality, dataset.PatientID, dataset.PatientName = "MR", "P-17", "Family^Given"
    dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "1", "20200101", "120000"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.Rows, dataset.Columns = (
        pixels.shape[-3:-1] if pixels.shape[-1] == 3 else pixels.shape[-2:]
    )
    dataset.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.shape[-1] == 3 else "MONOCHROME2"
    dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def write_dicom(path: Path, pixels: Array, *, syntax: str = "", **elements: Any) -> Path:
    """One object with its preamble and meta information; ``syntax`` compresses it."""
    return save_dataset(path, make_dataset(pixels, **elements), syntax)


def save_dataset(path: Path, dataset: Dataset, syntax: str = "") -> Path:
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax:
        dataset.compress(syntax)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path, volume: Array, lps: npt.NDArray[np.float64], **elements: Any
) -> list[Path]:
    """A file for each [k] of a (slices, rows, columns) array with its LPS affine.

    Names say nothing about places: they are in the reverse order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :3] / spacing
    files = []
    for index, pixels in enumerate(volume):
        place = {
            "ImageOrientationPatient": [*cosines[:, 2], *cosines[:, 1]],
            "ImagePositionPatient": list(lps[:3, 3] + index * lps[:3, 0]),
            "PixelSpacing": [spacing[1], spacing[2]],
            "InstanceNumber": index + 1,
        }
        name = f"IM{len(volume) - index:04d}"
        files.append(write_dicom(folder / name, pixels, **{**place, **elements}))
    return files


def make_enhanced(volume: Array, lps: npt.NDArray[np.float64], slopes: Sequence[float]) -> Dataset:
    """An enhanced multi-frame object of a (slices, rows, columns) array, a slope a frame."""
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :3] / spacing
    dataset = make_dataset(volume, SOPClassUID=EnhancedMRImageStorage)
    dataset.NumberOfFrames = len(volume)
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [*cosines[:, 2], *cosines[:, 1]]
    measures.PixelSpacing = [spacing[1], spacing[2]]
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index, slope in enumerate(slopes):
        position, scale, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = list(lps[:3, 3] + index * lps[:3, 0])
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = slope, 0, "US"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [position], [scale]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


def write_directory(folder: Path, datasets: Iterable[Dataset]) -> Path:
    """A DICOMDIR and the files that it lists, as pydicom lays them out."""
    files = FileSet()
    for dataset in datasets:
        source = save_dataset(folder.parent / f"{dataset.SOPInstanceUID}.dcm", dataset)
        files.add(source)
    files.write(folder)
    return folder / "DICOMDIR"


def redirect_directory(directory: Path, target: Sequence[str]) -> Path:
    """Make the first image that a DICOMDIR lists another file."""
    dataset = pydicom.dcmread(directory)
    record = next(r for r in dataset.DirectoryRecordSequence if "ReferencedFileID" in r)
    with warnings.catch_warnings(action="ignore"):  # pydicom dislikes such names, as it should
        record.ReferencedFileID = list(target)
        dataset.save_as(directory)
    return directory


def write_zip(path: Path, members: dict[str, bytes | Path]) -> Path:
    """A zip archive of ``members``: name -> content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes) else content.read_bytes())
    return path


def deflate_zeros(size: int, before: bytes = b"") -> bytes:
    """A raw deflate stream of ``before`` and then ``size`` MiB of zeros, made in no time."""
    squeezer = zlib.compressobj(9, wbits=-15)
    head = squeezer.compress(before) + squeezer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers back, so that a block may be repeated.
    block = squeezer.compress(bytes(1024**2)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return head + block * size + squeezer.flush()


def write_png_bomb(path: Path, side: int = 20_000) -> Path:
    """A black PNG of ``side`` x ``side`` pixels in 400 KiB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packed = b"\x78\x01" + deflate_zeros(side * (side + 1) // 1024**2 + 1) + bytes(4)
    header = struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))
    return path


def write_nifti_promise(path: Path, side: int = 2100, *, zipped: bool = False) -> Path:
    """A NIfTI header that asks for ``side``³ 16-bit voxels (18 GB), and 29 bytes of them.

    Zipped, 16 MiB of zeros follow.
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((side, side, side))
    header.set_sform(np.eye(4), code=1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    block = header.binaryblock + bytes(4)
    if zipped:
        with gzip.open(path, "wb", 1) as stream:
            stream.write(block + bytes(16 * 1024**2))
    else:
        path.write_bytes((block + bytes(29))[:377])
    return path


def write_deflated_bomb(path: Path, size: int = 160) -> Path:
    """A deflated DICOM file that inflates to ``size`` MiB of zeros."""
    write_dicom(path, np.zeros((64, 64), np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    data = path.read_bytes()
    start = 132 + 12 + struct.unpack("<I", data[140:144])[0]
    inner = zlib.decompress(data[start:], -15)
    pixels = inner.index(b"\xe0\x7f\x10\x00OW")
    head = inner[: pixels + 8] + struct.pack("<I", size * 1024**2)
    path.write_bytes(data[:start] + deflate_zeros(size, head))
    return path


def write_nested(path: Path, depth: int = 300) -> Path:
    """A DICOM file whose sequences are nested ``depth`` deep, before its pixels."""
    write_dicom(path, np.arange(4096, dtype=np.uint16).reshape(64, 64))
    data = path.read_bytes()
    pixels = data.index(b"\xe0\x7f\x10\x00OW")
    opened = (
        b"\x28\x00\x00\x30SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    ) * depth
    closed = (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * depth
    path.write_bytes(data[:pixels] + opened + closed + data[pixels:])
    return path
