"""What a header says against an MRI of the head becomes a note of the slice."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

import builders
from tumorlens.imaging.readers import read_slices

PIXELS = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40)
CT, PET, ENHANCED_CT = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.128",
    ("1.2.840.10008.5.1.4.1.1.2.1"),
)


def notes_of(tmp_path, **elements):
    (slice_,) = read_slices(builders.write_dicom(tmp_path / "a", PIXELS, **elements))
    return slice_.info.notes


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"Modality": "CT", "SOPClassUID": CT}, "modality CT, not MR"),
        ({"Modality": "", "SOPClassUID": CT}, "modality CT, not MR"),
        ({"Modality": None, "SOPClassUID": ENHANCED_CT}, "modality CT, not MR"),
        ({"Modality": "MR", "SOPClassUID": CT}, "modality CT, not MR"),
        ({"Modality": "PT", "SOPClassUID": PET}, "modality PET, not MR"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "a phase map"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]}, "a phase map"),
        ({"ComplexImageComponent": "PHASE"}, "a phase map"),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND"]}, "an ADC map"),
        ({"SeriesDescription": "ep2d_diff_ADC_DFC"}, "an ADC map"),
        ({"SeriesDescription": "Apparent Diffusion Coefficient (mm2/s)"}, "an ADC map"),
        ({"BodyPartExamined": "KNEE"}, "body part KNEE, not the head"),
        ({"BodyPartExamined": "HEART"}, "body part HEART, not the head"),
    ],
)
def test_what_speaks_against_a_brain_mri_is_named(tmp_path, elements, note):
    (said,) = notes_of(tmp_path, **elements)
    assert said.startswith(note)


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]},
        {"ImageType": ["DERIVED", "SECONDARY", "P"][:2]},
        {"ImageType": "ORIGINAL"},
        {"BodyPartExamined": "HEADNECK"},
        {"BodyPartExamined": "BRAIN"},
        {"BodyPartExamined": "KOPF"},
        {"BodyPartExamined": "EAR"},
        {"BodyPartExamined": "UNKNOWN"},
        {"SeriesDescription": "t1_headcoil"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    ],
)
def test_a_plain_mri_of_the_head_has_no_note(tmp_path, elements):
    assert notes_of(tmp_path, **elements) == ()


def test_enhanced_frames_say_it_in_their_groups():
    kind, frame, region, anatomy = Dataset(), Dataset(), Dataset(), Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "ADC"]
    region.CodeMeaning = "Knee joint"
    anatomy.AnatomicRegionSequence = [region]
    frame.MRImageFrameTypeSequence, frame.FrameAnatomySequence = [kind], [anatomy]
    dataset = builders.make_dataset(PIXELS, PerFrameFunctionalGroupsSequence=[frame])
    (slice_,) = read_slices_of(dataset)
    assert [note.split(",")[0] for note in slice_.info.notes] == [
        "an ADC map",
        "body part Knee joint",
    ]


def read_slices_of(dataset):
    from tumorlens.imaging.readers import read_object

    return read_object(dataset)
