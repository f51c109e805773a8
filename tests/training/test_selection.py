"""Which rows are taken, and each refusal in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tiny_training import make_recipe
from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import DataError
from tumorlens.training.choices import DataChoice
from tumorlens.training.rows.codes import BRAIN_NONE, BRAIN_SHOWN
from tumorlens.training.rows.fingerprints import fingerprint_rows
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.selection import (
    check_groups,
    count_label_groups,
    count_other_splits,
    drop_conflicts,
    find_large_enough,
    hold_out_test,
    select_rows,
)
from tumorlens.training.rows.sides import part_rows


def test_words_that_hold_nothing_out_are_counted():
    splits = ("", "train", "3", "holdout", "holdout", "dev")
    rows = [Row(Path(f"/{k}.png"), split=split) for k, split in enumerate(splits)]
    assert count_other_splits(rows) == {"dev": 1, "holdout": 2}


def make_manifest(tumors=12, normals=12, **columns):
    rows = [
        Row(
            path=Path(f"/d/{number}.png"),
            group=f"p{number}",
            source="s",
            label="tumor" if number < tumors else "no_tumor",
            **columns,
        )
        for number in range(tumors + normals)
    ]
    return Manifest(tuple(rows), "painted", Path("/d"))


def change_rows(manifest, numbers, **columns):
    return manifest.with_rows(
        replace(row, **columns) if number in numbers else row
        for number, row in enumerate(manifest.rows)
    )


def test_rows_are_left_out_for_a_reason_that_is_counted():
    manifest = change_rows(make_manifest(14, 14), {0, 1}, note="doubtful; small")
    manifest = change_rows(manifest, {20}, note="CT head")
    manifest = change_rows(manifest, {27}, label="")
    recipe = make_recipe(data={"exclude_notes": ["CT head", "doubtful"]})
    selection = select_rows(manifest, recipe)
    assert len(selection.manifest) == 24
    assert selection.removed == {"doubtful": 2, "CT head": 1, "no label": 1}


@pytest.mark.parametrize(
    ("tumors", "normals", "words"),
    [
        (12, 0, "no slice is labelled no_tumor. Training needs at least 10 slices of each label"),
        (0, 12, "no slice is labelled tumor"),
        (12, 9, "9 slices are labelled no_tumor"),
    ],
)
def test_one_class_only_is_refused(tumors, normals, words):
    with pytest.raises(DataError, match=words) as caught:
        select_rows(make_manifest(tumors, normals), make_recipe())
    assert "check the names of the class folders" in str(caught.value)


def test_a_group_on_two_sides_is_refused():
    manifest = change_rows(make_manifest(split="train"), {3, 4}, group="p3")
    check_groups(manifest)
    crossing = change_rows(manifest, {4}, split="test")
    with pytest.raises(DataError, match=r"1 groups stand .*'p3' in test and train; split it anew"):
        check_groups(crossing)


@pytest.mark.parametrize("word", ["", "Training", "0"])
def test_rows_without_a_side_are_trained_on_and_share_no_group_with_the_test(word):
    crossing = change_rows(make_manifest(split=word), {3, 4}, group="p3")
    check_groups(crossing)
    crossing = change_rows(crossing, {4}, split="test")
    with pytest.raises(DataError, match=r"'p3' in test and train"):
        check_groups(crossing)


def test_a_named_test_is_taken_as_it_is():
    manifest = change_rows(make_manifest(), {0, 13}, split="test")
    kept, test = hold_out_test(manifest, make_recipe(data={"test": 0.5}))
    assert [row.path.stem for row in test.rows] == ["0", "13"]
    assert len(kept) == 22


def test_without_a_wish_nothing_is_held_out():
    kept, test = hold_out_test(make_manifest(), make_recipe())
    assert (len(kept), len(test)) == (24, 0)


@pytest.mark.parametrize("wish", [0.25, 6])
def test_a_test_by_group_parts_no_patient(wish):
    manifest = make_manifest(24, 24)
    manifest = manifest.with_rows(
        replace(row, group=f"p{number // 2}") for number, row in enumerate(manifest.rows)
    )
    kept, test = hold_out_test(manifest, make_recipe(data={"test": wish}))
    assert len(test) > 0
    assert not set(kept.groups) & set(test.groups)
    again = hold_out_test(manifest, make_recipe(data={"test": wish}))
    assert again[1].rows == test.rows


def make_people(people, slices, *, of_both=False):
    """Patients of several slices each, one label a patient or both in each."""
    total = people * slices
    rows = (
        replace(
            row,
            group=f"p{number // slices}",
            label=("no_tumor", "tumor")[(number if of_both else number // slices) % 2],
        )
        for number, row in enumerate(make_manifest(total, 0).rows)
    )
    return Manifest(tuple(rows), "painted", Path("/d"))


@pytest.mark.parametrize(("people", "of_both"), [(140, False), (70, True), (900, False)])
def test_a_test_part_grows_to_as_many_groups_of_each_label_as_are_asked(people, of_both):
    manifest = make_people(people, 4, of_both=of_both)
    kept, test = hold_out_test(manifest, make_recipe(data={"test": 8, "test_groups": 20}))
    counts = count_label_groups(test.rows)
    assert min(counts.values()) >= 20
    assert max(counts.values()) <= 30
    assert len(test) <= len(manifest) / 3
    assert not set(kept.groups) & set(test.groups)


def test_a_test_part_stays_small_where_it_cannot_have_enough_groups():
    manifest = make_people(40, 4)
    kept, test = hold_out_test(manifest, make_recipe(data={"test": 8, "test_groups": 20}))
    assert 0 < len(test) <= 16
    assert len(kept) + len(test) == 160


def test_few_patients_of_many_slices_can_hold_out_a_number_of_pictures():
    """32 of 1,000 pictures are less than one patient of ten."""
    _, test = hold_out_test(make_people(10, 100), make_recipe(data={"test": 32}))
    assert len(test.groups) >= 2


def test_a_test_by_picture_stays_as_large_as_it_is_asked():
    manifest = make_people(140, 2)
    choice = {"test": 32, "test_groups": 20, "test_by": "picture"}
    assert len(hold_out_test(manifest, make_recipe(data=choice))[1]) == 32


def test_a_test_by_picture_parts_patients_as_the_paper_did():
    manifest = make_manifest(24, 24).with_rows(
        replace(row, group=f"p{number // 6}")
        for number, row in enumerate(make_manifest(24, 24).rows)
    )
    kept, test = hold_out_test(manifest, make_recipe(data={"test": 12, "test_by": "picture"}))
    assert len(test) == 12
    assert set(kept.groups) & set(test.groups)


def test_a_test_as_large_as_the_data_is_refused():
    with pytest.raises(DataError, match=r"data.test asks for 24 of 24 pictures"):
        hold_out_test(make_manifest(), make_recipe(data={"test": 24}))


def make_prepared(labels, pictures, annotation=None):
    rows = tuple(
        Row(
            Path(f"/d/{number}.png"),
            label="tumor" if label else "no_tumor",
            mask=Path("/d/m.png") if label else None,
        )
        for number, label in enumerate(labels)
    )
    images = np.stack([np.full((64, 64), value, np.uint8) for value in pictures])
    return PreparedRows(
        rows=rows,
        images=images,
        annotation=np.zeros_like(images) if annotation is None else annotation,
        brain=np.zeros_like(images),
        gains=np.ones(len(labels), np.float32),
        looks=np.full((len(labels), 3), -1),
        tumor=np.array(labels, np.float32),
        kinds=np.full(len(labels), -1),
        sources=np.zeros(len(labels), np.int64),
        fingerprints=(b"",) * len(labels),
    )


def test_two_labels_on_one_picture_are_listed_or_dropped():
    prepared = make_prepared([1, 0, 1, 1, 0], [10, 10, 20, 20, 30])
    with pytest.raises(DataError) as caught:
        drop_conflicts(prepared, drop=False)
    words = str(caught.value)
    assert words.startswith("1 pictures have two labels")
    assert "/d/0.png (tumor), /d/1.png (no_tumor)" in words
    assert "/d/2.png" not in words
    assert "`drop_conflicts=True`" in words
    assert drop_conflicts(prepared, drop=True).tolist() == [2, 3, 4]


def test_small_lesions_are_left_out_at_the_scale_of_256():
    annotation = np.zeros((3, 64, 64), np.uint8)
    annotation[0, :3, :3] = 1  # 9 pixels at 64, 144 at 256
    annotation[1, :4, :3] = 1  # 192 at 256
    prepared = make_prepared([1, 1, 0], [1, 2, 3], annotation)
    assert find_large_enough(prepared, 150).tolist() == [False, True, True]
    assert find_large_enough(prepared, 0).all()


def test_the_fingerprint_tells_rows_apart():
    manifest = make_manifest()
    first = fingerprint_rows(manifest.rows)
    assert first == fingerprint_rows(make_manifest().rows)
    assert first != fingerprint_rows(manifest.rows[1:])
    assert first != fingerprint_rows(change_rows(manifest, {0}, group="other").rows)
    assert first != fingerprint_rows(change_rows(manifest, {0}, tumor_class="glioma").rows)
    for column in ({"skull": "off"}, {"plane": "coronal"}, {"sequence": "T2"}):
        assert first != fingerprint_rows(change_rows(manifest, {0}, **column).rows)


@pytest.mark.parametrize("column", ["mask", "brain"])
def test_the_fingerprint_tells_masks_apart(tmp_path, column):
    mask = tmp_path / "mask.png"
    row = replace(make_manifest().rows[0], **{column: mask})
    told = {fingerprint_rows((replace(row, **{column: None}),))}
    for content in (b"one", b"two"):
        mask.write_bytes(content)
        told.add(fingerprint_rows((row,)))
    assert len(told) == 3


def test_the_fingerprint_tells_contents_apart(tmp_path):
    row = replace(make_manifest().rows[0], path=tmp_path / "a.png")
    row.path.write_bytes(b"one")
    first = fingerprint_rows((row,))
    row.path.write_bytes(b"two")
    assert fingerprint_rows((row,)) != first
    row.path.write_bytes(b"one")
    assert fingerprint_rows((row,)) == first


@pytest.mark.parametrize(("named", "changed"), [("s", "s/b.dcm"), ("v.mhd", "v.raw")])
def test_the_fingerprint_tells_voxels_in_other_files_apart(tmp_path, named, changed):
    """A slice that was cut from a series names its folder, and a header names no voxels."""
    (tmp_path / "s").mkdir()
    for name in ("s/a.dcm", "s/b.dcm", "v.mhd", "v.raw"):
        (tmp_path / name).write_bytes(b"one")
    row = replace(make_manifest().rows[0], path=tmp_path / named)
    first = fingerprint_rows((row,))
    assert fingerprint_rows((row,)) == first
    (tmp_path / changed).write_bytes(b"two")
    assert fingerprint_rows((row,)) != first


def test_images_without_a_brain_do_not_validate():
    prepared = make_prepared([1] * 30 + [0] * 50, range(80))
    empty = prepared.brain.copy()
    empty[60:] = BRAIN_NONE
    rows = [*prepared.rows[:60], *(replace(row, brain=row.path) for row in prepared.rows[60:])]
    prepared = replace(prepared, rows=tuple(rows), brain=empty)
    sides = part_rows(prepared, DataChoice(validation=0.3), 0, drop_conflicts=False)
    assert sides.training.max() >= 60
    assert len(sides.validation) > 10
    assert sides.validation.max() < 60


def test_a_slice_without_brain_counts_as_its_head_does():
    prepared = make_prepared([0, 0, 0], [1, 2, 3])
    rows = [
        replace(row, brain=row.path, group=name)
        for row, name in zip(prepared.rows, "aab", strict=True)
    ]
    brain = prepared.brain.copy()
    brain[:] = BRAIN_NONE
    brain[1, 0, 0] = BRAIN_SHOWN
    prepared = replace(prepared, rows=tuple(rows), brain=brain)
    assert prepared.find_brains().tolist() == [True, True, False]
