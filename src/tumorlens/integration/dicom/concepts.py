"""Codes that the objects use: SNOMED CT, DICOM and UCUM where they have one, else a scheme of ours.

docs/how-to/dicom.md lists the private scheme. A code that was ever written is never given another
meaning.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tumorlens.finding import Verdict
from tumorlens.optional import load

__all__ = [
    "ABNORMAL",
    "BRAIN",
    "BRAIN_MRI",
    "COMMENT",
    "IMAGING",
    "LARGEST_EVIDENCE",
    "LONG_AXIS",
    "MILLIMETRE",
    "NEOPLASM",
    "NOT_JUDGED_SHARE",
    "NO_UNIT",
    "PRESENCE",
    "PRIVATE_SCHEME",
    "PROBABILITY",
    "RUN_LENGTH",
    "SHORT_AXIS",
    "THRESHOLD_HIGH",
    "THRESHOLD_LOW",
    "UNFAMILIAR_SHARE",
    "Concept",
    "name_class",
    "name_scheme",
]

PRIVATE_SCHEME = "99TUMORLENS"


class Concept(NamedTuple):
    """A coded concept; PS3.3, 8.

    Attributes:
        value, scheme, meaning: of the code.
    """

    value: str
    scheme: str
    meaning: str

    def to_item(self) -> Any:
        """As highdicom takes it."""
        return load("highdicom", "writing DICOM objects").sr.CodedConcept(*self)


NEOPLASM = Concept("108369006", "SCT", "Neoplasm")
ABNORMAL = Concept("49755003", "SCT", "Morphologically Abnormal Structure")
BRAIN = Concept("12738006", "SCT", "Brain")
LONG_AXIS = Concept("103339001", "SCT", "Long axis")
SHORT_AXIS = Concept("103340004", "SCT", "Short axis")
IMAGING = Concept("363679005", "SCT", "Imaging procedure")
BRAIN_MRI = Concept("24590-2", "LN", "Brain MRI")
PROBABILITY = Concept("122157", "DCM", "Probability")
COMMENT = Concept("121106", "DCM", "Comment")
MILLIMETRE = Concept("mm", "UCUM", "millimeter")
NO_UNIT = Concept("1", "UCUM", "no units")

THRESHOLD_LOW = Concept("threshold_low", PRIVATE_SCHEME, "Threshold below which no tumor is seen")
THRESHOLD_HIGH = Concept("threshold_high", PRIVATE_SCHEME, "Threshold from which a tumor is seen")
UNFAMILIAR_SHARE = Concept("unfamiliar_share", PRIVATE_SCHEME, "Share of unfamiliar tissue")
NOT_JUDGED_SHARE = Concept("not_judged_share", PRIVATE_SCHEME, "Share of slices not judged")
RUN_LENGTH = Concept("run_length", PRIVATE_SCHEME, "Length of the run of slices with evidence")
LARGEST_EVIDENCE = Concept("largest_evidence", PRIVATE_SCHEME, "Largest evidence in the region")

PRESENCE: dict[Verdict, Concept] = {
    "tumor": Concept("52101004", "SCT", "Present"),
    "no_tumor": Concept("272519000", "SCT", "Absent"),
    "uncertain": Concept("42425007", "SCT", "Equivocal"),
    "unfamiliar": Concept("unfamiliar", PRIVATE_SCHEME, "Unlike the training data: no answer"),
    "not_judged": Concept("not_judged", PRIVATE_SCHEME, "No brain is seen: not judged"),
}
"""Verdict -> the value of the evaluation that is named `NEOPLASM`."""


def name_class(name: str) -> Concept:
    """The code for the probability of one class of the model.

    A code value has at most 16 characters (VR SH). Classes of the contract are shorter, so their
    codes differ.
    """
    return Concept(f"p_{name}"[:16], PRIVATE_SCHEME, f"Probability of {name.replace('_', ' ')}")


def name_scheme() -> Any:
    """The item that says what the private scheme is."""
    schemes = load("highdicom.coding_schemes", "writing DICOM objects")
    return schemes.CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="Codes of tumorlens",
        responsible_organization="The tumorlens authors",
    )
