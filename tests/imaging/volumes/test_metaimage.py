from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.sources import Skipped, find_sources
from tumorlens.imaging.readers import read_object, read_slices

VOLUME = np.random.default_rng(0).integers(0, 900, (20, 24, 18)).astype(np.int16)
SHOWN = VOLUME.transpose(2, 1, 0).astype(
    np.float32
)  # z, then rows to the back, columns to the left
BODY = VOLUME.tobytes(order="F")


def read_stack(path) -> np.ndarray:
    return np.stack([one.pixels for one in read_slices(path)])


def write(path, volume=VOLUME, **options):
    return builders.write_metaimage(path, volume, **options)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("data", ["LOCAL", "a.zraw", "other name.raw"])
def test_voxels_here_and_beside(tmp_path, zipped, data) -> None:
    path = write(tmp_path / "a.mhd", zipped=zipped, data=data)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("i1", "MET_CHAR"),
        ("u1", "MET_UCHAR"),
        (">i2", "MET_SHORT"),
        ("<u2", "MET_USHORT"),
        (">i4", "MET_INT"),
        ("<i4", "MET_LONG"),
        ("<u4", "MET_ULONG"),
        (">i8", "MET_LONG_LONG"),
        (">f4", "MET_FLOAT"),
        ("<f8", "MET_DOUBLE"),
    ],
)
def test_number_types(tmp_path, code, name) -> None:
    volume = (VOLUME % 100).astype(code)
    path = write(tmp_path / "a.mha", volume, fields={"ElementType": name})
    np.testing.assert_array_equal(read_stack(path), SHOWN % 100)


def test_older_names_of_fields(tmp_path) -> None:
    renamed = {
        "BinaryDataByteOrderMSB": None,
        "ElementByteOrderMSB": "False",
        "TransformMatrix": None,
        "Orientation": "-1 0 0 0 1 0 0 0 1",
        "Offset": None,
        "Position": "1 2 3",
        "ElementSpacing": None,
        "ElementSize": "2 2 5",
    }
    one = next(read_slices(write(tmp_path / "a.mha", fields=renamed)))
    np.testing.assert_array_equal(one.pixels, SHOWN[0, :, ::-1])
    assert one.info.spacing_mm == (2, 2) and one.info.position_mm == 3 and one.info.sides_known


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"TransformMatrix": None}, "states no orientation"),
        ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "the orientation makes no sense"),
        ({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "the orientation makes no sense"),
        ({"TransformMatrix": "1 0 0 1"}, "states no orientation"),
    ],
)
def test_without_an_orientation_no_side_is_known(tmp_path, fields, note) -> None:
    one = next(read_slices(write(tmp_path / "a.mha", fields=fields)))
    np.testing.assert_array_equal(one.pixels, SHOWN[0])
    assert not one.info.sides_known and note in one.info.notes[0]


@pytest.mark.parametrize("spacing", [None, "0 1 1", "nan 1 1"])
def test_missing_sizes_are_1_mm(tmp_path, spacing) -> None:
    one = next(read_slices(write(tmp_path / "a.mha", fields={"ElementSpacing": spacing})))
    assert one.info.spacing_mm == (1, 1) and one.info.sides_known
    assert "1 mm is assumed" in one.info.notes[0]


def test_four_dimensions_come_volume_by_volume(tmp_path) -> None:
    path = write(tmp_path / "a.mha", np.stack([VOLUME, VOLUME + 1], axis=-1))
    np.testing.assert_array_equal(read_stack(path), np.concatenate([SHOWN, SHOWN + 1]))
    assert next(read_slices(path)).info.sides_known


def test_two_dimensions(tmp_path) -> None:
    flat = {
        "NDims": 2,
        "DimSize": "20 24",
        "TransformMatrix": "1 0 0 1",
        "Offset": "0 0",
        "ElementSpacing": "1 1",
    }
    path = write(tmp_path / "a.mha", VOLUME[:, :, :1], fields=flat)
    np.testing.assert_array_equal(read_stack(path), SHOWN[:1])


def test_colors_become_luma(tmp_path) -> None:
    grey = (VOLUME % 250).astype(np.uint8)
    body = np.stack([grey] * 3).tobytes(order="F")
    fields = {"ElementNumberOfChannels": 3}
    path = write(tmp_path / "a.mha", grey, fields=fields, body=body)
    np.testing.assert_array_equal(read_stack(path), SHOWN % 250)


def test_many_channels_are_volumes_and_few_a_field_of_vectors(tmp_path) -> None:
    def write_channels(count):
        body = np.stack([VOLUME] * count).tobytes(order="F")
        return write(tmp_path / "a.mha", fields={"ElementNumberOfChannels": count}, body=body)

    np.testing.assert_array_equal(read_stack(write_channels(6)), np.concatenate([SHOWN] * 6))
    with pytest.raises(InputError, match="a field of vectors"):
        list(read_slices(write_channels(3)))


def test_label_maps_and_other_modalities_are_told(tmp_path) -> None:
    write(tmp_path / "a.mha", (VOLUME > 800).astype(np.uint8))
    assert isinstance(next(find_sources([tmp_path])), Skipped)
    one = next(read_slices(write(tmp_path / "a.mha", fields={"Modality": "MET_MOD_CT"})))
    assert "modality CT" in one.info.notes[0]
    one = next(read_slices(write(tmp_path / "a.mha", fields={"Modality": "MET_MOD_MR"})))
    assert not one.info.notes


@pytest.mark.parametrize(("skip", "before"), [(7, b"7 bytes"), (-1, b"whatever comes first")])
def test_what_comes_before_the_voxels_is_skipped(tmp_path, skip, before) -> None:
    path = write(tmp_path / "a.mhd", data="a.raw", fields={"HeaderSize": skip}, body=before + BODY)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


@pytest.mark.parametrize("name", ["../a.raw", "/etc/hostname", "sub/a.raw", "..\\a.raw", "C:a", ""])
def test_voxels_outside_of_the_folder_are_refused(tmp_path, name) -> None:
    path = write(tmp_path / "a.mhd", data="a.raw")
    path.write_text(path.read_text().replace("a.raw", name))
    with pytest.raises(InputError, match="outside of its folder"):
        list(read_slices(path))


def test_voxels_beside_are_missed_by_name(tmp_path) -> None:
    path = write(tmp_path / "a.mhd", data="a.raw")
    with pytest.raises(InputError, match="in another file"):
        list(read_object(path.read_bytes()))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"beside it: no such file"):
        list(read_slices(path))


def test_a_pair_in_a_folder_is_one_source(tmp_path) -> None:
    write(tmp_path / "a.mhd", data="a.raw")
    write(tmp_path / "b.mhd", data="b.zraw", zipped=True)
    names = [one.path for one in find_sources([tmp_path])]
    assert names == [str(tmp_path / "a.mhd"), str(tmp_path / "b.mhd")]


BROKEN = {
    "another object": ({"fields": {"ObjectType": "Tube"}}, "of 'Tube'"),
    "many words": ({"fields": {"ObjectType": "\x1b[31m" + "x" * 500}}, r"of '\\x1b\[31mx{55}…'"),
    "text": ({"fields": {"BinaryData": "False"}}, "'text'"),
    "an unknown type": ({"fields": {"ElementType": "MET_STRING"}}, "MET_STRING"),
    "no type": ({"fields": {"ElementType": None}}, "voxels of the type ''"),
    "no size": ({"fields": {"DimSize": None}}, "broken MetaImage header"),
    "a negative size": ({"fields": {"DimSize": "20 -24 18"}}, "broken MetaImage header"),
    "another dimension": ({"fields": {"NDims": 4}}, "broken MetaImage header"),
    "no number": ({"fields": {"ElementSpacing": "1 x 1"}}, "broken MetaImage header"),
    "no channel": ({"fields": {"ElementNumberOfChannels": 0}}, "0 channels"),
    "a far skip": ({"fields": {"HeaderSize": 99999999999}}, "skips 99999999999"),
    "back from a zipped end": ({"fields": {"HeaderSize": -1}, "zipped": True}, "skips -1"),
    "many files": ({"data": "LIST"}, "several files"),
    "a pattern": ({"data": "a%02d.raw 1 18 1"}, "several files"),
    "cut short": ({"body": BODY[:-5]}, "cut short"),
    "zipped and cut short": ({"body": zlib.compress(BODY)[:-99], "zipped": True}, "cut short"),
    "not zipped": ({"body": BODY, "zipped": True}, "damaged volume"),
    "a wrong checksum": (
        {"body": zlib.compress(BODY)[:-4] + bytes(4), "zipped": True},
        "incorrect data check",
    ),
    "a promise": ({"fields": {"DimSize": "30000 30000 30000"}, "zipped": True}, "are allowed"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(tmp_path, name) -> None:
    options, reason = BROKEN[name]
    path = write(tmp_path / "a.mha", **options)
    with pytest.raises(InputError, match=reason) as caught:
        list(read_slices(path))
    assert caught.value.path == str(path)


def test_a_header_without_an_end_is_refused(tmp_path) -> None:
    path = tmp_path / "a.mha"
    path.write_bytes(b"ObjectType = Image\nNDims = 3\n" + b"Comment = x\n" * 200_000)
    with pytest.raises(InputError, match="no ElementDataFile"):
        list(read_slices(path))


def test_a_bomb_is_inflated_no_further_than_its_header_says(tmp_path) -> None:
    body = zlib.compress(b"")[:2] + builders.deflate_zeros(2048, BODY)
    path = write(tmp_path / "a.mha", zipped=True, body=body)
    tracemalloc.start()
    assert len(list(read_slices(path, limits=Limits(memory_bytes=2**20)))) == 18
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()
