"""What a new object takes over from its source: patient, study, equipment; PS3.3, C.7.

Only what the standard asks of every object of a study is copied, and what tells patient and study
apart. An attribute that must be there but may be empty (type 2) is written empty where the source
lacks it, or holds a value that the standard forbids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tumorlens.finding import RESEARCH_USE
from tumorlens.imaging.dicom.elements import read_text
from tumorlens.imaging.files.contents import DRAWN_BY
from tumorlens.optional import load
from tumorlens.version import __version__

__all__ = [
    "Header",
    "Identity",
    "Maker",
    "copy_attributes",
    "describe_equipment",
    "mark_object",
    "pick_attributes",
]

_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
"""Type 2 of the modules Patient and General Study."""

_PATIENT = (
    *("IssuerOfPatientID", "TypeOfPatientID", "OtherPatientIDs"),
    *("OtherPatientNames", "PatientBirthTime", "EthnicGroup", "PatientComments"),
    *("PatientSpeciesDescription", "ResponsiblePerson", "ResponsibleOrganization"),
    *("StudyDescription", "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord"),
    *("PatientAge", "PatientSize", "PatientWeight", "Occupation", "AdditionalPatientHistory"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName"),
    *("ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID"),
    *("ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID"),
    *("ClinicalTrialTimePointDescription", "PatientIdentityRemoved", "DeidentificationMethod"),
)
"""Of the modules Patient, General Study, Patient Study, Clinical Trial, where they are stated."""

_UTF_8 = "ISO_IR 192"
"""Character set of all objects: source files use sets that highdicom does not take, or lie."""
_LATIN = ("", "ISO_IR 6", "ISO_IR 100")
_EQUIPMENT = (
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions"),
    *("DeviceSerialNumber", "StationName", "InstitutionName", "InstitutionalDepartmentName"),
)
_NAMELESS_EQUIPMENT = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")

_STUDY = ("StudyInstanceUID", "SeriesInstanceUID")
_HOW = ("Modality", "LossyImageCompressionRatio", "LossyImageCompressionMethod")

_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_DEIDENTIFIED = "tumorlens: names, IDs and dates left out; UIDs kept"


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes an object: tumorlens and a model.

    Attributes:
        model: full name of the model, with its version.
        sha256: of the model file.
    """

    model: str
    sha256: str

    def split(self) -> tuple[str, str]:
        """Name and version of the model."""
        name, _, version = self.model.rpartition(" ")
        return (name, version) if name else (version, __version__)

    def to_keywords(self) -> dict[str, str]:
        """As highdicom's constructors take it."""
        return {
            "manufacturer": DRAWN_BY,  # by which a reader knows that it is no scan
            "manufacturer_model_name": self.model[:64],
            "software_versions": __version__,
            "device_serial_number": self.sha256[:16],
        }


@dataclass(frozen=True, slots=True)
class Identity:
    """What an object is called.

    Attributes:
        instance, series: UIDs, new ones.
        number: of its series in the study.
        description: of its series, at most 64 characters.
    """

    instance: str
    series: str
    number: int
    description: str

    def to_keywords(self) -> dict[str, Any]:
        """As highdicom's constructors take it."""
        return {
            "sop_instance_uid": self.instance,
            "series_instance_uid": self.series,
            "series_number": self.number,
            "series_description": self.description[:64],
            "instance_number": 1,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """What every kind of object begins with.

    Attributes:
        common: attributes that it takes over; see `copy_attributes`.
        identity: of the object.
        maker: the model.
        equipment: items of Contributing Equipment; see `describe_equipment`.
    """

    common: Any
    identity: Identity
    maker: Maker
    equipment: Sequence[Any]

    def to_keywords(self) -> dict[str, Any]:
        """As highdicom's constructors take it, all but ``common``."""
        return {
            "contributing_equipment": list(self.equipment),
            **self.identity.to_keywords(),
            **self.maker.to_keywords(),
        }


def pick_attributes(source: Any) -> Any:
    """What an object may take over, and what says how the source was made, without the rest.

    A run may keep it for thousands of series: headers of enhanced objects have megabytes.
    """
    from pydicom.dataset import Dataset

    picked = Dataset()
    for keyword in (*_STUDY, *_EMPTY, *_PATIENT, *_EQUIPMENT, *_HOW):
        element = _find(source, keyword)
        if element is not None:
            names = element.VR == "PN"
            value = _read_names(element.value, source) if names else element.value
            picked.add_new(element.tag, element.VR, value)
    picked.SpecificCharacterSet = _UTF_8
    return picked


def _read_names(value: Any, source: Any) -> Any:
    """Names as text: pydicom keeps their bytes, which belong to the source's character set.

    Many programs write UTF-8 and do not say so. Names in Latin letters are not UTF-8 by chance.
    """
    from pydicom.multival import MultiValue

    is_latin = read_text(source, "SpecificCharacterSet") in _LATIN

    def read(name: Any) -> str:
        stored = getattr(name, "original_string", "")
        if is_latin and isinstance(stored, bytes) and not stored.isascii():
            with suppress(UnicodeDecodeError):
                return stored.decode()
        return str(name)

    return [*map(read, value)] if isinstance(value, MultiValue) else read(value)


def copy_attributes(source: Any, *, deidentified: bool) -> tuple[Any, list[str]]:
    """A data set with what every object of the study bears.

    Args:
        source: as `pick_attributes` gives it.
        deidentified: leave out what names the patient, the visit or the people around.

    Returns:
        It, and what was left empty though the source states it, a phrase each.
    """
    from pydicom.dataset import Dataset

    copied, told = Dataset(), list[str]()
    copied.SpecificCharacterSet = _UTF_8
    for keyword in () if deidentified else (*_EMPTY, *_PATIENT):
        element = _find(source, keyword)
        if element is None:
            continue
        if _is_sound(keyword, source):
            copied.add(element)
        else:
            left = "empty" if keyword in _EMPTY else "out"
            told.append(f"{keyword} holds a value that the standard forbids: left {left}")
    for keyword in _EMPTY:
        if keyword not in copied:
            setattr(copied, keyword, "")
    if copied.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in copied:
        copied.DeidentificationMethod = "as the source images say"
    if deidentified:
        copied.PatientIdentityRemoved = "YES"
        copied.DeidentificationMethod = _DEIDENTIFIED
    return copied, told


def _find(source: Any, keyword: str) -> Any:
    """An element that holds something; None where it cannot be read."""
    try:
        element = source[keyword]
        empty = element.VR != "SQ" and element.value in (None, "", [])
    except Exception:  # absent, or broken: any converter may fail
        return None
    return None if empty else element


def _is_sound(keyword: str, source: Any) -> bool:
    text = read_text(source, keyword)
    if keyword.endswith("Date"):
        return _is_date(text)
    if keyword.endswith("Time"):
        return _TIME.fullmatch(text) is not None
    if keyword == "PatientSex":
        return text in ("M", "F", "O")
    if keyword == "PatientAge":
        return re.fullmatch(r"\d{3}[DWMY]", text) is not None
    return True


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(datetime.strptime(text, "%Y%m%d"))
    except ValueError:
        return False


def describe_equipment(source: Any, *, deidentified: bool) -> list[Any]:
    """Items of Contributing Equipment: the scanner, and what the source itself names.

    Args:
        source: as `pick_attributes` gives it.
        deidentified: leave out institution, station and serial number.
    """
    hd = load("highdicom", "writing DICOM objects")
    kept = _NAMELESS_EQUIPMENT if deidentified else _EQUIPMENT
    stated = {keyword: read_text(source, keyword) for keyword in kept}
    if not stated["Manufacturer"]:
        return []
    names = {
        "ManufacturerModelName": "manufacturer_model_name",
        "SoftwareVersions": "software_versions",
        "DeviceSerialNumber": "device_serial_number",
        "StationName": "station_name",
        "InstitutionName": "institution_name",
        "InstitutionalDepartmentName": "institutional_department_name",
    }
    told = {names[key]: text for key, text in stated.items() if key in names and text}
    if "station_name" in told:
        told["station_name"] = told["station_name"][:16]
    scanner = hd.ContributingEquipment(
        stated["Manufacturer"],
        hd.sr.CodedConcept("109101", "DCM", "Acquisition Equipment"),
        contribution_description="Acquisition of the source images",
        **told,
    )
    return [scanner]


def mark_object(made: Any, maker: Maker, notes: Sequence[str] = ()) -> None:
    """Say in an object that it is for research only, and what made it.

    Args:
        made: an object of highdicom's, changed in place.
        maker: the model.
        notes: sentences that follow, e.g. what the reader doubts.
    """
    text = " ".join((RESEARCH_USE, f"Made by {maker.model}.", *notes))
    made.ImageComments = text[:1024]
