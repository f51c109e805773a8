from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.readers import read_object, read_slices
from tumorlens.imaging.volumes import streams

VOLUME = np.random.default_rng(0).integers(0, 900, (20, 24, 18)).astype(np.int16)
SHOWN = VOLUME.transpose(2, 1, 0).astype(
    np.float32
)  # z, then rows to the back, columns to the left


def read_stack(path) -> np.ndarray:
    return np.stack([one.pixels for one in read_slices(path)])


def write(path, volume=VOLUME, **options):
    return builders.write_nrrd(path, volume, **options)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("data", ["", "voxels of a.bin"])
def test_encodings_here_and_beside(tmp_path, encoding, data) -> None:
    path = write(tmp_path / "a.nhdr", encoding=encoding, data=data)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


@pytest.mark.parametrize("name", ["gz", "GZIP"])
def test_other_names_of_an_encoding(tmp_path, name) -> None:
    body = gzip.compress(VOLUME.tobytes(order="F"))
    path = write(tmp_path / "a.nrrd", encoding=name, zipped=body)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


@pytest.mark.parametrize("name", ["ascii", "text", "TXT"])
@pytest.mark.parametrize("code", ["i2", "u8", "f4"])
@pytest.mark.parametrize("step", [31, 1024**2])
def test_voxels_may_be_written_as_text(tmp_path, monkeypatch, name, code, step) -> None:
    monkeypatch.setattr(streams, "_STEP", step)
    volume = VOLUME.astype(code) + (1 / 3 if code == "f4" else 0)
    words = [str(one) for one in volume.ravel(order="F").tolist()]
    body = (", ".join(words[:40]) + "\n" + "  ".join(words[40:])).encode()
    path = write(tmp_path / "a.nrrd", volume, encoding=name, zipped=body, without=["endian"])
    np.testing.assert_array_equal(read_stack(path), volume.transpose(2, 1, 0).astype(np.float32))


@pytest.mark.parametrize("order", "<>")
def test_voxels_may_be_written_as_hexadecimal_digits(tmp_path, order) -> None:
    volume = VOLUME.astype(f"{order}i2")
    body = volume.tobytes(order="F").hex("\n", 35).encode()
    path = write(tmp_path / "a.nrrd", volume, encoding="hex", zipped=body)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


def test_what_comes_before_text_is_skipped(tmp_path) -> None:
    words = " ".join(str(one) for one in VOLUME.ravel(order="F").tolist())
    lines = ["line skip: 1", "byte skip: 3", "data file: a.txt"]
    path = write(tmp_path / "a.nhdr", encoding="ascii", data="a.txt", lines=lines)
    (tmp_path / "a.txt").write_text(f"a table\n-1 {words}")
    np.testing.assert_array_equal(read_stack(path), SHOWN)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("i1", "signed char|int8"),
        ("u1", "uchar|unsigned char|uint8_t"),
        (">i2", "short|signed short int"),
        ("<u2", "unsigned short|ushort"),
        (">i4", "int|int32"),
        ("<i8", "long long|int64_t"),
        ("<f4", "float"),
        (">f8", "double"),
    ],
)
def test_number_types(tmp_path, code, names) -> None:
    volume = (VOLUME % 100).astype(code)
    for name in names.split("|"):
        path = write(tmp_path / "a.nrrd", volume, lines=[f"type: {name}"])
        np.testing.assert_array_equal(read_stack(path), SHOWN % 100)


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("LAS", (1, -1, 1)),
        ("Left-Posterior-Superior", (1, 1, 1)),
    ],
)
def test_spaces_of_the_patient(tmp_path, space, signs) -> None:
    directions = " ".join(
        f"({','.join(str(float(x)) for x in row)})" for row in np.diag(signs) * 1.5
    )
    path = write(tmp_path / "a.nrrd", lines=[f"space: {space}", f"space directions: {directions}"])
    np.testing.assert_array_equal(read_stack(path), SHOWN)
    one = next(read_slices(path))
    assert one.info.sides_known and one.info.spacing_mm == (1.5, 1.5)


@pytest.mark.parametrize(
    ("lines", "without", "spacing"),
    [
        (["spacings: 0.5 0.5 4"], ["space", "space directions", "space origin"], (0.5, 0.5)),
        ([], ["space", "space directions", "space origin"], (1, 1)),
        (["space: scanner-xyz", "space directions: (2,0,0) (0,2,0) (0,0,3)"], [], (2, 2)),
        (["space dimension: 3"], ["space"], (1, 1)),
        (["space directions: (0,0,0) (0,1,0) (0,0,1)"], [], (1, 1)),
        (["space directions: (nan,0,0) (0,1,0) (0,0,1)"], [], (1, 1)),
    ],
)
def test_without_a_space_of_the_patient_no_side_is_known(tmp_path, lines, without, spacing) -> None:
    path = write(tmp_path / "a.nrrd", lines=lines, without=without)
    one = next(read_slices(path))
    np.testing.assert_array_equal(one.pixels, SHOWN[0])
    assert not one.info.sides_known and one.info.spacing_mm == spacing
    assert one.info.plane is None and "left and right unknown" in one.info.notes[0]


@pytest.mark.parametrize(
    ("unit", "size"),
    [('"mm"', 1), ('"um"', 1e3), ('"µm"', 1e3), ('"microns",', 1e3), ('"m"', 1e-3), ('"cm"', 0.1)],
)
@pytest.mark.parametrize("oriented", [True, False])
def test_voxel_sizes_in_other_units_are_read_in_millimetres(tmp_path, unit, size, oriented) -> None:
    sizes, place = np.array([0.9, 0.9, 5]) * size, np.array([-100, -90, 120]) * size
    if oriented:
        directions = " ".join(f"({','.join(map(str, row))})" for row in np.diag(sizes))
        units = [f"space units: {unit} {unit} {unit}", f"space directions: {directions}"]
        path = write(
            tmp_path / "a.nrrd", lines=[*units, f"space origin: ({','.join(map(str, place))})"]
        )
    else:
        lines = [f"spacings: {' '.join(map(str, sizes))}", f"units: {unit} {unit} {unit}"]
        path = write(
            tmp_path / "a.nrrd", lines=lines, without=["space", "space directions", "space origin"]
        )
    first, second, *_ = read_slices(path)
    assert first.info.spacing_mm == pytest.approx((0.9, 0.9))
    assert any("converted to mm" in note for note in first.info.notes) == (size != 1)
    if oriented:
        assert first.info.lps_mm[0] == pytest.approx((-100, -90, 120))
        assert second.info.position_mm - first.info.position_mm == pytest.approx(5)


@pytest.mark.parametrize(("unit", "named"), [("um", "micrometres"), ("pixel", "'pixel'")])
def test_a_unit_in_which_no_head_is_measured_is_doubted(tmp_path, unit, named) -> None:
    path = write(tmp_path / "a.nrrd", lines=[f'space units: "{unit}" "{unit}" "{unit}"'])
    one = next(read_slices(path))
    assert one.info.spacing_mm == (1, 1)
    assert f"stated in {named}, in which they suit no head: mm are assumed" in one.info.notes[0]


def test_several_units_are_refused(tmp_path) -> None:
    path = write(tmp_path / "a.nrrd", lines=['space units: "mm" "mm" "um"'])
    with pytest.raises(InputError, match=r"in several units \('mm', 'um'\); save it with one"):
        read_stack(path)


def test_a_list_may_have_a_direction_that_is_no_number(tmp_path) -> None:
    directions = "(nan,nan,nan) (1,0,0) (0,1,0) (0,0,1)"
    path = write(
        tmp_path / "a.nrrd", np.stack([VOLUME] * 2), lines=[f"space directions: {directions}"]
    )
    np.testing.assert_array_equal(read_stack(path), np.concatenate([SHOWN] * 2))
    assert next(read_slices(path)).info.sides_known


def test_two_dimensions(tmp_path) -> None:
    path = write(
        tmp_path / "a.nrrd",
        VOLUME[:, :, 0][..., None],
        lines=[
            "dimension: 2",
            "sizes: 20 24",
            "kinds: domain domain",
            "space directions: (2,0,0) (0,2,0)",
            'space units: "mm" "mm" "mm"',
        ],
    )
    np.testing.assert_array_equal(read_stack(path), SHOWN[:1])
    assert next(read_slices(path)).info.plane == "axial"


# More than one volume


def test_volumes_one_after_the_other(tmp_path) -> None:
    series = np.stack([VOLUME, VOLUME + 1], axis=-1)
    path = write(
        tmp_path / "a.nrrd",
        series,
        lines=[
            "kinds: domain domain domain list",
            "space directions: (1,0,0) (0,1,0) (0,0,1) none",
        ],
    )
    np.testing.assert_array_equal(read_stack(path), np.concatenate([SHOWN, SHOWN + 1]))


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_volumes_that_lie_voxel_by_voxel(tmp_path, encoding) -> None:
    """Sequences of 3D Slicer."""
    path = write(tmp_path / "a.seq.nrrd", np.stack([VOLUME, VOLUME + 1]), encoding=encoding)
    np.testing.assert_array_equal(read_stack(path), np.concatenate([SHOWN, SHOWN + 1]))
    assert [one.info.frame for one in read_slices(path)] == list(range(36))
    assert isinstance(next(find_sources([tmp_path])), Source)


@pytest.mark.parametrize(("channels", "kind"), [(3, "RGB-color"), (4, "RGBA-color")])
def test_colors_become_luma(tmp_path, channels, kind) -> None:
    grey = (VOLUME % 250).astype(np.uint8)
    colors = np.stack([grey] * 3 + [np.full_like(grey, 255)])[:channels]
    path = write(tmp_path / "a.nrrd", colors, lines=[f"kinds: {kind} domain domain domain"])
    np.testing.assert_array_equal(read_stack(path), SHOWN % 250)


@pytest.mark.parametrize("kind", ["vector", "3D-symmetric-matrix", "complex", "covariant-vector"])
def test_vectors_are_no_scan(tmp_path, kind) -> None:
    path = write(
        tmp_path / "a.nrrd", np.stack([VOLUME] * 2), lines=[f"kinds: {kind} space space space"]
    )
    with pytest.raises(InputError, match="a field of vectors, not a scan"):
        list(read_slices(path))


def test_gradients_of_diffusion_are_volumes(tmp_path) -> None:
    lines = ["kinds: vector domain domain domain", "modality:=DWMRI"]
    path = write(tmp_path / "a.nrrd", np.stack([VOLUME] * 2), lines=lines)
    assert len(list(read_slices(path))) == 36


def test_segments_of_slicer_are_a_label_map(tmp_path) -> None:
    write(tmp_path / "a.seg.nrrd", lines=["Segment0_Name:=tumor", "Segment0_LabelValue:=1"])
    assert isinstance(next(find_sources([tmp_path])), Skipped)
    labels = (VOLUME > 800).astype(np.uint8)
    with pytest.raises(InputError, match="label map"):
        list(read_slices(write(tmp_path / "a.nrrd", labels)))


# Voxels beside the header, and what comes before them


@pytest.mark.parametrize(
    "name", ["../a.raw", "/etc/hostname", "sub/a.raw", "..\\a.raw", "C:\\a.raw", "..", ".", "c:a"]
)
def test_voxels_outside_of_the_folder_are_refused(tmp_path, name) -> None:
    (tmp_path / "a.raw").write_bytes(VOLUME.tobytes(order="F"))
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/sub/a.raw").write_bytes(VOLUME.tobytes(order="F"))
    path = write(tmp_path / "in/a.nhdr", lines=[f"data file: {name}"])
    with pytest.raises(InputError, match="outside of its folder"):
        list(read_slices(path))


def test_voxels_beside_are_missed_by_name(tmp_path) -> None:
    path = write(tmp_path / "a.nhdr", lines=["datafile: ./b.raw"])
    with pytest.raises(InputError, match=r"'b\.raw' beside it: no such file") as caught:
        list(read_slices(path))
    assert caught.value.path == str(path)
    with pytest.raises(InputError, match="in another file"):
        list(read_object(path.read_bytes()))


def test_a_pair_in_a_folder_is_one_source(tmp_path) -> None:
    write(tmp_path / "a.nhdr", data="a.raw")
    write(tmp_path / "b.nhdr", data="b.raw.gz", encoding="gzip")
    assert [one.path for one in find_sources([tmp_path])] == [
        str(tmp_path / "a.nhdr"),
        str(tmp_path / "b.nhdr"),
    ]


@pytest.mark.parametrize("data", ["LIST", "slice%03d.raw 1 18 1"])
def test_voxels_in_many_files_are_refused(tmp_path, data) -> None:
    path = write(tmp_path / "a.nhdr", lines=[f"data file: {data}"])
    path.write_bytes(path.read_bytes() + b"1.raw\n2.raw\n")
    with pytest.raises(InputError, match="several files"):
        list(read_slices(path))


@pytest.mark.parametrize(
    ("lines", "before", "encoding"),
    [
        (["line skip: 2"], b"a line\nanother\n", "raw"),
        (["byte skip: 5"], b"12345", "raw"),
        (["byteskip: -1"], b"whatever comes first", "raw"),
        (["lineskip: 1", "byte skip: 3"], b"a line\n123", "raw"),
        (["line skip: 1"], b"a line\n", "gzip"),
    ],
)
def test_what_comes_before_the_voxels_is_skipped(tmp_path, lines, before, encoding) -> None:
    voxels = VOLUME.tobytes(order="F")
    body = before + (gzip.compress(voxels) if encoding == "gzip" else voxels)
    path = write(tmp_path / "a.nhdr", data="a.raw", lines=lines, encoding=encoding, zipped=body)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


def test_bytes_are_skipped_after_unzipping(tmp_path) -> None:
    body = gzip.compress(b"12345" + VOLUME.tobytes(order="F")) + b"what some tools leave behind"
    path = write(tmp_path / "a.nrrd", lines=["byte skip: 5"], encoding="gzip", zipped=body)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


@pytest.mark.parametrize("cut", [1, 500, len(VOLUME.tobytes()) - 1])
def test_voxels_may_be_zipped_part_by_part(tmp_path, cut) -> None:
    """As pigz and bgzip do, which zip on several processors."""
    body = VOLUME.tobytes(order="F")
    parts = gzip.compress(body[:cut]) + gzip.compress(body[cut:]) + b"what some tools leave behind"
    path = write(tmp_path / "a.nrrd", encoding="gzip", zipped=parts)
    np.testing.assert_array_equal(read_stack(path), SHOWN)


# What is refused

BODY = VOLUME.tobytes(order="F")
BROKEN = {
    "no type": ({"without": ["type"]}, "type ''"),
    "another encoding": ({"lines": ["encoding: zrl"]}, "encoding 'zrl'"),
    "text cut short": ({"lines": ["encoding: ascii"], "zipped": b"1 2 3"}, "cut short"),
    "text that is none": ({"lines": ["encoding: ascii"], "zipped": b"1 two 3"}, "damaged volume"),
    "too large a number": ({"lines": ["encoding: ascii"], "zipped": b"1 99999"}, "damaged volume"),
    "a number without an end": (
        {"lines": ["encoding: ascii"], "zipped": b"9" * 2_000_000},
        "without an end",
    ),
    "half a byte of hex": ({"lines": ["encoding: hex"], "zipped": b"0a0b0"}, "damaged volume"),
    "back from the end of text": ({"lines": ["byte skip: -1", "encoding: text"]}, "encoding"),
    "a block": ({"lines": ["type: block", "block size: 2"]}, "type 'block'"),
    "no byte order": ({"without": ["endian"]}, "byte order"),
    "no sizes": ({"without": ["sizes"]}, "broken NRRD header"),
    "no dimension": ({"without": ["dimension"]}, "broken NRRD header"),
    "fewer sizes": ({"lines": ["sizes: 20 24"]}, "broken NRRD header"),
    "a negative size": ({"lines": ["sizes: 20 -24 18"]}, "broken NRRD header"),
    "many axes": ({"lines": ["dimension: 17", f"sizes: 20 24 18{' 1' * 14}"]}, "broken NRRD"),
    "no number": ({"lines": ["sizes: 20 x 18"]}, "broken NRRD header"),
    "a broken vector": ({"lines": ["space directions: (1,x,0) (0,1,0) (0,0,1)"]}, "broken NRRD"),
    "one axis in space": (
        {"lines": ["kinds: list list space", "space directions: none none (1)"]},
        "axes in an order",
    ),
    "a list between": ({"lines": ["space directions: (1,0,0) none (0,0,1)"]}, "axes in an order"),
    "a far skip": ({"lines": ["byte skip: 99999999999"]}, "skips 0 lines"),
    "many lines": ({"lines": ["line skip: 99999999999"]}, "skips 99999999999 lines"),
    "back from the end of gzip": ({"lines": ["byte skip: -1"], "encoding": "gzip"}, "encoding"),
    "cut short": ({"zipped": BODY[:-9]}, "cut short"),
    "gzip cut short": ({"zipped": gzip.compress(BODY)[:-900], "encoding": "gzip"}, "cut short"),
    "no gzip": ({"zipped": BODY, "encoding": "gzip"}, "damaged volume"),
    "a wrong checksum": (
        {"zipped": gzip.compress(BODY)[:-8] + bytes(8), "encoding": "gzip"},
        "incorrect data check",
    ),
    "bzip2 cut short": ({"zipped": b"BZh9", "encoding": "bzip2"}, "damaged volume|cut short"),
    "more than there is": ({"lines": ["sizes: 9000 9000 9000"]}, "cut short|memory"),
    "a promise in gzip": (
        {"lines": ["sizes: 30000 30000 30000"], "encoding": "gzip"},
        "MiB are allowed",
    ),
    "a line without a field": ({"lines": ["what is this"]}, "a line without a field"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(tmp_path, name) -> None:
    options, reason = BROKEN[name]
    path = write(tmp_path / "a.nrrd", **options)
    with pytest.raises(InputError, match=reason) as caught:
        list(read_slices(path))
    assert caught.value.path == str(path)


def test_a_header_without_an_end_is_refused(tmp_path) -> None:
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"NRRD0004\n" + b"#" * 5_000_000)
    with pytest.raises(InputError, match="broken NRRD header"):
        list(read_slices(path))


def test_a_bomb_is_inflated_no_further_than_its_header_says(tmp_path) -> None:
    """2 GiB of zeros behind the voxels, of which no more than a step is inflated."""
    head = gzip.compress(b"")[:10]
    body = head + builders.deflate_zeros(2048, BODY)
    path = write(tmp_path / "a.nrrd", encoding="gzip", zipped=body)
    tracemalloc.start()
    assert len(list(read_slices(path, limits=Limits(memory_bytes=2**20)))) == 18
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()
