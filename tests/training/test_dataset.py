"""Prepared rows and the batches drawn from them."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from builders import write_nifti
from limits_of_disk import small_files
from painter import write_manifest
from tiny_training import make_recipe
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import DataError
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.readers import read_slice
from tumorlens.training.learning.dataset import Draws
from tumorlens.training.rows.codes import TUMOR_BOX, TUMOR_MASK, TUMOR_NONE, TUMOR_UNKNOWN
from tumorlens.training.rows.preparing import _open_plane, prepare_rows
from tumorlens.training.rows.store import PreparedRow, Store

SPEC = PreprocessSpec(size=64)
STILL = {
    "augmentation": dict.fromkeys(("rotation", "mirror", "gamma", "noise", "erase"), 0.0),
    "edits": {"heal": 0.0, "paste": 0.0, "decoy": 0.0},
}


def prepare_data(file, folder, types=("tumor",)):
    folder.mkdir(exist_ok=True)
    return prepare_rows(read_data(file), SPEC, folder, types=types)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    rows, _ = prepare_data(write_manifest(folder / "data", 8), folder / "prepared")
    return rows


def make_draws(prepared, draws=0, **changes):
    return Draws(prepared, np.arange(len(prepared)), make_recipe(**changes, **drawing(draws)), 0)


def edit(draws, index, rng):
    edited = draws._editor.edit(index, rng)
    return edited.image, edited.annotation, edited.tumor, edited.kind


def drawing(draws, **more):
    return {
        "phases": [{"name": "only", "epochs": 1, "learning_rate": 1e-3, "draws": draws, **more}]
    }


def test_pictures_are_those_of_predict(prepared):
    for index in (0, 1, 7):
        image = prepare(read_slice(prepared.rows[index].path), SPEC).image[0]
        np.testing.assert_allclose(prepared.images[index] / 255, image, atol=0.5 / 255 + 1e-6)
    images, annotation = prepared.take(np.array([1, 3]))
    assert images.shape == annotation.shape == (2, 1, 64, 64)
    assert images.max() <= 1


@pytest.mark.parametrize(
    ("annotation", "code"), [("mask", TUMOR_MASK), ("box", TUMOR_BOX), ("", TUMOR_UNKNOWN)]
)
def test_marks_say_how_a_tumor_is_known(tmp_path, annotation, code):
    file = write_manifest(tmp_path / "data", 2, annotation=annotation)
    prepared, _ = prepare_data(file, tmp_path / "prepared")
    for index, row in enumerate(prepared.rows):
        found = set(np.unique(prepared.annotation[index]).tolist())
        if row.label == "no_tumor":
            assert found == {TUMOR_NONE}
        elif code == TUMOR_UNKNOWN:
            assert TUMOR_UNKNOWN in found
        else:
            assert found == {TUMOR_NONE, code}
            bright = prepared.images[index] > 240
            assert (bright & (prepared.annotation[index] == code)).sum() > 0.8 * bright.sum()


def test_types_are_numbered_and_unknown_types_are_not(tmp_path):
    file = write_manifest(tmp_path / "data", 3, classes=("glioma", "pituitary", "schwannoma"))
    prepared, _ = prepare_data(
        file, tmp_path / "prepared", types=("glioma", "meningioma", "pituitary")
    )
    assert prepared.kinds[prepared.tumor == 1].tolist() == [0, 2, -1]
    assert (prepared.kinds[prepared.tumor == 0] == -1).all()


def test_what_cannot_be_read_is_listed_and_the_rest_is_there(tmp_path):
    file = write_manifest(tmp_path / "data", 4)
    (tmp_path / "data/p01-normal.png").write_bytes(b"broken")
    (tmp_path / "data/p02-tumor.png").unlink()
    Image.linear_gradient("L").resize((20, 30)).save(tmp_path / "data/p03-tumor-mask.png")
    told = []
    (tmp_path / "prepared").mkdir()
    prepared, unreadable = prepare_rows(
        read_data(file),
        SPEC,
        tmp_path / "prepared",
        types=("tumor",),
        progress=lambda done, whole: told.append((done, whole)),
    )
    assert len(prepared) == 5
    assert len(prepared.images) == len(prepared.tumor) == 5
    reasons = {one.row.path.name: one.reason for one in unreadable}
    assert set(reasons) == {"p01-normal.png", "p02-tumor.png", "p03-tumor.png"}
    assert "mask of 20 x 30 pixels on a slice of 96 x 96" in reasons["p03-tumor.png"]
    assert told[-1] == (8, 8)


def test_a_mask_that_lies_elsewhere_is_unreadable(tmp_path):
    """Saved without the orientation of its picture, it would lie on another slice."""
    scan = np.add.outer(np.arange(40), np.add.outer(np.arange(36), np.arange(32))).astype(np.int16)
    path = write_nifti(tmp_path / "a.nii", scan, np.diag([1.0, 1.0, -1.0, 1.0]))
    drawn = np.zeros(scan.shape, np.uint8)
    drawn[4:12, 20:30, 3:9] = 1
    mask = write_nifti(tmp_path / "m.nii", drawn)
    row = Row(path, frame=5, label="tumor", mask=mask)
    manifest = Manifest((row,), "case", tmp_path)
    _, (unreadable,) = prepare_rows(manifest, SPEC, tmp_path, types=("tumor",))
    assert "mm away from its picture; save it with the orientation" in unreadable.reason


def test_no_space_for_pictures_says_how_much_is_needed(tmp_path):
    file = write_manifest(tmp_path / "data", 20)
    with (
        small_files(100_000),
        pytest.raises(DataError, match=r"cannot be written .*MiB are needed"),
    ):
        prepare_data(file, tmp_path / "prepared")


def test_the_space_for_pictures_is_taken_before_the_first(tmp_path):
    """A write into a map without room behind it would kill the program: no file with holes."""
    _open_plane(tmp_path / "images.npy", (64, 64, 64))
    assert (tmp_path / "images.npy").stat().st_blocks * 512 >= 64**3


def test_an_epoch_repeats_itself_and_differs_from_the_next(prepared):
    draws, again = make_draws(prepared, 16), make_draws(prepared, 16)
    draws.epoch = again.epoch = 3
    for one, other in zip(draws, again, strict=True):
        for name in one.__slots__:
            assert torch.equal(getattr(one, name), getattr(other, name))
    again.epoch = 4
    assert not torch.equal(next(iter(draws)).images, next(iter(again)).images)


def test_a_picture_depends_on_its_place_and_not_on_the_batch(prepared):
    large = next(iter(make_draws(prepared, 16, batch=16)))
    small = list(make_draws(prepared, 16, batch=4))
    images = torch.cat([batch.images for batch in small])
    torch.testing.assert_close(images, large.images, atol=1e-6, rtol=0)


def test_plain_sampling_takes_every_row_once(prepared):
    draws = make_draws(prepared, data={"sampling": "plain"}, **STILL)
    assert len(draws) == 2
    tumors = torch.cat([batch.tumor for batch in draws])
    assert tumors.sum() == 8
    seen = np.concatenate([(batch.images * 255).round().numpy() for batch in draws])
    wanted = {prepared.images[index].tobytes() for index in range(16)}
    assert {one[0].astype(np.uint8).tobytes() for one in seen} == wanted


def test_balanced_sampling_weighs_labels_alike_and_sources_by_the_root_of_their_groups(tmp_path):
    large = read_data(write_manifest(tmp_path / "large", 16, source="large"))
    small = read_data(write_manifest(tmp_path / "small", 4, source="small"))
    merged = merge_manifests([large, small])
    merged = merged.where(lambda row: row.label == "no_tumor" or row.source == "small")
    (tmp_path / "prepared").mkdir()
    prepared, _ = prepare_rows(merged, SPEC, tmp_path / "prepared", types=("tumor",))
    order = make_draws(prepared, 4000)._choose(np.random.default_rng(0))
    tumor = prepared.tumor[order]
    sources = np.array([prepared.rows[index].source for index in order])
    assert tumor.mean() == pytest.approx(0.5, abs=0.03)
    assert (sources[tumor == 0] == "large").mean() == pytest.approx(4 / 6, abs=0.03)


def test_edits_change_label_and_marks_together(prepared):
    draws = make_draws(prepared, 200, edits={"heal": 1.0, "paste": 1.0, "decoy": 0.0})
    rng = np.random.default_rng(0)
    for index in range(len(prepared)):
        image, annotation, tumor, kind = edit(draws, index, rng)
        assert tumor == 1 - prepared.tumor[index]
        assert (image != prepared.images[index]).any()
        assert set(np.unique(annotation)) == ({TUMOR_NONE, TUMOR_MASK} if tumor else {TUMOR_NONE})
        assert kind == (0 if tumor and prepared.kinds.max() >= 0 else -1)


def test_decoys_change_pictures_and_no_label(prepared):
    draws = make_draws(prepared, edits={"heal": 0.0, "paste": 0.0, "decoy": 1.0})
    rng = np.random.default_rng(0)
    changed = 0
    for index in range(len(prepared)):
        image, annotation, tumor, _ = edit(draws, index, rng)
        assert tumor == prepared.tumor[index]
        np.testing.assert_array_equal(annotation, prepared.annotation[index])
        changed += (image != prepared.images[index]).any()
    assert changed > len(prepared) / 2


def test_edits_without_a_donor_leave_the_picture(tmp_path):
    prepared, _ = prepare_data(
        write_manifest(tmp_path / "data", 3, annotation=""), tmp_path / "prepared"
    )
    draws = make_draws(prepared, edits={"heal": 1.0, "paste": 1.0, "decoy": 0.0})
    for index in range(len(prepared)):
        image, _, tumor, _ = edit(draws, index, np.random.default_rng(index))
        np.testing.assert_array_equal(image, prepared.images[index])
        assert tumor == prepared.tumor[index]


def test_donors_come_from_the_rows_that_may_be_drawn(prepared):
    allowed = np.arange(0, 6)
    draws = Draws(prepared, allowed, make_recipe(**drawing(0)), 0)
    donors = {draws._editor._pick_donor("FLAIR", np.random.default_rng(seed)) for seed in range(40)}
    assert donors == {index for index in allowed.tolist() if prepared.tumor[index]}
    assert draws._editor._pick_donor("T1c", np.random.default_rng(0)) is None


def test_class_weights_make_the_classes_weigh_the_same(prepared):
    chosen = np.flatnonzero((prepared.tumor == 0) | (np.arange(16) < 4))
    recipe = make_recipe(data={"sampling": "plain", "class_weights": True}, **STILL, **drawing(0))
    batches = list(Draws(prepared, chosen, recipe, 0))
    tumor = torch.cat([batch.tumor for batch in batches])
    weights = torch.cat([batch.weights for batch in batches])
    assert weights[tumor == 1].sum().item() == pytest.approx(weights[tumor == 0].sum().item())
    assert weights.mean().item() == pytest.approx(1)


def test_a_phase_draws_pictures_of_its_size(prepared):
    half = SPEC.size // 2
    side = half - half % 32 or 32
    recipe = make_recipe(**STILL, **drawing(8, size=side))
    batch = next(iter(Draws(prepared, np.arange(len(prepared)), recipe, 0)))
    assert batch.images.shape[2:] == batch.annotation.shape[2:] == (side, side)


def test_phases_draw_anew(prepared):
    two = [{"name": name, "epochs": 1, "learning_rate": 1e-3, "draws": 16} for name in "ab"]
    recipe = make_recipe(phases=two)
    first, second = (Draws(prepared, np.arange(len(prepared)), recipe, phase) for phase in (0, 1))
    assert not torch.equal(next(iter(first)).images, next(iter(second)).images)
    assert torch.equal(next(iter(first)).images, next(iter(first)).images)


def test_a_source_with_one_label_is_edited_as_often_as_lone_says(prepared):
    labels = {"no_tumor": 0.0, "tumor": 1.0}
    rows = [
        replace(row, source="tumors" if row.label == "tumor" else "normals")
        for row in prepared.rows
    ]
    parted = replace(prepared, rows=tuple(rows))
    for source, lone, changed in (
        (prepared, 1.0, False),
        (parted, 1.0, True),
        (parted, 0.0, False),
    ):
        draws = make_draws(source, **{**STILL, "edits": {**STILL["edits"], "lone": lone}})
        flipped = [
            edit(draws, index, np.random.default_rng(index))[2] != labels[row.label]
            for index, row in enumerate(source.rows)
        ]
        assert any(flipped) == changed


def test_rows_prepared_before_are_taken_from_the_store(tmp_path):
    file = write_manifest(tmp_path / "data", 4)
    kept = tmp_path / "store"
    made = {}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        store = Store(kept, SPEC)
        made[name], _ = prepare_rows(
            read_data(file), SPEC, tmp_path / name, types=("tumor",), store=store
        )
        if name == "first":
            files = sorted(kept.iterdir())
            assert len(files) == len(made[name])
            content = bytearray(files[0].read_bytes())
            content[0] ^= 255  # a trace that only the store can have left
            files[0].write_bytes(content)
    different = [
        not np.array_equal(a, b)
        for a, b in zip(made["first"].images, made["second"].images, strict=True)
    ]
    assert sum(different) == 1
    assert made["first"].fingerprints == made["second"].fingerprints


def test_the_store_makes_anew_what_was_cut_short_or_changed(tmp_path):
    row = read_data(write_manifest(tmp_path / "data", 1)).rows[0]
    store = Store(tmp_path / "store", SPEC)
    plane = np.zeros((SPEC.size, SPEC.size), np.uint8)
    store.put(row, PreparedRow(plane, plane, plane, 0.5, b"abc"))
    found = store.get(row)
    assert found is not None and found.fingerprint == b"abc"
    assert found.contrast == 0.5
    assert store.get(replace(row, label="")) is None
    (file,) = store.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-2])
    assert store.get(row) is None


def test_the_store_looks_at_the_files_of_a_series(tmp_path):
    """A file that is changed in place leaves its folder as it was."""
    row = read_data(write_manifest(tmp_path / "data", 1)).rows[0]
    series = replace(row, path=row.path.parent)
    plane = np.zeros((SPEC.size, SPEC.size), np.uint8)
    Store(tmp_path / "store", SPEC).put(series, PreparedRow(plane, plane, plane, 0.5, b"abc"))
    assert Store(tmp_path / "store", SPEC).get(series) is not None
    row.path.write_bytes(b"changed")
    assert Store(tmp_path / "store", SPEC).get(series) is None


def test_processes_share_the_batches_of_an_epoch(prepared):
    whole = list(make_draws(prepared, draws=32))
    shared = []
    for rank in range(2):
        draws = make_draws(prepared, draws=32)
        draws.share(rank, 2)
        assert len(draws) == 2
        shared.append(list(draws))
    assert len(whole) == 4
    for number, batch in enumerate(whole):
        torch.testing.assert_close(shared[number % 2][number // 2].images, batch.images)


def test_a_copy_of_the_draws_shares_the_pictures(prepared):
    draws = make_draws(prepared, draws=8)
    assert copy.deepcopy(draws) is draws
