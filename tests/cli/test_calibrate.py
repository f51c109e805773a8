"""``tumorlens calibrate``: a new model file whose numbers, and nothing else, have changed."""

import msgspec
import numpy as np
import onnx
import pytest

from models import make_card, write_tiny_model
from score_tables import draw_heads
from sites import write_site
from study_tables import make_study_model
from tumorlens.cli.main import run
from tumorlens.detector import Detector
from tumorlens.evaluation.score_files import write_scores
from tumorlens.imaging.pixels.fingerprint import fingerprint_slice
from tumorlens.imaging.readers import read_slice
from tumorlens.model.card import Figure, OperatingPoint
from tumorlens.model.graph import read_calibration, write_model
from tumorlens.model.seen_entry import encode_fingerprints
from tumorlens.studies.study_model import find_study_model


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site") / "hospital", patients=30).parent


@pytest.fixture
def model(tmp_path):
    figures = [
        Figure(name=name, data="x", split="left out", value=0.5, slices=9, groups=9)
        for name in ("AUC", "sensitivity")
    ]
    points = {
        "balanced": OperatingPoint(low=0.3, middle=0.5, high=0.7),
        "keen": OperatingPoint(low=0.1, middle=0.2, high=0.4),
    }
    card = make_card(figures=figures, operating_points=points)
    return write_tiny_model(tmp_path / "tiny.onnx", card)


def calibrate(*words):
    return run(["calibrate", *map(str, words)])


def test_a_new_model_with_history(site, model, tmp_path, capsys):
    new = tmp_path / "new.onnx"
    assert calibrate(model, site, "--output", new, "--sensitivity", "0.9") == 0
    shown = capsys.readouterr().out
    assert "tiny 0+calibrated.1" in shown
    assert "sensitivity 0.9 at the middle" in shown
    card = Detector(new).card
    entry = card.history[0]
    assert (entry.slices, entry.groups, entry.data) == (60, 30, "hospital")
    assert card.operating_points["balanced"].low <= card.operating_points["balanced"].middle
    # Figures of order hold after a calibration; a sensitivity does not.
    assert [one.split for one in card.figures if one.name == "sensitivity"] == [
        "cross-validated: each group is judged with numbers fitted on other groups"
    ]
    assert any(one.name == "AUC" for one in card.figures)
    before, after = (onnx.load(path).graph for path in (model, new))
    assert [node.SerializeToString() for node in before.node] == [
        node.SerializeToString() for node in after.node
    ]


def test_found_alarm_and_coverage_are_told_before_and_after(site, model, tmp_path, capsys):
    new = tmp_path / "new.onnx"
    assert calibrate(model, site, "--output", new, "--sensitivity", "0.9") == 0
    shown = capsys.readouterr().out
    entry = Detector(new).card.history[0]
    for figures in (entry.before, entry.after):
        told = {one.name: one for one in figures}
        for name in ("found", "alarm", "coverage", "sensitivity", "ece"):
            one = told[name]
            assert one.low <= one.value <= one.high
            assert f"{one.value:.3f}" in shown
        assert told["coverage"].groups == 30
    assert [one.value for one in entry.before] != [one.value for one in entry.after]
    # The model as it was: what evaluate says of it on the same pictures.
    found = [
        one.verdict == "tumor" for one in Detector(model).predict(sorted(site.glob("*-0.png")))
    ]
    assert next(one for one in entry.before if one.name == "found").value == np.mean(found)


def test_a_model_that_cannot_tell_is_warned_of(tmp_path, model, capsys):
    manifest = write_site(tmp_path / "hospital", patients=30)
    lines = manifest.read_text().splitlines()
    # Half of the patients have their labels swapped: nothing can be learned from brightness.
    swap = {",tumor,": ",no_tumor,", ",no_tumor,": ",tumor,"}
    for i in range(1, len(lines), 4):
        for j in (i, i + 1):
            word = next(one for one in swap if one in lines[j])
            lines[j] = lines[j].replace(word, swap[word])
    manifest.write_text("\n".join(lines) + "\n")
    new = tmp_path / "new.onnx"
    assert calibrate(model, manifest, "--output", new, "--sensitivity", "0.9") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Warning: with sensitivity 0.9 at the middle the specificity is only 0." in said
    assert Detector(new).card.history[0].notes[-1].startswith("with sensitivity 0.9")


def test_the_wanted_sensitivity_is_reached_by_the_file(site, model, tmp_path):
    new = tmp_path / "new.onnx"
    assert calibrate(model, site, "--output", new, "--sensitivity", "0.9", "--quiet") == 0
    detector = Detector(new)
    middle = detector.card.operating_points["balanced"].middle
    found = [
        one.tumor_probability >= middle for one in detector.predict(sorted(site.glob("*-0.png")))
    ]
    assert np.mean(found) >= 0.9


def test_other_points_keep_their_verdicts(site, model, tmp_path):
    new = tmp_path / "new.onnx"
    assert calibrate(model, site, "--output", new, "--quiet") == 0
    pictures = sorted(site.glob("*.png"))
    old_point, new_point = (
        [
            "high" if one.tumor_probability >= d.card.operating_points["keen"].high else "low"
            for one in d.predict(pictures)
        ]
        for d in (Detector(model), Detector(new))
    )
    assert old_point == new_point


def test_calibrations_compose(site, model, tmp_path):
    once, twice = tmp_path / "once.onnx", tmp_path / "twice.onnx"
    assert calibrate(model, site, "--output", once, "--quiet") == 0
    assert (
        calibrate(once, site, "--output", twice, "--quiet", "--operating-point", "screening") == 0
    )
    card = Detector(twice).card
    assert card.version == "0+calibrated.2"
    assert set(card.operating_points) == {"balanced", "keen", "screening"}
    # The second fit starts where the first ended, and finds less left to do.
    first, second = read_calibration(once).scale, read_calibration(twice).scale
    assert abs(np.log(second / first)) < abs(np.log(first))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--sensitivity", "0.99"],
            "30 groups (patients) with slices labelled tumor; "
            "expected at least 100 for a rate of 0.99: add 70 more",
        ),
        (["--sensitivity", "0.9", "--specificity", "0.9"], "not both"),
        (["--sensitivity", "1.5"], "1.5 is not in the range"),
        (["--coverage", "1.5"], "1.5 is not in the range"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    site, model, tmp_path, capsys, words, message
):
    new = tmp_path / "new.onnx"
    assert calibrate(model, site, "--output", new, *words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("new*"))


@pytest.fixture
def remembering(site, tmp_path):
    """A model that was trained on one picture of each of four patients."""
    slices = [read_slice(site / f"{patient}-1.png") for patient in range(4)]
    fingerprints = encode_fingerprints(fingerprint_slice(one) for one in slices)
    return write_tiny_model(tmp_path / "remembering.onnx", seen=fingerprints)


def test_patients_that_were_in_training_are_left_out_and_counted(
    site, remembering, tmp_path, capsys
):
    new = tmp_path / "new.onnx"
    assert calibrate(remembering, site, "--output", new) == 0
    entry = Detector(new).card.history[0]
    # With the picture goes the patient: the other slice shows the same head.
    assert (entry.slices, entry.groups) == (52, 26)
    words = "8 slices of 4 groups were left out, because the model has seen pictures of them in"
    assert words in entry.notes[0]
    assert words in " ".join(capsys.readouterr().out.split())


def test_seen_patients_count_only_where_that_is_asked_and_said(site, remembering, tmp_path, capsys):
    new = tmp_path / "new.onnx"
    assert calibrate(remembering, site, "--output", new, "--with-seen") == 0
    entry = Detector(new).card.history[0]
    assert entry.groups == 30
    assert "4 slices of 4 groups that the model has seen in training are counted" in entry.notes[0]
    assert "Note: 4 slices of 4 groups" in " ".join(capsys.readouterr().out.split())


def test_too_few_unseen_patients_are_refused(tmp_path, capsys):
    site = write_site(tmp_path / "clinic", patients=22).parent
    slices = [read_slice(site / f"{patient}-1.png") for patient in range(5)]
    fingerprints = encode_fingerprints(fingerprint_slice(one) for one in slices)
    model = write_tiny_model(tmp_path / "m.onnx", seen=fingerprints)
    assert calibrate(model, site, "--output", tmp_path / "new.onnx") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "17 groups (patients) with slices labelled tumor" in said
    assert "10 slices of 5 groups were left out" in said
    assert not (tmp_path / "new.onnx").exists()


def test_a_model_without_a_memory_cannot_tell_and_it_says_so(site, model, tmp_path):
    new = tmp_path / "new.onnx"
    assert calibrate(model, site, "--output", new, "--quiet") == 0
    assert "does not say which pictures it was trained on" in Detector(new).card.history[0].notes[0]


def test_a_model_needs_a_place_to_go(site, model, capsys):
    assert calibrate(model, site) == 2
    assert "--output NEW.onnx is missing" in capsys.readouterr().err


def test_the_old_card_is_left_alone(site, model, tmp_path):
    before = model.read_bytes()
    assert calibrate(model, site, "--output", tmp_path / "new.onnx", "--quiet") == 0
    assert model.read_bytes() == before
    assert msgspec.json.decode(Detector(model).card.to_json())["history"] == []


def test_bad_wishes_are_refused_before_the_cases_are_judged(site, model, tmp_path, capsys):
    new = tmp_path / "new.onnx"
    assert calibrate(model, site, "--output", new, "--operating-point", " ") == 2
    assert "an operating point needs a name" in capsys.readouterr().err
    assert calibrate(model, site, "--output", new, "--run-log", new) == 2
    assert "is named for two results" in capsys.readouterr().err
    assert calibrate(model, site, "--output", new, "--run-log", tmp_path / "no" / "log.json") == 2
    assert "its folder does not exist" in capsys.readouterr().err
    assert not new.exists()


# Series and studies


@pytest.fixture
def held_out(tmp_path):
    """Two files of held-out scores, of 40 patients each, half of them with a tumor."""
    files = []
    for name, seed in (("a", 1), ("b", 2)):
        write_scores(tmp_path / f"{name}.csv", draw_heads(80, seed=seed, prefix=name))
        files += ["--scores", tmp_path / f"{name}.csv"]
    return files


def test_held_out_scores_give_a_model_its_numbers_for_studies(model, held_out, tmp_path, capsys):
    new = tmp_path / "new.onnx"
    assert calibrate(model, *held_out, "--output", new) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Whole studies, judged with numbers fitted on the other fold" in shown
    numbers = find_study_model(Detector(new))
    assert "80 patients with and 80 without a tumor" in numbers.fitted_on
    assert read_calibration(new) == read_calibration(model)
    assert Detector(new).card.operating_points == Detector(model).card.operating_points


def test_misses_promise_and_tell_the_cost(model, held_out, tmp_path, capsys):
    first, new = tmp_path / "first.onnx", tmp_path / "new.onnx"
    assert calibrate(model, *held_out[:2], "--output", first, "--quiet") == 0
    words = ("--misses", "0.1", "--operating-point", "screening", "--output", new)
    assert calibrate(first, *held_out[2:], *words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "at most 0.1 of tumor studies missed, with 95 % confidence" in shown
    assert "false alarms in 40 tumor-free studies" in shown
    old, numbers = (find_study_model(Detector(path)) for path in (first, new))
    assert numbers.study_points["balanced"] == old.study_points["balanced"]
    assert numbers.study_points["screening"].meaning in Detector(new).card.history[-1].change
    assert read_calibration(new) == read_calibration(model)


def test_a_new_point_of_studies_serves_predict(model, held_out, tmp_path):
    first, new = tmp_path / "first.onnx", tmp_path / "new.onnx"
    assert calibrate(model, *held_out[:2], "--output", first, "--quiet") == 0
    words = ("--misses", "0.1", "--operating-point", "screening", "--output", new)
    assert calibrate(first, *held_out[2:], *words, "--quiet") == 0
    points = Detector(new, operating_point="screening").card.operating_points
    assert points["screening"] == points["balanced"]


@pytest.mark.parametrize(
    "wish",
    [
        ("--operating-point", "mine"),
        ("--sensitivity", "0.9"),
        ("--coverage", "0.8"),
        ("--with-seen",),
        ("--twins",),
        ("--separate-groups",),
        ("--map", "yes=tumor"),
        ("--misses", "0.1", "--coverage", "0.8"),
    ],
)
def test_held_out_scores_set_no_point_of_slices(model, held_out, tmp_path, capsys, wish):
    new = tmp_path / "new.onnx"
    assert calibrate(model, *held_out, *wish, "--output", new) == 2
    idle = "--coverage" if "--coverage" in wish else wish[0]
    assert f"{idle} has no effect" in " ".join(capsys.readouterr().err.split())
    assert not new.exists()


def test_held_out_scores_are_parted_by_split(model, held_out, tmp_path, capsys):
    words = ("--split", "banana", "--output", tmp_path / "new.onnx")
    assert calibrate(model, *held_out, *words) == 2
    assert "no row has the split 'banana'" in " ".join(capsys.readouterr().err.split())


def test_misses_that_cannot_be_promised_are_refused(model, held_out, tmp_path, capsys):
    first, new = tmp_path / "first.onnx", tmp_path / "new.onnx"
    assert calibrate(model, *held_out[:2], "--output", first, "--quiet") == 0
    assert calibrate(first, *held_out[2:], "--misses", "0.02", "--output", new) == 2
    assert "expected at least 149: add 109 more" in capsys.readouterr().err
    assert calibrate(model, *held_out[2:], "--misses", "0.1", "--output", new) == 2
    assert "has no study model" in capsys.readouterr().err
    assert not new.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--misses", "0.1", "--sensitivity", "0.9"), "not both"),
        ((), "expected MODEL and DATA"),
    ],
)
def test_contradictions_are_refused(model, tmp_path, held_out, words, said, capsys):
    files = held_out if words else ()
    assert calibrate(model, *files, *words, "--output", tmp_path / "new.onnx") == 2
    assert said in capsys.readouterr().err


def test_whole_heads_of_a_site_are_shown_before_and_after(model, tmp_path, capsys):
    numbers = make_study_model().to_json()
    write_model(model, tmp_path / "with.onnx", studies=numbers)
    ill = write_site(tmp_path / "ill", patients=22, slices=6)
    well = write_site(tmp_path / "well", patients=22, slices=6, seed=1, healthy=True)
    new = tmp_path / "new.onnx"
    assert calibrate(tmp_path / "with.onnx", ill, well, "--output", new) == 0
    shown = capsys.readouterr().out
    assert "studies: false alarms per 100 tumor-free" in shown
    assert "shifted to 44 studies" in find_study_model(Detector(new)).fitted_on
