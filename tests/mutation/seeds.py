"""Small sound files of every format that tumorlens reads: the same bytes at every run.

Values, UIDs and times are fixed, so that a mutant can be built again from its number alone, as
long as the libraries that write these files stay the same.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.fileset import FileSet
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

import builders
import models
from tumorlens.model.card import Training
from tumorlens.model.seen_entry import encode_fingerprints

Array = npt.NDArray[Any]

_y, _x = np.ogrid[-1:1:32j, -1:1:36j]
HEAD = (200 * np.exp(-2 * (_y**2 + _x**2)) + 50 * (abs(_y - 0.2) + abs(_x + 0.3) < 0.3)).astype(
    np.uint8
)
"""(32, 36), as small as JPEG 2000 can be written: a bright blob with a brighter spot."""
DEEP = HEAD.astype(np.uint16) * 12 + np.random.default_rng(18).integers(0, 9, HEAD.shape).astype(
    np.uint16
)
VOLUME = np.stack([np.roll(DEEP, shift, 0) for shift in range(18)], 2).astype(np.int16)
"""(32, 36, 18), as NIfTI has it."""
THICK = np.diag([1.0, 1.0, 5.0, 1.0])


@dataclass(frozen=True)
class Seed:
    """Sound input.

    Attributes:
        name: of the format.
        files: name in the folder that they share -> content.
        named: what the reader is given: a file, or ``"."`` for the folder.
        reader: of `judging`, which reads it.
        share: how often it is taken; 1 for an ordinary one.
    """

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    named: str
    reader: str = "image"
    share: float = 1.0


@cache
def find_seeds() -> tuple[Seed, ...]:
    """All of them, in one order."""
    with TemporaryDirectory() as folder:
        seeds = [*_pictures(), *_dicom(Path(folder)), *_groups(Path(folder)), *_volumes()]
        return (*seeds, *_headed(), *_texts(), *_models(Path(folder)))


def _alone(name: str, file: str, content: bytes, **options: Any) -> Seed:
    return Seed(name, {file: content}, file, **options)


def _pictures() -> list[Seed]:
    colors = np.stack([HEAD, HEAD // 2, 255 - HEAD], 2)
    clear = np.dstack([colors, np.full_like(HEAD, 200)])
    turned = Image.Exif()
    turned[0x0112] = 6
    made: dict[str, tuple[Array, str, dict[str, Any]]] = {
        "PNG": (HEAD, "a.png", {}),
        "PNG, 16 bit": (DEEP, "a.png", {}),
        "PNG, alpha": (clear, "a.png", {}),
        "PNG, 1 bit": (HEAD > 120, "a.png", {"bits": 1}),
        "JPEG": (HEAD, "a.jpg", {"exif": turned}),
        "JPEG, colors, progressive": (colors, "a.jpeg", {"progressive": True}),
        "TIFF": (DEEP, "a.tif", {}),
        "TIFF, LZW": (HEAD, "a.tiff", {"compression": "tiff_lzw"}),
        "TIFF, deflate, colors": (colors, "a.tif", {"compression": "tiff_adobe_deflate"}),
        "BMP": (HEAD, "a.bmp", {}),
        "WebP": (colors, "a.webp", {}),
        "WebP, lossless": (colors, "a.webp", {"lossless": True}),
    }
    seeds = [
        _alone(name, file, _save_picture(Image.fromarray(pixels), file, **options))
        for name, (pixels, file, options) in made.items()
    ]
    pages = [Image.fromarray(page) for page in (HEAD, HEAD[:, ::-1], HEAD[::-1])]
    more = _save_picture(pages[0], "a.tif", save_all=True, append_images=pages[1:])
    palette = _save_picture(Image.fromarray(colors).quantize(16), "a.png", transparency=0)
    return [*seeds, _alone("TIFF, pages", "a.tif", more), _alone("PNG, palette", "a.png", palette)]


def _save_picture(picture: Image.Image, file: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    form = Image.registered_extensions()[Path(file).suffix]
    picture.save(stream, form, **options)
    return stream.getvalue()


def _dataset(pixels: Array, number: int = 1, **elements: Any) -> Dataset:
    fixed = {"SOPInstanceUID": f"1.2.3.4.{number}", "InstanceNumber": number}
    return builders.make_dataset(pixels, **{**fixed, **elements})


def _save(folder: Path, dataset: Dataset, syntax: str = "") -> bytes:
    if syntax in (RLELossless, JPEG2000Lossless):
        dataset.compress(syntax, generate_instance_uid=False)
        syntax = ""
    return builders.save_dataset(folder / "saved", dataset, syntax).read_bytes()


def _dicom(folder: Path) -> list[Seed]:
    place = {
        "ImagePositionPatient": [-14, -12, 5],
        "ImageOrientationPatient": builders.AXIAL,
        "PixelSpacing": [1, 1],
        "RescaleSlope": 2,
        "RescaleIntercept": -5,
        "WindowCenter": 900,
        "WindowWidth": 1500,
        "SeriesDescription": "t2 ax",
        "PixelPaddingValue": 3,
    }
    palette: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for color in ("Red", "Green", "Blue"):
        palette[f"{color}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{color}PaletteColorLookupTableData"] = np.arange(256, dtype="<u2").tobytes()
    colors = np.stack([HEAD, HEAD // 2, 255 - HEAD], 2)
    made = {
        "DICOM": _save(folder, _dataset(DEEP, **place)),
        "DICOM, implicit": _write_as(_dataset(DEEP, **place), ImplicitVRLittleEndian),
        "DICOM, big endian": _write_as(_dataset(DEEP, **place), ExplicitVRBigEndian),
        "DICOM, deflated": _save(folder, _dataset(DEEP), DeflatedExplicitVRLittleEndian),
        "DICOM, palette": _save(folder, _dataset(HEAD, **palette)),
        "DICOM, colors": _save(folder, _dataset(colors)),
        "DICOM, RLE": _save(folder, _dataset(DEEP, **place), RLELossless),
        "DICOM, JPEG 2000": _save(folder, _dataset(DEEP, **place), JPEG2000Lossless),
        "DICOM, JPEG": _save(folder, _embed_jpeg()),
        "DICOM, JPEG lossless": _recode(folder, _dataset(DEEP), JPEGLosslessSV1),
        "DICOM, JPEG-LS": _recode(folder, _dataset(DEEP), JPEGLSLossless),
        "DICOM, enhanced": _save(folder, _enhanced()),
        "DICOM, enhanced, RLE": _save(folder, _enhanced(), RLELossless),
    }
    seeds = [_alone(name, "a.dcm", content) for name, content in made.items()]
    bare = made["DICOM"]
    at = bare.index(b"\x08\0\x16\0UI")  # the data set alone, as old archives have it
    return [*seeds, _alone("DICOM, bare", "IM_0001", bare[at:])]


def _write_as(dataset: Dataset, syntax: UID) -> bytes:
    """In another plain transfer syntax; pixels are swapped as it asks for."""
    if not syntax.is_little_endian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    options = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
    dataset.save_as(stream, enforce_file_format=True, **options)
    return stream.getvalue()


def _embed_jpeg() -> Dataset:
    dataset = _dataset(HEAD)
    dataset.PixelData = encapsulate([_save_picture(Image.fromarray(HEAD), "a.jpg")])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return dataset


def _recode(folder: Path, dataset: Dataset, syntax: str) -> bytes:
    """Compressed by GDCM, which alone writes these."""
    import gdcm

    plain, done = folder / "plain.dcm", folder / "recoded.dcm"
    builders.save_dataset(plain, dataset)
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(plain))
    kinds = {
        JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
    }
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(kinds[UID(syntax)]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(done))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return done.read_bytes()


def _enhanced() -> Dataset:
    """Three frames; sequences of undefined length, so that what stands in them may grow."""
    lps = np.eye(4)
    lps[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [6, 0, 0]])
    volume = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
    dataset = builders.make_enhanced(volume, lps, [1, 2, 3])
    dataset.SOPInstanceUID = "1.2.3.4.9"
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
    return dataset


def _series(slices: int = 18) -> list[Dataset]:
    """A thin sagittal series, which is read as a volume."""
    made = []
    for index in range(slices):
        place = {
            "ImagePositionPatient": [index - 9.0, -12.0, 14.0],
            "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
            "PixelSpacing": [1, 1],
        }
        made.append(_dataset(VOLUME[:, :, index].astype(np.uint16), index + 1, **place))
    return made


def _groups(folder: Path) -> list[Seed]:
    """A series in a folder, on a disc with its index, and in archives."""
    files = {f"IM{n:04d}": _save(folder, one) for n, one in enumerate(_series(), 1)}
    few = dict(list(files.items())[:3])
    spread = {f"{'deeper/' * (n % 2)}{name}": data for n, (name, data) in enumerate(few.items())}
    mixed = {**few, "a.png": _save_picture(Image.fromarray(HEAD), "a.png")}
    stored, deflated = (_pack(few, kind) for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    return [
        Seed("series", files, ".", share=0.3),
        Seed("series over folders", spread, "."),
        Seed("DICOMDIR", _disc(folder), "DICOMDIR"),
        Seed("folder with a zip", {**mixed, "b.zip": deflated}, "."),
        _alone("zip, stored", "a.zip", stored),
        _alone("zip, deflated", "a.zip", deflated),
        _alone("zip, bzip2", "a.zip", _pack(few, zipfile.ZIP_BZIP2), share=0.5),
        _alone("zip, LZMA", "a.zip", _pack(few, zipfile.ZIP_LZMA), share=0.5),
    ]


def _pack(members: Mapping[str, bytes], kind: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
            archive.writestr(entry, content, kind)
    return stream.getvalue()


def _disc(folder: Path) -> dict[str, bytes]:
    place, files = folder / "disc", FileSet()
    files.UID, files.ID = "1.2.3.4.5", "DISC"
    for dataset in _series(3):
        files.add(builders.save_dataset(folder / dataset.SOPInstanceUID, dataset))
    files.write(place)
    found = sorted(file for file in place.rglob("*") if file.is_file())
    return {file.relative_to(place).as_posix(): file.read_bytes() for file in found}


def _nifti(volume: Array, kind: Any = nib.Nifti1Image, affine: Array = THICK) -> bytes:
    image = kind(np.ascontiguousarray(volume), affine)
    if kind is not nib.AnalyzeImage:
        image.header.set_qform(affine, 1)
        image.header.set_sform(affine, 1)
    data: bytes = image.to_bytes()
    return data


def _volumes() -> list[Seed]:
    thin, few = _nifti(VOLUME, affine=np.eye(4)), VOLUME[:, :, ::6]
    four = np.stack([few, few + 7], 3)
    files = nib.Nifti1Pair.make_file_map()
    for holder in files.values():
        holder.fileobj = io.BytesIO()
    nib.Nifti1Pair(few, THICK).to_file_map(files)
    pair = {f"a.{kind[:3]}": files[own].fileobj.getvalue() for own, kind in _PAIR.items()}
    swapped = nib.Nifti1Image(few, THICK, nib.Nifti1Header(endianness=">"))
    return [
        _alone("NIfTI", "a.nii", _nifti(few)),
        _alone("NIfTI, thin", "a.nii", thin),
        _alone("NIfTI, gzip", "a.nii.gz", gzip.compress(_nifti(few), mtime=0)),
        _alone("NIfTI, 4-D", "a.nii", _nifti(four)),
        _alone("NIfTI, floats", "a.nii", _nifti(few.astype(np.float32) / 9)),
        _alone("NIfTI, big endian", "a.nii", swapped.to_bytes(), share=0.5),
        _alone("NIfTI-2", "a.nii", _nifti(few, nib.Nifti2Image), share=0.5),
        _alone("MGH", "a.mgh", nib.MGHImage(few, THICK).to_bytes(), share=0.7),
        _alone(
            "MGZ", "a.mgz", gzip.compress(nib.MGHImage(few, THICK).to_bytes(), mtime=0), share=0.5
        ),
        Seed("NIfTI pair", pair, "a.img", share=0.5),
    ]


_PAIR = {"header": "hdr", "image": "img"}


def _headed() -> list[Seed]:
    """Volumes of 3D Slicer and ITK: a header in words, then the voxels."""
    few = np.ascontiguousarray(VOLUME[:, :, ::6])
    voxels = few.tobytes("F")
    sizes = " ".join(map(str, few.shape))
    nrrd = (
        "NRRD0004\n# made by hand\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {sizes}\nspace directions: (1,0,0) (0,1,0) (0,0,5)\nkinds: domain domain domain\n"
        "endian: little\nencoding: {}\nspace origin: (-14,-12,5)\n"
    )
    meta = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "CompressedData = {}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -14 -12 5\n"
        f"CenterOfRotation = 0 0 0\nElementSpacing = 1 1 5\nDimSize = {sizes}\n"
        "ElementType = MET_SHORT\nElementDataFile = {}\n"
    )
    beside = (nrrd.format("raw") + "data file: a.raw\n\n").encode()
    deflated = zlib.compress(voxels)
    return [
        _alone("NRRD", "a.nrrd", nrrd.format("raw").encode() + b"\n" + voxels),
        _alone(
            "NRRD, gzip",
            "a.nrrd",
            nrrd.format("gzip").encode() + b"\n" + gzip.compress(voxels, mtime=0),
        ),
        Seed("NRRD, two files", {"a.nhdr": beside, "a.raw": voxels}, "a.nhdr", share=0.5),
        _alone("MHA", "a.mha", meta.format("False", "LOCAL").encode() + voxels),
        _alone("MHA, deflated", "a.mha", meta.format("True", "LOCAL").encode() + deflated),
        Seed(
            "MHD, two files",
            {"a.mhd": meta.format("False", "a.raw").encode(), "a.raw": voxels},
            "a.mhd",
            share=0.5,
        ),
    ]


def _texts() -> list[Seed]:
    pictures = {f"{n}.png": _save_picture(Image.fromarray(HEAD + n), "a.png") for n in range(3)}
    manifest = (
        "path,frame,source,group,sequence,label,tumor_class,split,box,mask,position,note,age\n"
        "0.png,0,here,p1,T1c,tumor,glioma,train,3 4 12 13;14 2 20 9,2.png,0.5,,61\n"
        '1.png,,here,p2,FLAIR,no_tumor,,validation,,,0.25,"old, but good",7\n'
        "2.png,,there,p3,,,,0,,,,,\n"
    )
    scores = (
        "path,group,label,box,fold,verdict,tumor_probability,probability_no_tumor,probability_tumor,"
        "unfamiliarity,peak_xy,boxes,operating_point,model,low,middle,high,seen\n"
        "0.png,p1,tumor,,0,tumor,0.9,0.1,0.9,0.4,1 1,3 4 12 13 0.8,balanced,tiny 0,0.3,0.5,0.7,0\n"
        "1.png,p2,no_tumor,,1,no_tumor,0.1,0.9,0.1,0.3,1 2,,balanced,tiny 0,0.3,0.5,0.7,0\n"
        "2.png,p3,no_tumor,,1,uncertain,0.4,0.6,0.4,1.2,,,balanced,tiny 0,0.3,0.5,0.7,1\n"
    )
    recipes = {path.stem: path.read_bytes() for path in _recipes()}
    card = models.make_card(training=Training(sources={"here": 3}), known_failures=["all"])
    return [
        Seed("manifest", {"m.csv": manifest.encode(), **pictures}, "m.csv", "manifest"),
        Seed("scores", {"scores.csv": scores.encode(), **pictures}, "scores.csv", "scores"),
        *(
            _alone(f"recipe {name}", "r.toml", text, reader="recipe", share=0.5)
            for name, text in recipes.items()
        ),
        _alone("card", "a.card.json", card.to_json(indent=1).encode(), reader="card"),
    ]


def _recipes() -> Sequence[Path]:
    from tumorlens.training.recipe import find_recipes

    return [path for name, path in find_recipes().items() if name in ("seed", "release")]


def _models(folder: Path) -> list[Seed]:
    prints = np.random.default_rng(19).integers(0, 256, (40, 32), np.uint8)
    seen = encode_fingerprints(row.tobytes() for row in prints)
    made: dict[str, Callable[[Path], Path]] = {
        "model": models.write_tiny_model,
        "model with fingerprints": lambda path: models.write_tiny_model(path, seen=seen),
    }
    return [
        _alone(name, "m.onnx", write(folder / "m.onnx").read_bytes(), reader="model", share=0.7)
        for name, write in made.items()
    ]
