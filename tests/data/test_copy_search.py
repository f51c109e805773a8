"""Copies: copies are found however they were made, and other pictures are not."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from brains import as_slice, paint_brain
from builders import write_nifti
from shared_data import SHARED, needs_shared
from tumorlens.data.duplicates.alignment import correlate_aligned
from tumorlens.data.duplicates.copy_search import group_manifest, search_copies
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import DataError, InputError
from tumorlens.imaging.pixels.fingerprint import ORIENTATIONS, describe_head

Turn = Image.Transpose


def recompress(picture):
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=25)
    return Image.open(stream).convert("L")


COPIES = {
    "exact": lambda p: p,
    "mirrored": ImageOps.mirror,
    "upside-down": ImageOps.flip,
    "turned": lambda p: p.transpose(Turn.ROTATE_90),
    "turned and mirrored": lambda p: ImageOps.mirror(p.transpose(Turn.ROTATE_90)),
    "smaller": lambda p: p.resize((72, 72)),
    "larger": lambda p: p.resize((300, 300)),
    "stretched": lambda p: p.resize((160, 130)),
    "recompressed": recompress,
    "margins cropped": lambda p: p.crop((20, 10, 140, 150)),
    "cropped into": lambda p: p.crop((30, 18, 134, 148)),
    "margins added": lambda p: ImageOps.expand(p, 40, 0),
    "brightened": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "darkened": lambda p: ImageEnhance.Brightness(p).enhance(0.5),
    "sharpened": lambda p: p.filter(ImageFilter.UnsharpMask(2, 150, 0)),
    "re-contrasted": lambda p: p.point([round(255 * (v / 255) ** 1.6) for v in range(256)]),
    "marked": lambda p: (q := p.copy(), q.paste(255, (0, 0, 25, 8)))[0],
}


@pytest.fixture(scope="module")
def brains():
    return [Image.fromarray(paint_brain(seed)) for seed in range(12)]


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found(brains, name):
    pictures = [*brains, *(COPIES[name](brain) for brain in brains)]
    found = search_copies(map(as_slice, pictures))
    assert found.distinct == len(brains)
    np.testing.assert_array_equal(found.clusters, np.tile(np.arange(12), 2))
    assert {(pair.first, pair.second) for pair in found.pairs} == {(n, n + 12) for n in range(12)}
    assert min(pair.correlation for pair in found.pairs) >= 0.9


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        ("mirrored", Turn.FLIP_LEFT_RIGHT),
        ("upside-down", Turn.FLIP_TOP_BOTTOM),
        ("turned 180", Turn.ROTATE_180),
        ("transposed", Turn.TRANSPOSE),
        ("turned 90 counter-clockwise", Turn.ROTATE_90),
        ("turned 90 clockwise", Turn.ROTATE_270),
        ("anti-transposed", Turn.TRANSVERSE),
    ],
)
def test_the_orientation_is_told(brains, orientation, turn):
    assert orientation in ORIENTATIONS
    (pair,) = search_copies([as_slice(brains[0]), as_slice(brains[0].transpose(turn))]).pairs
    assert (pair.first, pair.second, pair.orientation) == (0, 1, orientation)


def test_many_copies_of_two_pictures_are_two_clusters(brains):
    """More copies than neighbours asked for: some only chain through others."""
    pictures = [COPIES[name](brain) for brain in brains[:2] for name in COPIES for _ in range(2)]
    found = search_copies(map(as_slice, pictures))
    assert found.distinct == 2
    assert np.bincount(found.clusters).tolist() == [2 * len(COPIES)] * 2


def test_blank_pictures_are_no_copies_of_anything(brains):
    blank = as_slice(np.zeros((50, 50), np.uint8))
    found = search_copies([as_slice(brains[0]), blank, blank, as_slice(brains[0])])
    assert found.clusters.tolist() == [0, 1, 2, 0]


def paint_top(seed):
    """A slice near the top of a head: a ring of the scalp around a few soft spots."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160] - 80.0
    radius = np.hypot(x / 30, y / rng.uniform(36, 46))
    ring = np.exp(-(((radius - 0.8) / rng.uniform(0.15, 0.25)) ** 2)) + 0.4 * (radius < 0.8)
    spots = Image.fromarray(rng.uniform(0.55, 1.45, (11, 11)).astype(np.float32))
    spots = np.asarray(spots.resize((160, 160), Image.Resampling.BICUBIC))
    return np.clip(170 * ring * spots, 0, 255).astype(np.uint8)


def test_tops_of_heads_are_alike_and_no_copies():
    """Rings joined the patients of two hospitals; a copy of one is found all the same."""
    tops = [Image.fromarray(paint_top(seed)) for seed in range(8)]
    head = np.stack([describe_head(as_slice(top)) for top in tops])
    assert (
        max((head[0] * head[1:]).sum((1, 2)).max(), correlate_aligned(head[:7], head[1:]).max())
        > 0.9
    )
    assert search_copies(map(as_slice, tops)).distinct == len(tops)
    copies = [ImageOps.mirror(recompress(top)).resize((200, 200)) for top in tops]
    found = search_copies(map(as_slice, [*tops, *copies]))
    np.testing.assert_array_equal(found.clusters, np.tile(np.arange(8), 2))


def test_one_picture_is_no_copy_and_none_is_an_error(brains):
    assert search_copies([as_slice(brains[0])]).pairs == ()
    with pytest.raises(DataError, match="no pictures"):
        search_copies([])


def test_threads_change_nothing_and_progress_counts_twice(brains):
    steps = []
    pictures = [*map(as_slice, brains), *(as_slice(ImageOps.mirror(b)) for b in brains)]
    found = search_copies(pictures, threads=2, progress=steps.append)
    assert found.distinct == 12
    assert sum(steps) == 2 * len(pictures)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(InputError, match=r"broken\.png"):
        search_copies([tmp_path / "broken.png"])


def test_alignment_finds_a_shift_and_a_stretch(brains):
    head = np.stack([describe_head(as_slice(brain)) for brain in brains])
    cut = [brain.crop((24, 16, 140, 148)) for brain in brains]
    moved = np.stack([describe_head(as_slice(one)) for one in cut])
    plain = (head * moved).sum((1, 2))
    aligned = correlate_aligned(moved, head)
    assert (aligned > plain - 0.01).all()
    assert plain.min() < 0.9 < 0.97 < aligned.min()
    assert correlate_aligned(head, np.roll(head, 1, 0)).max() < 0.7


def test_groups_of_a_manifest(tmp_path, brains):
    files = {}
    for name, picture in {
        "a": brains[0],
        "a-mirrored": ImageOps.mirror(brains[0]),
        "b": brains[1],
        "b-other-slice": brains[2],
        "b-copied": ImageOps.flip(brains[2]),
        "c": brains[3],
    }.items():
        files[name] = tmp_path / f"{name}.png"
        picture.save(files[name])
    rows = [Row(path, group="patient" if name in ("b", "b-other-slice") else "")
            for name, path in files.items()]  # fmt: skip
    grouped, found = group_manifest(Manifest(tuple(rows), "m", tmp_path))
    groups = dict(zip(files, (row.group for row in grouped.rows), strict=True))
    assert groups["a"] == groups["a-mirrored"] != ""
    assert groups["b"] == groups["b-other-slice"] == groups["b-copied"] == "patient"
    assert groups["c"] == ""
    assert found.distinct == 4
    again, _ = group_manifest(replace(grouped, name="again"))
    assert [row.group for row in again.rows] == [row.group for row in grouped.rows]


@pytest.mark.parametrize("name", ["{}_jpg.rf.0a1b2c3d4e5f607182{}.jpg", "aug_{}_0_4{}.png"])
def test_versions_that_an_augmentation_made_of_one_image_are_one_group(tmp_path, brains, name):
    """Turned by 30 degrees, an image correlates with its original as with any other head."""
    rows = []
    for label, number, angle in [(0, 1, 0), (0, 1, 30), (0, 2, 0), (1, 1, 0), (1, 1, -30)]:
        path = tmp_path / ("no", "yes")[label] / name.format(number, len(rows))
        path.parent.mkdir(exist_ok=True)
        brains[2 * label + number].rotate(angle).save(path)
        rows.append(Row(path, label=("no_tumor", "tumor")[label]))
    grouped, _ = group_manifest(Manifest(tuple(rows), "m", tmp_path))
    groups = [row.group for row in grouped.rows]
    assert groups[0] == groups[1] != ""
    assert groups[3] == groups[4] != ""
    assert groups[2] == ""
    assert len(set(groups)) == 3


def test_slices_of_a_volume_are_compared_too(tmp_path, brains):
    volume = np.stack([np.asarray(brain).T for brain in brains[:4]], 2).astype(np.int16)
    path = write_nifti(tmp_path / "volume.nii.gz", volume, np.diag([1.0, 1.0, 6.0, 1.0]))
    brains[2].save(tmp_path / "copy.png")
    rows = [Row(path, frame=frame) for frame in range(4)] + [Row(tmp_path / "copy.png")]
    grouped, found = group_manifest(Manifest(tuple(rows), "m", tmp_path))
    assert found.distinct == 4
    assert [(pair.first, pair.second) for pair in found.pairs] == [(2, 4)]
    assert len({row.group for row in grouped.rows}) == 1  # the slices of one file are one group


def test_what_cannot_be_read_is_a_copy_of_nothing(tmp_path, brains):
    files = [tmp_path / name for name in ("a.png", "copy.png", "bad.png", "worse.png")]
    brains[0].save(files[0])
    ImageOps.mirror(brains[0]).save(files[1])
    for file in files[2:]:
        file.write_bytes(b"no picture")
    grouped, found = group_manifest(Manifest(tuple(map(Row, files)), "m", tmp_path))
    assert found.distinct == 3
    assert [bool(row.group) for row in grouped.rows] == [True, True, False, False]


@needs_shared
def test_most_of_navoneel_stands_in_br35h():
    """A sample of the real sets; benchmarks/copies_groups.py measures all of them."""
    sets = [read_data(SHARED / "data" / name) for name in ("navoneel", "br35h")]
    seen = {row.group for row in sets[1].rows}
    small = sets[0].with_rows([row for row in sets[0].rows if row.group in seen][:40])
    groups = {row.group for row in small.rows}
    first = {row.group: row for row in sets[1].rows if row.group in groups}
    merged = merge_manifests([small, sets[1].with_rows(first.values())], shared_groups=True)
    found = search_copies(row.path for row in merged.rows)
    copies = set(found.clusters[len(small) :].tolist())
    assert sum(cluster in copies for cluster in found.clusters[: len(small)].tolist()) >= 38
    assert Path(merged.rows[0].path).exists()
