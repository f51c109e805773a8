"""Public data sets for this task: their addresses, their terms and their known problems.

Pure data. It feeds ``tumorlens data list``, the names that ``--leave-out`` knows, and the tests.
"Unknown" means that we could not find it stated; look before you use a set.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SETS", "Archive", "PublicSet"]


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that can be downloaded from an address without a login.

    Attributes:
        address: http or https.
        sha256: SHA-256 of the file, in hexadecimal.
        name: name of the file on the disk.
    """

    address: str
    sha256: str
    name: str


@dataclass(frozen=True, slots=True)
class PublicSet:
    """One public set, or a collection of small ones.

    Attributes:
        title: as its authors call it.
        content: what it holds.
        home: its web page.
        terms: its licence or terms, as far as known.
        cite: how to cite it.
        problems: known faults, and what to know before using it.
        sources: values of ``source`` that stand for it in a manifest; the first is the default.
        layout: how its download is read: ``classes`` (class folders); empty if it is not.
        skipped: folders of the download that repeat others or hold something else.
        split_words: names of its public splits, kept as they are and so used only by name.
        archives: what ``data get`` fetches; empty where no plain address exists.
        advice: how to go on where the download is not read.
    """

    title: str
    content: str
    home: str
    terms: str
    cite: str
    problems: tuple[str, ...]
    sources: tuple[str, ...]
    layout: str = ""
    skipped: tuple[str, ...] = ()
    split_words: tuple[tuple[str, str], ...] = ()
    archives: tuple[Archive, ...] = ()
    advice: str = ""


_BY_HAND = "write a manifest.csv with one row a slice, then use that folder as DATA"

# Address and SHA-256 of the four archives as the project torch-em records them.
_CHENG = (
    ("1-766", 3381290, "cdac0a7f4152cb34dd79b13543da96c37a6928ad8cb823e2662150b1a73ade54"),
    ("767-1532", 3381296, "d18e896d14f7af791cdd3d9b9342f9f974742a06132effde5a5219209862b4ce"),
    ("1533-2298", 3381293, "612d9f506c55c54db5f2f38b6d50741ef97a6d7c32b3e1be76e789674a97aefb"),
    ("2299-3064", 3381302, "9a673c55d139133cfbc57097bf155b5ac9f33684ee97f40bf2afba332d416a3a"),
)

SETS: dict[str, PublicSet] = {
    "navoneel": PublicSet(
        title="Brain MRI Images for Brain Tumor Detection",
        content="253 pictures from the web: 155 with a tumor (yes), 98 without (no)",
        home="https://www.kaggle.com/datasets/navoneel/brain-mri-images-for-brain-tumor-detection",
        terms="licence unclear",
        cite="N. Chakrabarty, Brain MRI Images for Brain Tumor Detection, Kaggle, 2019",
        problems=(
            "no patient ids; 25 exact copies inside, 198 groups of near-copies",
            "248 of its 253 pictures stand in br35h too: training on one and testing on the other "
            "tests nothing",
            "size, borders and intensity alone tell the label with AUC 0.8",
            "normals hold multiple sclerosis, strokes, cysts and a CT",
        ),
        sources=("navoneel",),
        layout="classes",
        skipped=("brain_tumor_dataset",),
    ),
    "br35h": PublicSet(
        title="Br35H :: Brain Tumor Detection 2020",
        content="3,000 pictures: 1,500 with a tumor (yes), 1,500 without (no)",
        home="https://www.kaggle.com/datasets/ahmedhamada0/brain-tumor-detection",
        terms="none stated",
        cite="A. Hamada, Br35H :: Brain Tumor Detection 2020, Kaggle, 2020",
        problems=(
            "about 335 distinct pictures, copied upside-down, mirrored, sharpened, re-contrasted",
            "2,801 of its pictures show one of navoneel's",
            "no patient ids; CT heads among the normals",
        ),
        sources=("br35h",),
        layout="classes",
        skipped=("pred", "Br35H-Mask-RCNN"),
    ),
    "cheng": PublicSet(
        title="Brain tumor dataset (figshare 1512427)",
        content="3,064 T1c slices of 233 patient ids with masks: 708 meningioma, 1,426 glioma, "
        "930 pituitary; axial, coronal and sagittal",
        home="https://doi.org/10.6084/m9.figshare.1512427",
        terms="CC BY 4.0",
        cite="J. Cheng et al., Enhanced Performance of Brain Tumor Classification via Tumor Region "
        "Augmentation and Partition, PLoS ONE 10(10): e0140381, 2015, "
        "doi:10.1371/journal.pone.0140381",
        problems=(
            "no slice without a tumor",
            "ids that differ by a letter are one patient: 208 groups",
            "neighbouring slices of one patient: split by patient only",
            "a few masks are doubtful",
        ),
        sources=("cheng",),
        archives=tuple(
            Archive(
                f"https://ndownloader.figshare.com/files/{number}",
                sha256,
                f"brainTumorDataPublic_{part}.zip",
            )
            for part, number, sha256 in _CHENG
        ),
        advice="its slices are MATLAB 7.3 files (.mat), which tumorlens does not read: save image, "
        "mask, label and patient id (cjdata) as PNG, and " + _BY_HAND,
    ),
    "tcga_lgg": PublicSet(
        title="LGG MRI Segmentation (TCGA-LGG)",
        content="slices of 110 patients with lower-grade glioma, with masks: FLAIR, and mostly T1 "
        "before and after contrast",
        home="https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
        terms="CC BY-NC-SA 4.0: non-commercial",
        cite="M. Buda et al., Association of genomic subtypes of lower-grade gliomas with shape "
        "features automatically extracted by a deep learning algorithm, Computers in Biology and "
        "Medicine 109, 2019, doi:10.1016/j.compbiomed.2019.05.002",
        problems=(
            "normals are slices of the same patients as tumors: not healthy people",
            "position in the head alone tells the label: compare at the same level",
            "masks follow FLAIR; on T1 and T1c the lesion is often invisible",
            "three patients have a grey background on T1; many end slices are cut off",
        ),
        sources=("tcga_lgg",),
        advice="three sequences share one colour picture and labels are in masks: " + _BY_HAND,
    ),
    "nickparvar": PublicSet(
        title="Brain Tumor MRI Dataset",
        content="7,023 pictures in Training and Testing: glioma, meningioma, pituitary, no tumor",
        home="https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset",
        terms="as far as known, those of the sets that it re-packs",
        cite="M. Nickparvar, Brain Tumor MRI Dataset, Kaggle, 2021, "
        "doi:10.34740/kaggle/dsv/2645886",
        problems=(
            "re-packs cheng, br35h and another set; patient ids are lost",
            "of 1,311 Testing pictures 1,301 share a patient or a near-copy with Training: the "
            "public split measures memory",
            "tumors are post-contrast T1 of one hospital, normals are from the web: the source "
            "tells the label, with AUC 0.98 from size, borders and intensity alone",
            "four meningiomas are filed as pituitary; CT heads among the normals",
        ),
        sources=("nickparvar", "nickparvar_web"),
        layout="classes",
        split_words=(("train", "Training"), ("test", "Testing")),
    ),
    "ms_iran": PublicSet(
        title="MRI of people with multiple sclerosis from a hospital in Iran",
        content="FLAIR, T1 and T2 with skull; 510 slices of 9 people in our reading",
        home="a public repository; address unknown to us",
        terms="MIT (repository)",
        cite="unknown",
        problems=("no tumors, and lesions that look like some", "few people"),
        sources=("ms_iran",),
        advice=_BY_HAND,
    ),
    "oasis": PublicSet(
        title="OASIS, as slices of people with and without dementia",
        content="600 T1 slices of older adults in our reading, brains cut out",
        home="https://www.oasis-brains.org, re-packed on Kaggle by stage of dementia",
        terms="ODbL (the re-pack); OASIS asks for its own terms",
        cite="D. S. Marcus et al., Open Access Series of Imaging Studies (OASIS), Journal of "
        "Cognitive Neuroscience 19(9), 2007, doi:10.1162/jocn.2007.19.9.1498",
        problems=("patients unknown: groups join near-copies only", "no tumors, no skulls"),
        sources=("oasis",),
        advice=_BY_HAND,
    ),
    "healthy": PublicSet(
        title="Healthy people from four collections",
        content="T1, T2 and FLAIR of 152 people in our reading: OpenNeuro ds000011 and ds002748, "
        "PTBP, demo subjects of software",
        home="https://openneuro.org (ds000011, ds002748); PTBP: see its paper",
        terms="PDDL (ds000011), CC0 (ds002748), CC BY 4.0 as far as known (ptbp), mixed, one "
        "CC BY-NC (demo_subjects)",
        cite="OpenNeuro by accession number; PTBP: B. B. Avants et al., The pediatric template of "
        "brain perfusion, Scientific Data 2: 150003, 2015, doi:10.1038/sdata.2015.3",
        problems=(
            "ds002748 has brains cut out, the others skulls",
            "ptbp: children, three nearly equal levels a person; neighbouring ids are often one "
            "child scanned again: 60 ids show about 39 heads",
            "no post-contrast T1",
        ),
        sources=("ds000011", "ds002748", "ptbp", "demo_subjects"),
        advice="`tumorlens split FOLDER` reads BIDS trees; set the label, as it is not in the "
        "files; or " + _BY_HAND,
    ),
    "look_alikes": PublicSet(
        title="Lesions that are no tumors",
        content="multiple sclerosis (ms_iran_2, msseg), stroke, white-matter disease (wmh_ibbm): "
        "25 people in our reading; FLAIR, T1, T2",
        home="MSSEG 2016 and ATLAS R2.0: on request from their organisers; others unknown to us",
        terms="MIT (ms_iran_2); research only (msseg, part of stroke); wmh_ibbm probably "
        "non-commercial",
        cite="MSSEG: O. Commowick et al., Scientific Reports 8: 13650, 2018, "
        "doi:10.1038/s41598-018-31911-7; ATLAS: S.-L. Liew et al., Scientific Data 9: 320, 2022, "
        "doi:10.1038/s41597-022-01401-7",
        problems=(
            "no tumor is not healthy: an alarm here is a confusion, not noise",
            "msseg: left and right unknown",
            "two stroke series may be one person",
        ),
        sources=("ms_iran_2", "msseg", "stroke", "wmh_ibbm"),
        advice=_BY_HAND,
    ),
    "tumors_elsewhere": PublicSet(
        title="Tumors from other hospitals",
        content="gliomas (btp, qin_dsc, rembrandt, utsw_glioma) and a schwannoma (vs_seg): 55 "
        "people in our reading; T1c, FLAIR, T2",
        home="https://www.cancerimagingarchive.net: Brain-Tumor-Progression, QIN-BRAIN-DSC-MRI, "
        "REMBRANDT, Vestibular-Schwannoma-SEG, UTSW-Glioma",
        terms="CC BY 3.0 or 4.0 as far as known",
        cite="each collection as its page says, and K. Clark et al., The Cancer Imaging Archive, "
        "Journal of Digital Imaging 26, 2013, doi:10.1007/s10278-013-9622-7",
        problems=(
            "btp and qin_dsc are of one hospital: keep both on one side of a split",
            "btp: after surgery and chemoradiation; its mask is the enhancing part only",
            "rembrandt and vs_seg: masks by threshold, checked by eye; few people",
        ),
        sources=("btp", "qin_dsc", "rembrandt", "vs_seg", "utsw_glioma"),
        advice=_BY_HAND,
    ),
}
"""Name, as in ``data add NAME``, -> set."""
