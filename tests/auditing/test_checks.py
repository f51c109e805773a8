"""Faults planted in a clean set are found, and nothing is found in the clean one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditing.planting import Site, list_checks, paint_ct, paint_page
from tumorlens.auditing.appearance import Appearance
from tumorlens.auditing.checks import PASSES, audit_manifest
from tumorlens.auditing.composition import find_ties
from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.oddities import find_oddities, find_other_planes
from tumorlens.auditing.traits import Traits
from tumorlens.data.manifest import read_manifest
from tumorlens.data.rows import Row

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


def audit(site, **options):
    return audit_manifest(read_manifest(site.write()), **options)


def find(audited, check):
    return next((one for one in audited.findings if one.check == check), None)


def names(audited, rows):
    return {audited.rows[row].path.name for row in rows}


def test_a_clean_set_is_clean_and_progress_is_whole(site):
    steps = []
    audited = audit(site, progress=steps.append)
    assert list_checks(audited.findings) == []
    assert audited.distinct == audited.own == 48
    assert sum(steps) == PASSES * 48
    assert [one.name for one in audited.estimates] == ["label_from_file", "label_from_prepared"]
    assert any("the source can be predicted" in note for note in audited.notes)


def test_a_leaked_patient_and_a_leaked_copy(site):
    for row in site.of(split="train")[:6:2]:
        row["split"] = "test"  # its second slice stays in train
    for row in site.of(split="train", label="no_tumor")[-3:]:
        site.add_copy(row, group="", split="test")
    audited = audit(site)
    leaked = find(audited, "groups across splits")
    assert (leaked.kind, len(leaked.rows)) == ("leakage", 6)
    assert {audited.rows[row].split for row in leaked.leave_out} == {"train"}
    copies = find(audited, "copies across splits")
    assert names(audited, copies.rows) >= {row["path"] for row in site.rows[-3:]}
    assert len(copies.rows) == 6
    assert leaked.severity == "serious"


def test_versions_of_one_image_on_two_sides(site):
    train, test = site.of(split="train")[0], site.of(split="test", label="no_tumor")[0]
    for number, row in enumerate((train | {"label": "no_tumor"}, test)):
        place = f"y1_png.rf.0123456789abcdef{number}.png"
        (site.folder / row["path"]).rename(site.folder / place)
        (train, test)[number].update(path=place, label="no_tumor")
    leaked = find(audit(site), "edited copies across splits")
    assert leaked.title.startswith("1 image with edited copies in more than one of test and train")


def test_only_the_held_out_side_is_counted_whatever_it_is_called(tmp_path):
    site = Site(tmp_path / "site", patients=6)
    for row in site.rows:
        row["split"] = {"test": "Testing", "train": "Training"}[row["split"]]
    site.rows[0]["split"] = "Testing"
    leaked = find(audit(site), "groups across splits")
    assert "1 of 5 held-out pictures" in leaked.title
    assert leaked.leave_out == (1,)


def test_flipped_labels_of_copies(site):
    for row in site.of(label="tumor", split="train")[:3]:
        site.add_copy(row, label="no_tumor")
    site.open(row).save(site.folder / "same.png")
    site.rows.append(row | {"path": "same.png"})  # an exact copy shares its fate
    audited = audit(site)
    conflict = find(audited, "two labels")
    assert (conflict.kind, len(conflict.rows)) == ("conflicts", 7)
    assert conflict.leave_out == conflict.rows
    assert all(len(example.rows) == 2 for example in conflict.examples)
    assert "mirrored" in conflict.examples[0].words


def test_exact_and_near_copies_and_divided_groups(site):
    first, second, third = site.of(split="train", label="no_tumor")[:5:2]
    for row in (first, second, third):
        site.add_copy(row, group=f"new {row['group']}")
        path = f"same {row['path']}"
        site.open(row).save(site.folder / path)
        site.rows.append(row | {"path": path})
    audited = audit(site)
    assert len(find(audited, "exact copies").rows) == 6
    assert "3 pictures copied" in find(audited, "near copies").title
    assert "mirrored" in find(audited, "near copies").title
    assert 6 <= len(find(audited, "copies in two groups").rows) <= 9
    assert audited.distinct == 48


def test_neighbours_in_a_series_are_no_copies(tmp_path):
    site = Site(tmp_path / "site", patients=4)
    row = site.rows[0]
    site.add_copy(row, label="no_tumor")
    manifest = read_manifest(site.write())
    assert find(audit_manifest(manifest), "two labels") is not None
    placed = manifest.with_rows(replace(one, position=0.5) for one in manifest.rows)
    assert list_checks(audit_manifest(placed).findings) == []


@pytest.mark.parametrize(("position", "found"), [(0.5, True), (0.95, False), (0.02, False)])
def test_ends_of_two_heads_may_look_alike(tmp_path, position, found):
    site = Site(tmp_path / "site", patients=4)
    site.add_copy(site.rows[0], label="no_tumor", group="another")
    manifest = read_manifest(site.write())
    placed = manifest.with_rows(replace(one, position=position) for one in manifest.rows)
    assert (find(audit_manifest(placed), "two labels") is not None) == found


@pytest.mark.parametrize(
    ("check", "plant"),
    [
        ("mask of another size", lambda site, row: site.halve(row)),
        ("mask is empty", lambda site, row: write_mask(site, row, np.s_[:0])),
        ("mask outside the head", lambda site, row: write_mask(site, row, np.s_[:12, :12])),
        ("mask cannot be read", lambda site, row: row.update(mask="nowhere.png")),
        ("box outside the picture", lambda site, row: row.update(box="100 100 300 300")),
        ("box outside the head", lambda site, row: row.update(box="0 0 20 12", mask="")),
        ("box without its mask", lambda site, row: row.update(box="90 60 110 80")),
        ("mask on a no-tumor slice", lambda site, row: row.update(label="no_tumor", box="")),
        ("box on a no-tumor slice", lambda site, row: row.update(label="no_tumor", mask="")),
    ],
)
def test_misfits(tmp_path, check, plant):
    site = Site(tmp_path / "site", patients=8)
    planted = site.of(label="tumor")[:6:2]
    for row in planted:
        plant(site, row)
    audited = audit(site)
    misfit = find(audited, check)
    assert misfit is not None, [one.check for one in audited.findings]
    assert names(audited, misfit.rows) == {row["path"] for row in planted}
    assert [one.check for one in audited.of_kinds(["annotations"])] == [check]


def write_mask(site, row, where):
    mask = np.zeros((160, 160), np.uint8)
    mask[where] = 255
    Image.fromarray(mask).save(site.folder / row["mask"])
    row["box"] = ""


def test_text_burnt_into_one_class(site):
    burnt = site.of(label="tumor")
    for row in burnt:
        site.burn(row)
    audited = audit(site)
    assert names(audited, find(audited, "burnt-in text").rows) == {row["path"] for row in burnt}
    assert (
        "100 % of the tumor pictures and on 0 %"
        in find(audited, "burnt-in text predicts the label").title
    )
    warning = find(audited, "label predicted without the brain, the files")
    assert warning.estimate.value > 0.9
    assert warning.severity in ("critical", "serious")


def test_unreadable_and_odd_files(tmp_path):
    site = Site(tmp_path / "site", patients=8)
    broken, blank, long, flat = site.of(label="no_tumor")[:4]
    (site.folder / broken["path"]).write_bytes(b"no picture")
    Image.new("L", (160, 160)).save(site.folder / blank["path"])
    site.open(long).resize((40, 160)).save(site.folder / long["path"])
    site.open(flat).point(lambda value: 200 * (value > 100)).save(site.folder / flat["path"])
    audited = audit(site)
    unreadable = find(audited, "unreadable files")
    assert names(audited, unreadable.rows) == {broken["path"], blank["path"]}
    assert unreadable.leave_out == unreadable.rows
    assert names(audited, find(audited, "odd size").rows) == {long["path"]}
    assert names(audited, find(audited, "extreme contrast").rows) == {flat["path"]}


def test_cts_and_pages_among_heads(site):
    cts, pages = site.of(split="train")[:5:2], site.of(split="test")[:5:2]
    for seed, row in enumerate(cts):
        site.replace(row, paint_ct(seed))
    for row in pages:
        site.replace(row, paint_page(row["path"]))
    audited = audit(site)
    assert names(audited, find(audited, "CT in place of MRI").rows) == {r["path"] for r in cts}
    assert names(audited, find(audited, "no head").rows) == {row["path"] for row in pages}


def test_heads_that_stand_upside_down(tmp_path):
    site = Site(tmp_path / "site", patients=4)
    turned = site.of(label="no_tumor")[:3]
    for row, name in zip(
        turned, ("t1_axial_normal", "t1c_axial_synthetic_lesion") * 2, strict=False
    ):
        site.replace(row, Image.open(EXAMPLES / f"{name}.png").rotate(180))
    assert names(audit(site), find(audit(site), "upside-down").rows) == {r["path"] for r in turned}


def test_planes_are_compared_with_the_usual_one():
    def look(*views):
        return Traits(appearance=Appearance(tuple(float(n in views) for n in range(7)), 0.0))

    rows = tuple(Row(Path(f"/{n}.png"), label="tumor" if n > 2 else "no_tumor") for n in range(6))
    traits = (look(0), look(0), look(3), look(1), look(2), look(6))
    evidence = Evidence(rows, 6, traits, ())
    (other,) = find_other_planes(evidence)
    assert other.rows == (3, 4)
    assert "3 axial, 1 coronal, 1 sagittal, 0 unknown" in other.title
    assert [one.words for one in other.examples] == ["coronal", "sagittal"]
    assert list(find_ties(evidence)) == []  # of six slices that may be chance
    ties = {one.check: one for one in find_ties(Evidence(4 * rows, 24, 4 * traits, ()))}
    assert "coronal, sagittal" in ties["plane predicts the label"].title
    assert list(ties) == ["plane predicts the label"]
    assert list(find_other_planes(Evidence(rows[:1], 1, traits[:1], ()))) == []


def test_what_cannot_be_read_ties_nothing_to_the_label():
    axial = Appearance((1.0,) + (0.0,) * 6, 0.0)
    seen = [Traits(appearance=axial)] * 20 + [Traits(error="broken")] * 20
    rows = [Row(Path(f"/{n}.png"), label="tumor" if n < 20 else "no_tumor") for n in range(40)]
    assert list(find_ties(Evidence(tuple(rows), 40, tuple(seen), ()))) == []


@pytest.mark.parametrize(("count", "doubted"), [(2, True), (3, False)])
def test_a_finding_as_rare_as_mistakes_is_doubted(count, doubted):
    views = [tuple(float(n == view) for n in range(7)) for view in (0, 3)]
    traits = [Traits(appearance=Appearance(views[n < count], 0.0)) for n in range(100)]
    rows = tuple(Row(Path(f"/{n}.png")) for n in range(100))
    found = find_oddities(Evidence(rows, 100, tuple(traits), ()))
    (turned,) = (one for one in found if one.check == "upside-down")
    assert ("by mistake" in turned.title) == doubted
    assert turned.impact == pytest.approx(0.1 * count / 100 * (0.2 if doubted else 1))


def test_nothing_is_told_of_the_ends_of_heads():
    below = Appearance((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), 1.0)  # upside-down, and a CT
    rows = tuple(Row(Path(f"/{n}.png"), position=n / 20) for n in range(21))
    evidence = Evidence(rows, 21, (Traits(appearance=below),) * 21, ())
    found = {one.check: one.rows for one in find_oddities(evidence)}
    assert found["upside-down"] == found["CT in place of MRI"] == tuple(range(2, 19))


def test_a_set_against_another(site, tmp_path):
    other = Site(tmp_path / "other", patients=6, seed=1000)
    for row in site.rows[:3]:
        name = f"from {row['path']}"
        site.open(row).rotate(90).save(other.folder / name)
        other.rows.append(row | {"path": name, "group": "", "mask": ""})
    audited = audit(site, against=read_manifest(other.write()))
    shared = find(audited, "copies in both sets")
    assert (shared.kind, len(shared.rows), len(shared.leave_out)) == ("leakage", 6, 3)
    assert max(shared.leave_out) < audited.own
    assert audited.against == "other"


def test_sources_with_one_label_each(site):
    for row in site.rows:
        row["source"] = f"clinic of {row['label']}"
    tie = find(audit(site), "source predicts the label")
    assert tie.kind == "balance"
    assert "AUC 1.00" in tie.title
    assert "clinic of no_tumor, clinic of tumor have only one label" in tie.title


def test_a_rare_label(site):
    site.rows = site.of(label="tumor") + site.of(label="no_tumor")[:2]
    assert "24 slices with a tumor, 2 without" in find(audit(site), "uneven labels").title
