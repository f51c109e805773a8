"""The order of a series comes from places, compared with a tolerance, never rounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

import builders
from tumorlens.imaging.readers import read_slices
from tumorlens.imaging.series.clusters import number_passes

RANDOM = np.random.default_rng(3)
# Slices foot to head, on a ramp, so that none is blank.
HEAD = builders.paint_head((24, 28, 12)).transpose(2, 1, 0) + np.arange(24, dtype=np.uint16)
TURN = 0.125  # as sines, at a border of two decimals


def write(folder: Path, name: str, pixels, position, cosines=builders.AXIAL, **elements) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    place = {"ImagePositionPatient": list(position), "ImageOrientationPatient": list(cosines)}
    builders.write_dicom(folder / name, pixels, **{"PixelSpacing": [1, 1], **place, **elements})


def turn(sine: float) -> list[float]:
    cosine = np.sqrt(1 - sine**2)
    return [cosine, sine, 0, -sine, cosine, 0]


def positions(folder: Path) -> list[float]:
    return [one.info.position_mm for one in read_slices(folder)]


@pytest.mark.parametrize("border", [0.005, TURN, 0.335])
@pytest.mark.parametrize("sway", [2e-6, 1e-4])
def test_cosines_that_sway_at_a_rounding_border_are_one_orientation(tmp_path, border, sway):
    signs = RANDOM.choice([-sway, sway], len(HEAD))
    for index, sign in enumerate(signs):
        number = {"InstanceNumber": index + 1}
        write(tmp_path, f"{index}", HEAD[index], (0, 0, 5 * index), turn(border + sign), **number)
    assert positions(tmp_path) == [5.0 * index for index in range(len(HEAD))]


def test_slices_halfway_between_two_planes_are_all_shown_alike(tmp_path):
    """At 45 degrees the last decimals choose between coronal and axial display."""
    for index, pixels in enumerate(HEAD):
        angle = np.radians(45) + (-1) ** index * 1e-6
        cosines = [1, 0, 0, 0, np.cos(angle), np.sin(angle)]
        normal = np.array((0, -np.sin(angle), np.cos(angle)))
        write(tmp_path, f"{index}", pixels, 5 * index * normal, cosines, InstanceNumber=index)
    slices = list(read_slices(tmp_path))
    assert len({(one.info.plane, one.info.sides_known) for one in slices}) == 1
    stored = [HEAD[int(Path(one.info.path).name)] for one in slices]
    turned = np.array_equal(slices[0].pixels, stored[0][::-1])
    for one, pixels in zip(slices, stored, strict=True):
        np.testing.assert_array_equal(one.pixels, pixels[::-1] if turned else pixels)
    assert np.abs(np.diff([one.info.position_mm for one in slices])) == pytest.approx(5, abs=1e-3)


@pytest.mark.parametrize("keyed", [True, False])
def test_time_points_whose_positions_sway_stay_apart(tmp_path, keyed):
    """At 2.005 mm and its like, rounding puts one place of two time points to two places."""
    for index in range(10):
        for time in range(2):
            sway = (-1) ** (index + time) * 1e-6
            place = (0, 0, 2.005 + 5 * index + sway)
            elements = {"TemporalPositionIdentifier": time + 1} if keyed else {}
            number = 2 * index + time + 1
            write(tmp_path, f"{index}{time}", HEAD[index], place, InstanceNumber=number, **elements)
    names = [Path(one.info.path).name for one in read_slices(tmp_path)]
    assert names == [f"{index}{time}" for time in range(2) for index in range(10)]


@pytest.mark.parametrize(
    "key",
    ["EchoTime", "DiffusionBValue", "AcquisitionNumber", "TemporalPositionIdentifier", "FlipAngle"],
)
def test_a_slice_missing_in_one_volume_is_not_taken_from_the_other(tmp_path, key):
    for volume in range(2):
        for index in range(8):
            if (volume, index) == (0, 3):
                continue
            elements = {key: 20 + 60 * volume, "InstanceNumber": 8 * volume + index + 1}
            write(tmp_path, f"{volume}{index}", HEAD[index], (0, 0, 5 * index), **elements)
    slices = list(read_slices(tmp_path))
    names = [Path(one.info.path).name for one in slices]
    first = [f"0{index}" for index in range(8) if index != 3]
    assert names == first + [f"1{index}" for index in range(8)]
    assert any("1 slice is missing between 10.0 and 20.0 mm" in n for n in slices[0].info.notes)
    assert all(any("one of 2 volumes" in n for n in one.info.notes) for one in slices)


@pytest.mark.parametrize(
    ("places", "passes"),
    [
        ([0, 1, 2, 3, 0, 2, 3, 0, 1, 2, 3], [0] * 4 + [1] * 3 + [2] * 4),
        ([0, 1, 2, 3, 1, 2, 3, 0, 1, 2, 3], [0] * 4 + [1] * 3 + [2] * 4),
        ([3, 2, 1, 0, 2, 1, 0, 3, 2, 1, 0], [0] * 4 + [1] * 3 + [2] * 4),
        ([0, 2, 4, 1, 3, 0, 2, 4, 3, 0, 2, 4, 1, 3], [0] * 5 + [1] * 4 + [2] * 5),
        ([0, 0, 1, 1, 2, 2, 3], [0, 1, 0, 1, 0, 1, 0]),
        ([0, 2, 4, 6, 1, 3, 5, 7], [0] * 8),
        ([0, 1, 2, 3, 3, 4, 5, 6], [0] * 4 + [1] + [0] * 3),
        ([5], [0]),
    ],
    ids=["risen", "first", "fallen", "leaping", "in turns", "one", "copy", "alone"],
)
def test_passes_are_told_by_their_order_where_it_tells(places, passes):
    assert number_passes(np.array(places)).tolist() == passes


def test_a_volume_taken_in_two_turns_is_one(tmp_path):
    """Even slices have one Acquisition Number and odd ones the other."""
    for index in range(10):
        elements = {"AcquisitionNumber": 1 + index % 2, "InstanceNumber": index}
        write(tmp_path, f"{index}", HEAD[index], (0, 0, 5 * index), **elements)
    assert positions(tmp_path) == [5.0 * index for index in range(10)]


def test_phase_and_magnitude_are_two_volumes(tmp_path):
    for index in range(8):
        for kind in "MP":
            elements = {"ImageType": ["ORIGINAL", "PRIMARY", kind, "ND"], "InstanceNumber": 1}
            write(tmp_path, f"{kind}{index}", HEAD[index], (0, 0, 5 * index), **elements)
    kinds = [Path(one.info.path).name[0] for one in read_slices(tmp_path)]
    assert kinds == ["M"] * 8 + ["P"] * 8


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("ImageType", [["DERIVED", "PRIMARY", "WATER"], ["DERIVED", "PRIMARY", "FAT"]]),
        ("SequenceName", ["*ep_b0", "*ep_b1000t"]),
        ("DiffusionGradientOrientation", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        ("InversionTime", [900, 2700]),
        ("FlipAngle", [5, 20]),
        ("AcquisitionTime", ["101500", "102000"]),
    ],
)
def test_volumes_at_one_place_are_told_by_what_differs(tmp_path, key, values):
    """Their numbers say nothing: each volume has the same, and names come in any order."""
    names = RANDOM.permutation(16)
    for index in range(8):
        for volume, value in enumerate(values):
            elements = {key: value, "InstanceNumber": index + 1}
            name = f"{names[2 * index + volume]:03d}"
            write(tmp_path, name, HEAD[index] + volume, (0, 0, 5 * index), **elements)
    least = [int(one.pixels.min()) for one in read_slices(tmp_path)]
    assert least in ([0] * 8 + [1] * 8, [1] * 8 + [0] * 8)


def test_dimension_indices_order_frames_that_nothing_else_tells_apart(tmp_path):
    order = RANDOM.permutation(16)
    lps = np.eye(4)
    lps[:3, :3] = [[0, 0, 1], [0, 1, 0], [5, 0, 0]]
    dataset = builders.make_enhanced(np.stack([HEAD[k // 2] + k % 2 for k in order]), lps, [1] * 16)
    for group, k in zip(dataset.PerFrameFunctionalGroupsSequence, order.tolist(), strict=True):
        group.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 5 * (k // 2)]
        group.FrameContentSequence = [Dataset()]
        group.FrameContentSequence[0].DimensionIndexValues = [k // 2 + 1, k % 2 + 1]
    path = builders.save_dataset(tmp_path / "a", dataset)
    assert [int(one.pixels.min()) for one in read_slices(path)] == [0] * 8 + [1] * 8


def test_files_that_only_their_names_tell_apart_say_so(tmp_path):
    for index in range(8):
        for volume in range(2):
            place = (0, 0, 5 * index)
            write(tmp_path, f"{volume}{index}", HEAD[index], place, InstanceNumber=index + 1)
    for one in read_slices(tmp_path):
        assert any("nothing but their names tells" in note for note in one.info.notes)


@pytest.mark.parametrize("numbers", ["shuffled", "equal", "falling", "absent"])
def test_one_enhanced_frame_a_file_is_placed_by_its_functional_groups(tmp_path, numbers):
    order = {
        "shuffled": RANDOM.permutation(len(HEAD)) + 1,
        "equal": [1] * len(HEAD),
        "falling": range(len(HEAD), 0, -1),
        "absent": [None] * len(HEAD),
    }[numbers]
    names = RANDOM.permutation(len(HEAD))
    for index, pixels in enumerate(HEAD):
        lps = np.eye(4)
        lps[:3, :3] = [[0, 0, 1], [0, 1, 0], [5, 0, 0]]
        lps[2, 3] = 5 * index
        dataset = builders.make_enhanced(pixels[np.newaxis], lps, [1])
        dataset.InstanceNumber = None if order[index] is None else int(order[index])
        if index % 2:  # all that a single frame has may stand in the shared groups
            (dataset.SharedFunctionalGroupsSequence[0].PlanePositionSequence,) = (
                dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence,
            )
            del dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
        builders.save_dataset(tmp_path / f"{names[index]}.dcm", dataset)
    assert positions(tmp_path) == [5.0 * index for index in range(len(HEAD))]


def test_frames_of_several_objects_make_one_volume(tmp_path):
    """An enhanced object may be cut in two: here the even slices and the odd ones."""
    volume, lps = builders.store_volume(
        builders.paint_head((22, 26, 20)), (2, 2, 2), (0, 2, 1), (1, -1, 1)
    )
    for half in range(2):
        part = lps.copy()
        part[:3, 3] += half * lps[:3, 0]
        part[:3, 0] *= 2
        dataset = builders.make_enhanced(volume[half::2], part, [1] * 11)
        dataset.InstanceNumber = half + 1
        builders.save_dataset(tmp_path / f"{half}.dcm", dataset)
    slices = list(read_slices(tmp_path))
    assert {one.info.plane for one in slices} == {"axial"}
    assert {one.info.path for one in slices} == {str(tmp_path)}
    assert {one.path for one in slices[0].info.files} == {
        str(tmp_path / name) for name in ("0.dcm", "1.dcm")
    }


def test_frames_may_lie_in_planes_of_their_own(tmp_path):
    """Three planes in one enhanced object, each frame with its own orientation."""
    pixels = np.stack([HEAD[6] + index for index in range(9)])
    dataset = builders.make_enhanced(pixels, np.eye(4), [1] * 9)
    del dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    planes = {"axial": [1, 0, 0, 0, 1, 0], "coronal": [1, 0, 0, 0, 0, -1]}
    planes["sagittal"] = [0, 1, 0, 0, 0, -1]
    for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        turned = Dataset()
        turned.ImageOrientationPatient = list(planes.values())[index % 3]
        frame.PlaneOrientationSequence = [turned]
        normal = np.cross(turned.ImageOrientationPatient[:3], turned.ImageOrientationPatient[3:])
        frame.PlanePositionSequence[0].ImagePositionPatient = list(10.0 * index * normal)
    slices = list(read_slices(builders.save_dataset(tmp_path / "a.dcm", dataset)))
    assert [one.info.plane for one in slices] == [name for name in planes for _ in range(3)]
    for plane in planes:
        places = [one.info.position_mm for one in slices if one.info.plane == plane]
        assert places == sorted(places)


def test_without_numbers_and_positions_the_names_give_the_order(tmp_path):
    for index in range(3):
        builders.write_dicom(
            tmp_path / f"{index}", HEAD[index + 3], InstanceNumber=None, ImageOrientationPatient=[
                *builders.AXIAL
            ],
        )  # fmt: skip
    slices = list(read_slices(tmp_path))
    assert [Path(one.info.path).name for one in slices] == ["0", "1", "2"]
    assert all("state no positions" in one.info.notes[0] for one in slices)


def test_slice_location_serves_where_all_positions_are_one(tmp_path):
    for index in range(6):
        elements = {"SliceLocation": -5.0 * index, "InstanceNumber": index}
        write(tmp_path, f"{index}", HEAD[index], (0, -90, 7), **elements)
    slices = list(read_slices(tmp_path))
    assert [Path(one.info.path).name for one in slices] == ["5", "4", "3", "2", "1", "0"]
    assert [one.info.position_mm for one in slices] == [-25, -20, -15, -10, -5, 0]
    assert {one.info.lps_mm for one in slices} == {None}
    assert "their Slice Location is taken" in slices[0].info.notes[0]


@pytest.mark.parametrize("elements", [{}, {"SliceLocation": 0}])
def test_position_0_of_all_slices_is_none(tmp_path, elements):
    """As anonymisers write it; each slice was a series of its own."""
    for index in range(6):
        write(tmp_path, f"{index}", HEAD[index], (0, 0, 0), InstanceNumber=6 - index, **elements)
    slices = list(read_slices(tmp_path))
    assert [Path(one.info.path).name for one in slices] == ["5", "4", "3", "2", "1", "0"]
    assert {(one.info.position_mm, one.info.lps_mm, one.info.plane) for one in slices} == {
        (None, None, "axial")
    }
    assert all("position 0 for all slices" in one.info.notes[0] for one in slices)


def test_slices_that_lie_at_one_place_keep_it(tmp_path):
    """A slice taken again and again; and one alone, which may lie at 0."""
    for index in range(3):
        write(tmp_path / "again", f"{index}", HEAD[index], (0, -90, 7), InstanceNumber=index)
    write(tmp_path / "alone", "a", HEAD[3], (0, 0, 0))
    assert [one.info.position_mm for one in read_slices(tmp_path / "again")] == [7, 7, 7]
    assert [one.info.position_mm for one in read_slices(tmp_path / "alone")] == [0]


def test_sizes_that_are_mixed_are_read_size_by_size(tmp_path):
    for index in range(8):
        pixels = HEAD[index] if index % 2 else HEAD[index][:20]
        write(tmp_path, f"{index}", pixels, (0, 0, 5 * index), InstanceNumber=index)
    names = [Path(one.info.path).name for one in read_slices(tmp_path)]
    assert names == ["0", "2", "4", "6", "1", "3", "5", "7"]


def test_series_numbers_part_what_one_uid_holds(tmp_path):
    """Anonymised wrongly: two series with one UID, the places of one between those of the other."""
    for index in range(8):
        for series in (1, 2):
            elements = {"SeriesNumber": series, "InstanceNumber": index}
            place = (0, 0, 5 * index + 2.5 * (series - 1))
            write(tmp_path, f"{series}{index}", HEAD[index], place, **elements)
    names = [Path(one.info.path).name for one in read_slices(tmp_path)]
    assert names == [f"{series}{index}" for series in (1, 2) for index in range(8)]
