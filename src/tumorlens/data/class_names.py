"""What names of folders and files mean: classes, splits and patients, as people spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tumorlens.errors import UsageError

__all__ = [
    "SKIP",
    "TUMOR_CLASSES",
    "ClassNames",
    "find_meaning",
    "find_original",
    "find_patient",
    "find_split",
    "is_container",
    "spell_split",
    "squeeze",
]

TUMOR_CLASSES = ("glioma", "meningioma", "pituitary", "metastasis", "schwannoma", "lymphoma")
SKIP = "skip"
"""The meaning of a folder that holds no slices to learn from: masks, drawings."""

_SPELLINGS = {
    "tumor": (
        "yes tumor tumors tumour tumours tumorous positive braintumor braintumour braintumors "
        "braintumours withtumor withtumour"
    ),
    "no_tumor": (
        "no notumor notumors notumour notumours nontumor nontumour nontumorous withouttumor "
        "withouttumour tumorfree tumourfree nobraintumor nobraintumour normal normals "
        "normalbrain healthy healthybrain healthycontrol healthycontrols control controls negative"
    ),
    "glioma": "glioma gliomas gliomatumor gliomatumour brainglioma glioblastoma gbm hgg lgg",
    "meningioma": "meningioma meningiomas meningiomatumor meningiomatumour",
    "pituitary": (
        "pituitary pituitarytumor pituitarytumors pituitarytumour pituitarytumours pituitaryadenoma"
    ),
    "metastasis": "metastasis metastases brainmetastasis brainmetastases",
    "schwannoma": "schwannoma schwannomas vestibularschwannoma",
    "lymphoma": "lymphoma lymphomas",
}
"""Meaning -> names that people use for it, squeezed. A name that is as often something else
(``patients``, ``abnormal``, ``0``) is not among them: it has to be mapped."""

_KNOWN = {name: meaning for meaning, names in _SPELLINGS.items() for name in names.split()}

_MEANINGS = {
    "tumor": "tumor",
    "tumour": "tumor",
    "yes": "tumor",
    "notumor": "no_tumor",
    "notumour": "no_tumor",
    "no": "no_tumor",
    **{name: name for name in TUMOR_CLASSES},
}
"""Meanings that a caller may give. They are few, so that a typing error is noticed."""

_SPLITS = {
    **dict.fromkeys(("train", "training", "trainset", "trainingset", "traindata"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "validationset"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "testingset", "testdata"), "test"),
}

_CONTAINER = re.compile(
    r"(?:axial|coronal|sagittal|ax|cor|sag|augment(?:ed|ations?)|aug|originals?|raw|preprocessed"
    r"|processed|resized|cropped|enhanced|images?|imgs?|pictures?|slices?|scans?|mris?|data|dataset"
    r"|png|jpe?g|tiff?|bmp|dicom|dcm|nifti|nii|(?:fold|part|batch)\d*)+"
)
"""Names of folders, squeezed, that sort images in another way than by patient."""

_COLLECTIONS = (
    r"tcga[-_][a-z0-9]{2}[-_][a-z0-9]{4}"
    r"|brats\d\d_[a-z0-9]+_[a-z0-9]+|brats(?:\d{4})?_\d{3,5}|brats-[a-z]{3}(?:-[a-z]{2})?-\d{4,5}"
    r"|upenn-gbm-\d{5}|ucsf-pdgm-\d{4}|ixi\d{3}|oas[12]_\d{4}|oas[34]\d{4}|\d{3}_s_\d{4}"
)
"""Patients of public collections: TCGA, BraTS, UPENN-GBM, UCSF-PDGM, IXI, OASIS, ADNI."""

_WORDS = r"|(?:patient|subject|subj|case|volume)[-_ ]?\d+"
_PATIENT, _MEMBER = (
    re.compile(rf"(?<![a-z0-9])(?:{ids})(?![0-9])", re.IGNORECASE)
    for ids in (_COLLECTIONS + _WORDS, _COLLECTIONS)
)
"""Patients in names of files; the first also by words, such as ``patient_12_slice_3.png``."""

_EDITED = re.compile(r"(.+)\.rf\.[0-9a-zA-Z]{16,}\.\w+|(aug_.+_\d+)_\d{1,4}\.\w+")
"""Names that Roboflow (``y1_jpg.rf.HASH.jpg``) and Keras (``aug_y1_0_4711.jpg``) give to an image
and to each of its rotated, cropped or blurred versions."""


def squeeze(name: str) -> str:
    """``No_Tumor`` -> ``notumor``: lower case, letters and digits alone."""
    return re.sub(r"[\W_]+", "", name.casefold())


def find_split(name: str) -> str | None:
    """The split that a folder's name stands for, if any."""
    return _SPLITS.get(squeeze(name))


def spell_split(name: str) -> str:
    """A split as a manifest has it: ``Test`` and ``val`` are known words, others stay."""
    return find_split(name) or name


def find_patient(name: str, *, words: bool = True) -> str:
    """The patient that the name of a file tells, in lower case with hyphens; or nothing.

    Slices of one patient that were saved as pictures share it: they must not be parted.

    Args:
        name: of the file.
        words: not only patients of public collections.
    """
    found = (_PATIENT if words else _MEMBER).search(name)
    return re.sub(r"[_ ]", "-", found[0].casefold()) if found else ""


def find_original(name: str) -> str:
    """What files share that an augmentation made of one image, as their names tell; or nothing."""
    found = _EDITED.fullmatch(name)
    return (found[1] or found[2]) if found else ""


def is_container(name: str) -> bool:
    """Whether a folder's name says how images were made or sorted, and names no patient."""
    return bool(_CONTAINER.fullmatch(squeeze(name)))


def find_meaning(name: str) -> str | None:
    """What a word means as a class: ``tumor``, ``no_tumor`` or one of `TUMOR_CLASSES`."""
    return _KNOWN.get(squeeze(name))


class ClassNames:
    """Meanings of class folders: of the known names and of those that the caller gives.

    Args:
        given: folder name -> tumor, no_tumor, a tumor class, ``tumor:NAME`` for a class that
            tumorlens does not know, or ``skip``.

    Raises:
        UsageError: a meaning that is none of these.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        meanings = {name: _check_meaning(name, meaning) for name, meaning in given.items()}
        self._meanings = _KNOWN | {squeeze(name): value for name, value in meanings.items()}

    def find(self, name: str) -> str | None:
        """The meaning of a folder's name; None if it has none."""
        return self._meanings.get(squeeze(name))

    @staticmethod
    def label(meaning: str) -> tuple[str, str]:
        """(label, tumor class) of a meaning."""
        if meaning in ("tumor", "no_tumor"):
            return meaning, ""
        return "tumor", meaning.removeprefix("tumor:")


def _check_meaning(name: str, meaning: str) -> str:
    known = _MEANINGS.get(squeeze(meaning), meaning)
    if known in ("tumor", "no_tumor", SKIP, *TUMOR_CLASSES) or re.match(r"tumor:\w", known):
        return known
    raise UsageError(
        f"`classes=` gives {name!r} the meaning {meaning!r}; expected tumor, no_tumor, a tumor "
        f"class ({', '.join(TUMOR_CLASSES)}), tumor:NAME for another class, or {SKIP}"
    )
