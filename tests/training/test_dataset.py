"""Prepared rows and the batches drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from limits_of_disk import small_files
from painter import write_manifest
from tiny_training import make_recipe
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.errors import DataError
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.readers import read_slice
from tumorlens.training.dataset import Draws, _open_plane, prepare_rows
from tumorlens.training.pairs import MARK_BOX, MARK_MASK, MARK_NONE, MARK_UNKNOWN

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
    return Draws(prepared, np.arange(len(prepared)), make_recipe(**changes), draws)


def test_pictures_are_those_of_predict(prepared):
    for index in (0, 1, 7):
        image = prepare(read_slice(prepared.rows[index].path), SPEC).image[0]
        np.testing.assert_allclose(prepared.images[index] / 255, image, atol=0.5 / 255 + 1e-6)
    images, marks = prepared.take(np.array([1, 3]))
    assert images.shape == marks.shape == (2, 1, 64, 64)
    assert images.max() <= 1


@pytest.mark.parametrize(
    ("annotation", "code"), [("mask", MARK_MASK), ("box", MARK_BOX), ("", MARK_UNKNOWN)]
)
def test_marks_say_how_a_tumor_is_known(tmp_path, annotation, code):
    file = write_manifest(tmp_path / "data", 2, annotation=annotation)
    prepared, _ = prepare_data(file, tmp_path / "prepared")
    for index, row in enumerate(prepared.rows):
        found = set(np.unique(prepared.marks[index]).tolist())
        if row.label == "no_tumor":
            assert found == {MARK_NONE}
        elif code == MARK_UNKNOWN:
            assert MARK_UNKNOWN in found
        else:
            assert found == {MARK_NONE, code}
            bright = prepared.images[index] > 240
            assert (bright & (prepared.marks[index] == code)).sum() > 0.8 * bright.sum()


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
        image, marks, tumor, kind = draws._edit(index, rng)
        assert tumor == 1 - prepared.tumor[index]
        assert (image != prepared.images[index]).any()
        assert set(np.unique(marks)) == ({MARK_NONE, MARK_MASK} if tumor else {MARK_NONE})
        assert kind == (0 if tumor and prepared.kinds.max() >= 0 else -1)


def test_decoys_change_pictures_and_no_label(prepared):
    draws = make_draws(prepared, edits={"heal": 0.0, "paste": 0.0, "decoy": 1.0})
    rng = np.random.default_rng(0)
    changed = 0
    for index in range(len(prepared)):
        image, marks, tumor, _ = draws._edit(index, rng)
        assert tumor == prepared.tumor[index]
        np.testing.assert_array_equal(marks, prepared.marks[index])
        changed += (image != prepared.images[index]).any()
    assert changed > len(prepared) / 2


def test_edits_without_a_donor_leave_the_picture(tmp_path):
    prepared, _ = prepare_data(
        write_manifest(tmp_path / "data", 3, annotation=""), tmp_path / "prepared"
    )
    draws = make_draws(prepared, edits={"heal": 1.0, "paste": 1.0, "decoy": 0.0})
    for index in range(len(prepared)):
        image, _, tumor, _ = draws._edit(index, np.random.default_rng(index))
        np.testing.assert_array_equal(image, prepared.images[index])
        assert tumor == prepared.tumor[index]


def test_donors_come_from_the_rows_that_may_be_drawn(prepared):
    allowed = np.arange(0, 6)
    draws = Draws(prepared, allowed, make_recipe(), 0)
    donors = {draws._pick_donor("FLAIR", np.random.default_rng(seed)) for seed in range(40)}
    assert donors == {index for index in allowed.tolist() if prepared.tumor[index]}
    assert draws._pick_donor("T1c", np.random.default_rng(0)) is None


def test_class_weights_make_the_classes_weigh_the_same(prepared):
    chosen = np.flatnonzero((prepared.tumor == 0) | (np.arange(16) < 4))
    recipe = make_recipe(data={"sampling": "plain", "class_weights": True}, **STILL)
    batches = list(Draws(prepared, chosen, recipe, 0))
    tumor = torch.cat([batch.tumor for batch in batches])
    weights = torch.cat([batch.weights for batch in batches])
    assert weights[tumor == 1].sum().item() == pytest.approx(weights[tumor == 0].sum().item())
    assert weights.mean().item() == pytest.approx(1)
