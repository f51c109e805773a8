"""Paint synthetic lesions into MRI slices that may be redistributed, and write examples/.

    make examples          # or: python examples/paint_lesions.py [FOLDER]

The slices are two: axial levels of the MNI ICBM 152 template (from nilearn) and the sagittal head
that matplotlib ships as sample data. A lesion has an irregular outline, an enhancing rim, a core
and an edema that follows the white matter, and it pushes the tissue around it outward. It is a
picture for demonstrations: it was not fitted to any tumor and proves nothing about a detector.
README.md in this folder names the sources and their terms.

Every random number comes from a seed written below, so that a run repeats the last one.
"""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Image = npt.NDArray[np.float64]
"""(H, W), 0 for air to 1 for the brightest tissue."""

EMPTY = (
    *("PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"),
    *("PositionReferenceIndicator", "ScanOptions", "EchoTime", "RepetitionTime"),
)
"""What an MR image has to state, but may leave empty; PS3.3, A.4."""

NOISE = 0.012
"""Standard deviation of the scanner noise, as a share of the brightest tissue."""


@dataclass(frozen=True)
class Tissue:
    """One slice in parts, each (H, W) and 0 to 1.

    Attributes:
        t1: the slice as a T1-weighted picture.
        white: share of white matter.
        grey: share of grey matter.
        brain: where lesions and noise may go.
    """

    t1: Image
    white: Image
    grey: Image
    brain: Image

    @property
    def fluid(self) -> Image:
        """Share of cerebrospinal fluid: the brain that is neither white nor grey."""
        return np.clip(self.brain - self.white - self.grey, 0, 1)


@dataclass(frozen=True)
class Lesion:
    """A lesion: where, how large, and how bright its parts are.

    Attributes:
        row, column: center, in pixels.
        radius: mean radius of the outline, in pixels.
        rim, core: brightness of the enhancing rim and of what it encloses.
        edema: brightness that swollen tissue tends to.
        edema_reach: how far the edema reaches, in radii from the center.
        rim_width: width of the rim, in radii; 1 makes a lesion that enhances as a whole.
        push: how far the tissue at the outline was displaced, in pixels.
        seed: of the outline and the texture.
    """

    row: float
    column: float
    radius: float
    rim: float
    core: float
    edema: float
    edema_reach: float = 2.4
    rim_width: float = 0.28
    push: float = 4.0
    seed: int = 0


def paint(picture: Image, tissue: Tissue, lesion: Lesion) -> Image:
    """The picture with the lesion in it: tissue pushed aside, edema, rim and core."""
    random = np.random.default_rng(lesion.seed)
    moved = push_aside(picture, lesion)
    white = push_aside(tissue.white, lesion)
    brain = push_aside(tissue.brain, lesion)
    depth = measure_depth(picture.shape, lesion, random)
    moved = blend(moved, lesion.edema, 0.7 * spread_edema(depth, white, lesion, random) * brain)
    texture = 1 + 0.07 * smooth_noise(picture.shape, 2.5, random)
    inside = soft_step(1 - depth, 0.15)
    moved = blend(moved, lesion.core * texture, inside * brain)
    return blend(moved, lesion.rim * texture, draw_rim(depth, lesion, random) * brain)


def blend(picture: Image, value: float | Image, weight: Image) -> Image:
    """``value`` where the weight is 1, ``picture`` where it is 0."""
    return picture * (1 - weight) + value * weight


def push_aside(picture: Image, lesion: Lesion) -> Image:
    """Move what lies around the lesion outward, less and less over three radii."""
    row, column = np.indices(picture.shape, dtype=float)
    down, right = row - lesion.row, column - lesion.column
    distance = np.hypot(down, right) + 1e-9
    reach = np.exp(-0.5 * ((distance - lesion.radius).clip(0) / lesion.radius) ** 2)
    # Never back past the center: inside the outline the shift shrinks with the distance.
    shift = lesion.push * reach * np.minimum(1, distance / lesion.radius)
    source = [row - down / distance * shift, column - right / distance * shift]
    return np.asarray(ndimage.map_coordinates(picture, source, order=1, mode="nearest"))


def measure_depth(shape: tuple[int, ...], lesion: Lesion, random: np.random.Generator) -> Image:
    """Distance from the center in units of the outline's own radius: 1 on the outline."""
    row, column = np.indices(shape, dtype=float)
    down, right = row - lesion.row, column - lesion.column
    angle = np.arctan2(down, right)
    outline = np.ones(shape)
    for wave in range(2, 7):
        outline += random.normal(0, 0.16 / wave) * np.cos(wave * angle + random.uniform(0, 7))
    outline += 0.05 * smooth_noise(shape, 3.0, random)
    return np.asarray(np.hypot(down, right) / (lesion.radius * outline))


def spread_edema(depth: Image, white: Image, lesion: Lesion, random: np.random.Generator) -> Image:
    """0 to 1: swelling around the outline that runs along white matter and spares the cortex."""
    follows = 0.25 + 0.75 * ndimage.gaussian_filter(white, 1.5)
    reach = lesion.edema_reach * follows * (1 + 0.18 * smooth_noise(depth.shape, 6.0, random))
    return soft_step(reach - depth, 0.7)


def draw_rim(depth: Image, lesion: Lesion, random: np.random.Generator) -> Image:
    """0 to 1: a band of uneven width on the inner side of the outline."""
    width = lesion.rim_width * (1 + 0.45 * smooth_noise(depth.shape, 5.0, random))
    return soft_step(1 - depth, 0.14) * soft_step(depth - (1 - width), 0.16)


def soft_step(value: Image, width: float) -> Image:
    """0 far below zero, 1 far above, with a slope of the given width."""
    return np.asarray(1 / (1 + np.exp(-np.clip(value / width * 4, -60, 60))))


def smooth_noise(shape: tuple[int, ...], scale: float, random: np.random.Generator) -> Image:
    """Noise of unit variance with structures of about ``scale`` pixels."""
    noise = ndimage.gaussian_filter(random.normal(size=shape), scale)
    return np.asarray(noise / noise.std())


def add_scanner_noise(picture: Image, seed: int) -> Image:
    """Rician noise (Gudbjartsson and Patz, Magn Reson Med 1995): that of a magnitude picture."""
    random = np.random.default_rng(seed)
    real = picture + random.normal(0, NOISE, picture.shape)
    return np.hypot(real, random.normal(0, NOISE, picture.shape))


def shade_t2(tissue: Tissue) -> Image:
    """T2 weighting from tissue shares: fluid bright, grey matter over white matter."""
    return np.asarray(0.34 * tissue.white + 0.52 * tissue.grey + 0.95 * tissue.fluid)


def shade_flair(tissue: Tissue) -> Image:
    """FLAIR from tissue shares: as T2, the fluid nulled."""
    return np.asarray(0.42 * tissue.white + 0.55 * tissue.grey + 0.12 * tissue.fluid)


def read_template(level_mm: int) -> Tissue:
    """The axial slice of the MNI template at a height of ``level_mm``, in radiological display."""
    import nibabel
    from nilearn import datasets

    def cut(image: nibabel.Nifti1Image) -> Image:
        index = round((level_mm - image.affine[2, 3]) / image.affine[2, 2])
        plane = np.asarray(image.dataobj[:, :, index], dtype=float)
        return np.pad(plane[::-1, ::-1].T, 12)  # RAS to rows front to back, columns right to left

    t1 = cut(datasets.load_mni152_template(resolution=1))
    white = cut(datasets.load_mni152_wm_template(resolution=1))
    grey = cut(datasets.load_mni152_gm_template(resolution=1))
    brain = ndimage.gaussian_filter((t1 > 0.02).astype(float), 0.7)
    return Tissue(t1=t1 * 0.8, white=white, grey=grey, brain=brain)


def read_head() -> Tissue:
    """The sagittal head of matplotlib's sample data (256 × 256, unsigned 16 bits)."""
    from matplotlib import cbook

    path = cbook.get_sample_data("s1045.ima.gz", asfileobj=False)
    raw = gzip.decompress(Path(path).read_bytes())
    t1 = np.frombuffer(raw, "<u2").reshape(256, 256).astype(float)
    t1 = t1 / t1.max() * 0.85
    row, column = np.indices(t1.shape, dtype=float)
    # An ellipse drawn by eye inside the skull; the bright rest of the head is no white matter.
    inside = ((row - 82) / 55) ** 2 + ((column - 112) / 70) ** 2 < 1
    brain = ndimage.gaussian_filter(inside.astype(float), 2)
    return Tissue(t1=t1, white=np.clip((t1 - 0.5) / 0.12, 0, 1) * brain, grey=brain, brain=brain)


RING = Lesion(92, 82, 17, rim=0.93, core=0.24, edema=0.40, seed=3)
GLIOMA_T2 = Lesion(104, 148, 19, rim=0.66, core=0.80, edema=0.74, rim_width=0.2, seed=5)
GLIOMA_FLAIR = Lesion(100, 142, 18, rim=0.84, core=0.66, edema=0.80, edema_reach=2.2, seed=8)
SOLID = Lesion(54, 100, 15, rim=0.92, core=0.90, edema=0.46, rim_width=1, edema_reach=1.9, seed=11)


def paint_examples() -> dict[str, Image]:
    """File stem -> picture, 0 to 1. A painted one says ``synthetic_lesion`` in its name."""
    low, middle, high = read_template(2), read_template(22), read_template(36)
    head = read_head()
    pictures = {
        "t1_axial_normal": low.t1,
        "t2_axial_normal": shade_t2(low),
        "t1c_axial_synthetic_lesion": paint(middle.t1, middle, RING),
        "t2_axial_synthetic_lesion": paint(shade_t2(middle), middle, GLIOMA_T2),
        "flair_axial_synthetic_lesion": paint(shade_flair(high), high, GLIOMA_FLAIR),
        "t1_sagittal_normal": head.t1,
        "t1c_sagittal_synthetic_lesion": paint(head.t1, head, SOLID),
    }
    return {
        name: np.clip(add_scanner_noise(picture, seed), 0, 1)
        for seed, (name, picture) in enumerate(pictures.items())
    }


def write_png(picture: Image, path: Path) -> None:
    """8 bits, as a viewer would export it."""
    from PIL import Image as Pictures

    Pictures.fromarray(np.round(picture * 255).astype(np.uint8)).save(path, optimize=True)


def write_nifti(picture: Image, path: Path) -> None:
    """One axial slice of 1 × 1 mm, 5 mm thick, in RAS order."""
    import nibabel

    values = np.round(picture * 255).astype(np.uint8)
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    image = nibabel.Nifti1Image(values.T[::-1, ::-1, None], affine)
    image.header.set_xyzt_units("mm", "sec")
    # Compressed by hand: a fixed time stamp keeps the file the same from run to run.
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))


def write_dicom(picture: Image, path: Path) -> None:
    """One MR image with the attributes that a reader needs, and no person behind it."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["tumorlens example", "image"])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["tumorlens example", "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["tumorlens example", "series"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["tumorlens example", "place"])
    dataset.PatientName, dataset.PatientID = "SYNTHETIC^LESION", "SYNTHETIC"
    for keyword in EMPTY:
        setattr(dataset, keyword, "")
    dataset.PatientSex, dataset.PatientPosition = "O", "HFS"
    dataset.StudyDate, dataset.StudyTime, dataset.SeriesNumber = "20260101", "120000", 1
    dataset.ImageType, dataset.BodyPartExamined = ["DERIVED", "SECONDARY", "OTHER"], "BRAIN"
    dataset.Manufacturer, dataset.BurnedInAnnotation = "examples/paint_lesions.py", "NO"
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"
    dataset.MRAcquisitionType, dataset.EchoTrainLength = "2D", 1
    dataset.StudyID = "1"
    dataset.Modality, dataset.SeriesDescription = "MR", "T1 synthetic lesion"
    dataset.InstanceNumber = 1
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [-picture.shape[1] / 2, -picture.shape[0] / 2, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 5
    dataset.Rows, dataset.Columns = picture.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.round(picture * 4095).astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def main(folder: Path) -> None:
    """Write every example into ``folder``."""
    pictures = paint_examples()
    for name, picture in pictures.items():
        write_png(picture, folder / f"{name}.png")
    shared = "t1c_axial_synthetic_lesion"
    write_nifti(pictures[shared], folder / f"{shared}.nii.gz")
    write_dicom(pictures[shared], folder / f"{shared}.dcm")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
