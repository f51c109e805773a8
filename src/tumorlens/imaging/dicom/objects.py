"""DICOM objects: whether they show a picture, and how many."""

from __future__ import annotations

from tumorlens.imaging.dicom.elements import (
    LONGEST_TEXT,
    DataSet,
    count_items,
    read_floats,
    read_text,
    read_words,
)
from tumorlens.imaging.files.contents import DRAWN, DRAWN_BY

__all__ = ["count_frames", "explain_no_picture", "is_cut_short", "is_mosaic", "may_be_image"]

_NO_PICTURES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
}
"""SOP classes that store pixels which are no picture; PS3.4, B.5."""

_MOSAICS = {"MOSAIC", "GRID", "VFRAME"}
"""Words of Image Type that say that many slices lie side by side in one picture."""

_CREATORS = {
    0x0019: ("SIEMENS MR HEADER",),
    0x0065: ("", "IMAGE PRIVATE HEADER", "UIH"),
}
"""Who makes mosaics: of each private group, its creators. United Imaging alone has 0065."""

_TILES = [
    (group, block << 8 | element)
    for block in range(0x10, 0x18)  # a creator takes the first that is free
    for group, element in ((0x0019, 0x0A), (0x0065, 0x50))
]
"""Where their number of slices may stand."""


def explain_no_picture(dataset: DataSet) -> str:
    """Why an object shows no picture, in a phrase; empty if it may show one."""
    if not len(dataset):
        return "is a DICOM file that is cut short"
    name, content = _name_class(dataset), _name_content(dataset)
    if content:
        return f"is {content}, no picture"
    if is_mosaic(dataset):
        count = _count_tiles(dataset)
        return f"is a mosaic of {f'{count} slices' if count else 'many slices'} in one picture"
    if "Rows" in dataset and "Columns" in dataset:
        return ""
    if "EncryptedAttributesSequence" in dataset:
        return "has its content encrypted"
    kind = "has no pixels" if "Image Storage" in name else "is a DICOM object without a picture"
    return f"{kind} ({name or 'no class stated'})"


def _name_content(dataset: DataSet) -> str:
    """What pixels that are no scan show; empty if they may be one."""
    if read_text(dataset, "Manufacturer") == DRAWN_BY:
        return DRAWN
    if read_floats(dataset, "BitsAllocated", 1) == (1.0,):
        return "a mask of one bit a pixel"
    return _NO_PICTURES.get(read_text(dataset, "SOPClassUID"), "")


def is_cut_short(dataset: DataSet) -> bool:
    """Whether the header ends before it says how large its picture is; some have none to say."""
    sized = "Rows" in dataset and "Columns" in dataset
    return not sized and (not len(dataset) or "Image Storage" in _name_class(dataset))


def may_be_image(dataset: DataSet) -> bool:
    """Whether the class is one of images, or is not known."""
    name = _name_class(dataset)
    return "Image Storage" in name or name == read_text(dataset, "SOPClassUID")


def is_mosaic(dataset: DataSet) -> bool:
    """Whether many slices lie side by side in its one picture."""
    return count_frames(dataset) == 1 and _count_tiles(dataset) != 1


def _name_class(dataset: DataSet) -> str:
    return " ".join(getattr(dataset.get("SOPClassUID"), "name", "").split())[:LONGEST_TEXT]


def count_frames(dataset: DataSet) -> int:
    """Number of Frames; where it says nothing, that of the groups of frames, or 1."""
    number = read_floats(dataset, "NumberOfFrames", 1)
    if number and number[0] >= 1:
        return int(number[0])
    return max(1, count_items(dataset, "PerFrameFunctionalGroupsSequence"))


def _count_tiles(dataset: DataSet) -> int:
    """Slices that lie side by side in one picture: 1 as a rule, 0 if it is not said how many."""
    for tag in filter(dataset.__contains__, _TILES):
        creator = read_text(dataset, (tag[0], tag[1] >> 8)).upper()
        tiles = read_floats(dataset, tag, 1)
        if tiles and tiles[0] > 1 and creator in _CREATORS[tag[0]]:
            return int(tiles[0])
    words = {word.strip().upper() for word in read_words(dataset, "ImageType")}
    return 0 if words & _MOSAICS else 1
