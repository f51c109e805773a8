"""Splits: no group on two sides, alike parts, the same again for the same seed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from tumorlens.data.balance import deal_groups
from tumorlens.data.rows import LABELS, Manifest, Row
from tumorlens.data.splits import fold_manifest, hold_out_groups, leave_out, split_manifest
from tumorlens.errors import DataError, UsageError


def make(cases, name="set"):
    """One row for each (group, label, source); label t, n or nothing."""
    labels = {"t": "tumor", "n": "no_tumor", "": ""}
    rows = tuple(
        Row(Path(f"/{number}.png"), group=group, label=labels[label], source=source)
        for number, (group, label, source) in enumerate(cases)
    )
    return Manifest(rows, name, Path("/"))


CASES = st.lists(
    st.tuples(
        st.integers(0, 30).map(str), st.sampled_from(["t", "n", ""]), st.sampled_from(["a", "b"])
    ),
    min_size=1,
    max_size=120,
)


@given(CASES, st.integers(2, 6), st.integers(0, 3))
def test_no_group_stands_on_two_sides(cases, folds, seed):
    manifest = make(cases)
    if len(manifest.groups) < folds:
        with pytest.raises(DataError, match=r"groups? cannot be split"):
            split_manifest(manifest, folds=folds, seed=seed)
        return
    parted, _ = split_manifest(manifest, folds=folds, seed=seed)
    sides = {}
    for row in parted.rows:
        assert sides.setdefault(row.group_key, row.split) == row.split
    assert set(sides.values()) == {str(number) for number in range(folds)}
    assert [row.path for row in parted.rows] == [row.path for row in manifest.rows]
    assert split_manifest(manifest, folds=folds, seed=seed)[0] == parted


def test_fractions_are_kept_for_every_kind():
    cases = [(f"{s}{n}", label, s) for s in "ab" for n in range(100) for label in "ttn"]
    parted, notes = split_manifest(make(cases))
    assert notes == []
    for source in "ab":
        rows = [row for row in parted.rows if row.source == source]
        shares = [
            np.mean([row.split == s for row in rows]) for s in ("train", "validation", "test")
        ]
        assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.01)


def test_a_part_of_nothing_stays_empty():
    parted, _ = split_manifest(
        make([(str(n), "t", "a") for n in range(10)]), fractions=(0.8, 0, 0.2)
    )
    assert {row.split for row in parted.rows} == {"train", "test"}


def test_one_class_will_do_and_few_groups_fill_every_part():
    parted, _ = split_manifest(make([("p1", "t", "a")] * 50 + [("p2", "t", "a"), ("p3", "t", "a")]))
    assert {row.split for row in parted.rows} == {"train", "validation", "test"}


def test_seeds_differ():
    manifest = make([(str(n), "tn"[n % 2], "a") for n in range(40)])
    splits = {
        tuple(row.split for row in split_manifest(manifest, folds=4, seed=seed)[0].rows)
        for seed in range(4)
    }
    assert len(splits) == 4


def test_it_is_said_where_balance_gave_way():
    cases = [(f"p{n}", "n", "a") for n in range(20)] + [("q", "t", "rare")] * 5
    _, notes = split_manifest(make(cases), folds=5)
    assert len(notes) == 1
    assert "rare tumor (5 slices in 1 group)" in notes[0]
    assert "100 % and not 20 %" in notes[0]


def test_it_is_more_even_than_scikit_learn():
    """On average over tables; its splitter is greedy, and looks at slices only."""
    ours, theirs = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 40, 60)
        tumors = rng.binomial(sizes, 0.1 + 0.8 * rng.random(60))
        counts = np.stack([tumors, sizes - tumors], 1)
        ours.append(unevenness(counts, deal_groups(counts, np.full(5, 0.2), seed)))
        theirs.append(unevenness(counts, deal_with_scikit_learn(counts, seed)))
    assert np.mean(ours, 0)[0] < 0.6 * np.mean(theirs, 0)[0]
    assert np.mean(ours, 0)[1] < 0.1 * np.mean(theirs, 0)[1]


def deal_with_scikit_learn(counts, seed):
    groups = np.repeat(np.arange(len(counts)), counts.sum(1))
    labels = np.concatenate([np.repeat([0, 1], pair) for pair in counts])
    dealt = np.empty(len(counts), int)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for fold, (_, held) in enumerate(splitter.split(labels, labels, groups)):
        dealt[groups[held]] = fold
    return dealt


def unevenness(counts, dealt):
    """Standard deviation over five folds of their shares of each class, and of the groups."""
    held = np.stack([counts[dealt == fold].sum(0) for fold in range(5)]) / counts.sum(0)
    return held.std(0).mean(), np.bincount(dealt).std() / len(dealt)


@given(CASES, st.sampled_from([0.05, 0.1, 0.15, 0.3, 0.4, 0.6, 0.85]), st.integers(0, 3))
def test_a_held_out_share_is_met_within_a_group(cases, share, seed):
    rows = make(cases).rows
    sizes = Counter(row.group_key for row in rows)
    if len(sizes) < max(2, round(1 / share)):
        with pytest.raises(DataError, match="too few to hold out"):
            hold_out_groups(rows, share, seed)
        return
    kept, held = hold_out_groups(rows, share, seed)
    assert sorted([*kept, *held]) == list(range(len(rows)))
    assert not {rows[i].group_key for i in kept} & {rows[i].group_key for i in held}
    assert len(kept) and len(held)
    assert abs(len(held) - share * len(rows)) <= max(sizes.values())
    again = hold_out_groups(rows, share, seed)
    np.testing.assert_array_equal(again[1], held)


def test_a_held_out_share_is_no_rounded_fraction_and_alike_in_source_and_label():
    cases = [(f"{s}{n}", label, s) for s in "ab" for n in range(100) for label in "ttn"]
    rows = make(cases).rows
    for share in (0.15, 0.3, 0.4):
        _, held = hold_out_groups(rows, share, 0)
        kinds = Counter((rows[index].source, rows[index].label) for index in held)
        assert kinds == {
            (source, label): pytest.approx(share * 100 * count, abs=2 * count)
            for source in "ab"
            for label, count in (("tumor", 2), ("no_tumor", 1))
        }
    first, second = (hold_out_groups(rows, 0.3, seed)[1].tolist() for seed in (0, 1))
    assert first != second


# Folds that a manifest brings


def with_splits(manifest, *splits):
    return manifest.with_rows(
        replace(row, split=splits[number % len(splits)]) for number, row in enumerate(manifest.rows)
    )


TEN = make([(f"p{number}", "tn"[number // 5], "a") for number in range(10)])


def test_folds_of_the_manifest_are_kept():
    given = with_splits(TEN, "0", "1", "2")
    parted, notes = fold_manifest(given, folds=3, seed=5)
    assert parted == given
    assert notes == ["the folds of the column split are kept"]


@pytest.mark.parametrize(
    ("splits", "note"),
    [
        (("",), None),
        (
            ("train", "test"),
            "splits that the data had are replaced: train (5), test (5)",
        ),
        (("0", "1", "2", ""), "splits that the data had are replaced: 0 (3), 1 (3), 2 (2)"),
    ],
)
def test_without_a_fold_for_every_row_they_are_dealt(splits, note):
    given = with_splits(TEN, *splits)
    parted, notes = fold_manifest(given, folds=3)
    assert parted == split_manifest(given, folds=3)[0]
    assert any(note in line for line in notes) if note else notes == split_manifest(TEN, folds=3)[1]


def test_other_folds_than_asked_for_are_refused():
    with pytest.raises(DataError, match=r"set: .* the folds 0, 1, 2; expected 0 to 4.*`folds=3`"):
        fold_manifest(with_splits(TEN, "0", "1", "2"), folds=5)


def test_folds_that_part_a_group_are_refused():
    given = with_splits(make([("p", "t", "a"), ("p", "n", "a"), ("q", "n", "a")]), "0", "1")
    with pytest.raises(DataError, match=r"1 group stands in two folds, 'p' in 0 and 1"):
        fold_manifest(given, folds=2)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_bad_fractions_are_refused(fractions):
    with pytest.raises(UsageError, match="add up to 1"):
        split_manifest(make([("p", "t", "a")]), fractions=fractions)


def test_too_few_groups_name_the_numbers():
    with pytest.raises(DataError, match=r"set: 2 groups cannot be split into 5 parts"):
        split_manifest(make([("p", "t", "a"), ("q", "n", "a")]), folds=5)


def test_leaving_out_drops_what_shares_a_group():
    manifest = make(
        [("p1", "t", "a"), ("p1", "t", "b"), ("p2", "n", "b"), ("p3", "n", "c/x"), ("p3", "n", "b")]
    )
    kept, held, neither = leave_out(manifest, ["a", "c"])
    assert [row.group for row in kept.rows] == ["p2"]
    assert [row.source for row in held.rows] == ["a", "c/x"]
    assert [row.source for row in neither.rows] == ["b", "b"]


def test_a_set_stands_for_all_its_sources():
    manifest = make([("p1", "t", "nickparvar"), ("p2", "t", "nickparvar_web"), ("p3", "t", "a")])
    assert len(leave_out(manifest, ["nickparvar"])[1]) == 2
    with pytest.raises(DataError, match=r"'elsewhere'.*nickparvar_web"):
        leave_out(manifest, ["elsewhere"])
    with pytest.raises(DataError, match="nothing is left"):
        leave_out(manifest, ["nickparvar", "a"])


def test_a_folder_of_a_site_inside_a_set_is_told_how_to_be_left_out():
    rows = tuple(Row(Path(f"/all/clinic-{site}/yes/1.png"), source="all") for site in "ab")
    with pytest.raises(DataError, match="clinic-b is a folder inside a set: give it and the"):
        leave_out(Manifest(rows, "all", Path("/all")), ["clinic-b"])


# By whole sources


def make_hospitals():
    """Six sources, two of which share a patient; each label stands in four of them."""
    rows = []
    for number in range(6):
        labels = ("tumor",) if number % 3 == 0 else ("no_tumor",) if number % 3 == 1 else LABELS
        for label in labels:
            for patient in range(4):
                group = "shared" if number in (0, 1) and patient == 0 else f"h{number}p{patient}"
                path = Path(f"/d/{number}-{label}-{patient}.png")
                rows.append(Row(path, source=f"h{number}", group=f"{label}{group}", label=label))
    rows.append(Row(Path("/d/copy.png"), source="h2", group="tumorshared", label="tumor"))
    return Manifest(tuple(rows), "hospitals", Path("/d"))


def test_folds_by_source_part_no_source():
    parted, _ = split_manifest(make_hospitals(), folds=2, by="source")
    folds = {}
    for row in parted.rows:
        folds.setdefault(row.source, set()).add(row.split)
    assert all(len(one) == 1 for one in folds.values())
    assert folds["h0"] == folds["h2"]  # they share a patient
    for fold in ("0", "1"):
        assert {row.label for row in parted.rows if row.split == fold} == set(LABELS)


def test_more_folds_than_sources_are_refused():
    with pytest.raises(DataError, match=r"5 sources cannot be split into 6 parts .* add sources"):
        split_manifest(make_hospitals(), folds=6, by="source")


def test_folds_that_a_manifest_names_stand_before_folds_by_source():
    named = make_hospitals()
    rows = (replace(row, split=str(int(row.source[1]) > 2)) for row in named.rows)
    named = named.with_rows(replace(row, split=str(int(row.split == "True"))) for row in rows)
    parted, notes = fold_manifest(named, folds=2, by="source")
    assert parted == named
    assert "kept" in notes[0]
