"""`train_model`: one small run with all that it leaves."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import tumorlens
from painter import write_manifest
from score_tables import make_scores
from tiny_training import ONE_PHASE, make_recipe, make_request, stop_after
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.splits import leave_out, split_manifest
from tumorlens.errors import DataError, RecipeError
from tumorlens.evaluation.score_files import read_scores, write_scores
from tumorlens.imaging.pixels.fingerprint import fingerprint_slice
from tumorlens.imaging.readers import read_slices
from tumorlens.model.graph import read_calibration, write_model
from tumorlens.model.seen_entry import encode_fingerprints, load_seen_test
from tumorlens.model.session import Session
from tumorlens.training.finishing import calibrated_model
from tumorlens.training.folds import train_folds
from tumorlens.training.journal import read_run
from tumorlens.training.run import open_run, train_model

CLASSES = ["no_tumor", "glioma", "meningioma", "pituitary"]


# One run: two hospitals, one of them left out, types of tumor, boxes


@pytest.fixture(scope="module")
def ended(tmp_path_factory, weights):
    """A request, what came out, and what was said on the way."""
    root = tmp_path_factory.mktemp("ended")
    near = write_manifest(root / "near", 13, source="near", annotation="box", classes=CLASSES[1:])
    far = write_manifest(root / "far", 5, source="far", classes=CLASSES[1:])
    merged = merge_manifests([read_data(near), read_data(far)])
    kept, left_out, _ = leave_out(merged, ["far"])
    recipe = make_recipe(network={"classes": CLASSES}, loss={"types": 0.3}, phases=ONE_PHASE)
    said = []
    request = make_request(
        kept, root / "run", weights, recipe,
        left_out=left_out, left_out_counts={"far": 10}, notice=said.append,
    )  # fmt: skip
    torch.set_default_dtype(torch.float64)  # as the program of a caller may
    try:
        return request, train_model(request), said
    finally:
        assert torch.get_default_dtype() is torch.float64
        torch.set_default_dtype(torch.float32)


def test_the_folder_holds_what_it_shall(ended):
    request, result, _ = ended
    names = {path.name for path in request.folder.iterdir()}
    assert names == {
        "run.json", "curves.csv", "model.onnx", "scores.csv", "figures.json", "checkpoints",
    }  # fmt: skip
    assert result.model == request.folder / "model.onnx"


def test_the_recipe_is_saved_as_used(ended):
    request, _, _ = ended
    described = read_run(request.folder)
    assert described["recipe"] == request.recipe.to_record()
    assert described["recipe"]["network"]["dropout"] == 0.1
    assert described["recipe"]["weight_decay"] == 0.01  # a default
    assert described["data"]["slices"] == 26
    assert described["data"]["groups"] == 13
    assert described["data"]["sources"] == {"near": 26}
    assert described["data"]["left_out"] == {"far": 10}
    assert len(described["data"]["fingerprint"]) == 64


def test_the_card_tells_what_the_model_was_made_from(ended):
    request, result, _ = ended
    session = Session(result.model)
    training = session.card.training
    assert training.recipe == request.recipe.to_record()
    assert training.left_out == {"far": 10}
    assert sum(training.sources.values()) < 26  # validation groups are not trained on
    assert training.groups < 13
    assert session.card.classes == CLASSES
    assert session.card.preprocess == request.recipe.input
    assert session.seen


def test_the_model_has_seen_all_that_it_was_trained_and_validated_on(ended):
    job, outcome, _ = ended
    has_seen = load_seen_test(Session(outcome.model))
    slices = [one for row in job.manifest.rows for one in read_slices(row.path)]
    assert len(slices) == 26
    assert all(has_seen(one) for one in slices)


def test_predict_takes_the_model_at_once(ended):
    request, result, _ = ended
    findings = tumorlens.predict(request.manifest.rows[0].path, model=result.model)
    assert len(findings) == 1
    assert set(findings[0].probabilities) == set(CLASSES)
    assert sum(findings[0].probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_the_model_is_calibrated_on_held_out_groups(ended):
    _, result, _ = ended
    point = Session(result.model).card.operating_points["balanced"]
    assert 0 < point.low <= point.middle <= point.high < 1
    assert read_calibration(result.model).unfamiliarity > 0
    assert len(result.validation) >= 4
    assert (result.validation.thresholds == [point.low, point.middle, point.high]).all()


def test_scores_are_those_of_the_left_out_alone(ended):
    request, result, _ = ended
    scores = read_scores(request.folder / "scores.csv")
    assert len(scores) == len(result.test) == 10
    assert {row.source for row in scores.rows} == {"far"}
    (finding,) = tumorlens.predict(scores.rows[3].path, model=result.model)
    assert scores.tumor_probability[3] == pytest.approx(finding.tumor_probability, abs=1e-5)
    assert result.copies == 0


def test_the_run_says_what_it_does(ended):
    _, _, said = ended
    assert said[0] == "initial weights: w.safetensors"
    assert said[1].startswith("training: ")
    assert said[2].startswith("validation: ")
    assert said[3] == "phase 1 of 1, short: 1 epoch"
    assert said[4].startswith("short, epoch 1 of 1: loss ")


def test_a_folder_of_another_recipe_or_other_data_is_refused(ended):
    request, _, _ = ended
    other = replace(request, recipe=make_recipe(batch=4, phases=ONE_PHASE))
    fewer = replace(request, manifest=request.manifest.where(lambda row: row.group != "near-00"))
    for wrong in (other, fewer):
        with pytest.raises(DataError, match="holds a run with another recipe or other data"):
            train_model(wrong)
    assert read_run(request.folder)["recipe"] == request.recipe.to_record()


def test_the_card_holds_what_was_measured_on_the_held_out(ended):
    _, result, _ = ended
    figures = {one.name: one for one in Session(result.model).card.figures}
    whole = result.evaluation.leading
    for name in ("auc", "sensitivity", "found", "alarm", "unfamiliar"):
        assert figures[name].value == pytest.approx(whole.find(name).value, abs=1e-4)
    assert figures["auc"].data == "far"
    assert figures["auc"].split == "left out on request"
    assert (figures["auc"].slices, figures["found"].slices) == (10, 5)


def test_validation_pictures_are_familiar(ended):
    """They are the only ones not trained on of the sources that it was trained on."""
    _, result, said = ended
    assert result.familiarity.slices == len(result.validation)
    assert result.familiarity.passed
    assert result.familiarity.words in said
    assert Session(result.model).card.known_failures == []


@pytest.mark.slow
def test_the_mean_of_models_is_calibrated_without_an_epoch(ended, tmp_path):
    request, result, _ = ended
    still = [{**one, "epochs": 0} for one in ONE_PHASE]
    recipe = make_recipe(network={"classes": CLASSES}, loss={"types": 0.3}, phases=still)
    said = []
    one = make_request(request.manifest, tmp_path / "run", result.model, recipe, notice=said.append)
    mean = train_model(replace(one, weights=(result.model, result.model)))
    assert said[0] == "initial weights: the mean of 2 models: model.onnx, model.onnx"
    assert not (tmp_path / "run/curves.csv").exists()
    before, after = (Session(model) for model in (result.model, mean.model))
    assert after.card.training.seconds == 0
    path = request.manifest.rows[0].path
    found, expected = (tumorlens.predict(path, model=one.path)[0] for one in (after, before))
    assert found.tumor_probability == pytest.approx(expected.tumor_probability, abs=1e-3)


def test_of_weights_of_imagenet_no_mean_is_taken(ended, tmp_path, weights):
    request, result, _ = ended
    several = replace(request, folder=tmp_path / "run", weights=(result.model, weights))
    with pytest.raises(DataError, match=r"w\.safetensors: is no model of tumorlens"):
        train_model(several)
    assert not (tmp_path / "run").exists()


def test_a_model_that_calls_its_own_sources_unfamiliar_says_so(tmp_path, weights, monkeypatch):
    """The limit is put where hardly a picture lies below it."""
    monkeypatch.setattr("tumorlens.training.familiarity.OWN_QUANTILE", 0.0)
    monkeypatch.setattr(calibrated_model, "find_raise", lambda values: 1.0)
    data = read_data(write_manifest(tmp_path / "data", 40))
    recipe = make_recipe(phases=ONE_PHASE, data={"test": 0.3})
    said = []
    result = train_model(make_request(data, tmp_path / "run", weights, recipe, notice=said.append))
    assert result.familiarity.slices == len(result.test)
    assert not result.familiarity.passed
    assert result.familiarity.words in said
    (failure,) = Session(result.model).card.known_failures
    assert failure == result.familiarity.words
    assert "are flagged as unfamiliar; at most 5 % should be" in failure


def test_rows_that_a_recipe_leaves_out_are_told(tmp_path, weights):
    data = read_data(write_manifest(tmp_path / "data", 14))
    notes = ["CT head, doubtful", "CT head", "abdomen CT"]
    rows = [replace(row, note=note) for row, note in zip(data.rows, notes, strict=False)]
    rows += [replace(data.rows[3], label=""), *data.rows[4:]]
    recipe = make_recipe(phases=ONE_PHASE, data={"exclude_notes": ["CT head", "abdomen CT"]})
    stop = stop_after(said := [], "initial weights")
    with pytest.raises(KeyboardInterrupt):
        train_model(
            make_request(data.with_rows(rows), tmp_path / "run", weights, recipe, notice=stop)
        )
    assert said[0] == (
        "4 slices are left out of training: 2 whose note says 'CT head' (data.exclude_notes), "
        "1 whose note says 'abdomen CT' (data.exclude_notes), 1 with no label"
    )


def test_weights_of_another_style_are_told(tmp_path):
    """No weights are named, so that torchvision's would be fetched."""
    data = read_data(write_manifest(tmp_path / "data", 12))
    recipe = make_recipe(phases=ONE_PHASE, network={"normalization": "tensorflow"})
    stop = stop_after(said := [], "note: the recipe prepares images as weights of tensorflow")
    with pytest.raises(KeyboardInterrupt):
        train_model(make_request(data, tmp_path / "run", None, recipe, notice=stop))
    assert "`weights='default'` starts from the bundled model" in said[-1]


# Folds


def test_folds_hold_out_every_row_once_and_resume(tmp_path, weights):
    """The first fold has ended before a break; only the second is trained."""
    manifest = read_data(write_manifest(tmp_path / "data", 22))
    recipe = make_recipe(phases=ONE_PHASE, data={"test": 0.3})
    said = []
    request = make_request(manifest, tmp_path / "run", weights, recipe, notice=said.append)
    with pytest.raises(KeyboardInterrupt):
        train_folds(replace(request, notice=stop_at("initial weights: w.safetensors")), 2)
    parted, _ = split_manifest(manifest, folds=2, seed=recipe.seed)
    rows = parted.where(lambda row: row.split == "0").rows
    write_scores(request.folder / "fold-0/scores.csv", make_scores(rows, np.full(len(rows), 0.25)))
    scores = train_folds(request, 2).test
    assert "fold 0: done before" in said
    assert sorted(row.path for row in scores.rows) == sorted(row.path for row in manifest.rows)
    assert (scores.tumor_probability[scores.fold == "0"] == 0.25).all()
    assert not (scores.tumor_probability[scores.fold == "1"] == 0.25).any()
    for group in manifest.groups:
        assert len(set(scores.fold[scores.group == group])) == 1
    written = read_scores(request.folder / "scores.csv")
    np.testing.assert_allclose(written.tumor_probability, scores.tumor_probability, atol=1e-6)
    assert read_run(request.folder / "fold-1")["recipe"]["data"]["test"] == 0


def stop_at(words):
    def notice(said):
        if said == words:
            raise KeyboardInterrupt

    return notice


def test_a_refused_run_leaves_what_was_there_before(tmp_path, weights, ended):
    manifest = read_data(write_manifest(tmp_path / "data", 12))
    one = manifest.with_rows(replace(row, group="everybody") for row in manifest.rows)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        train_model(make_request(one, tmp_path / "empty", weights))
    assert list((tmp_path / "empty").iterdir()) == []
    before = sorted(path.name for path in ended[0].folder.iterdir())
    with pytest.raises(DataError):
        train_model(make_request(one, ended[0].folder, weights))
    assert sorted(path.name for path in ended[0].folder.iterdir()) == before


def test_curves_are_numbers(ended):
    request, _, _ = ended
    with (request.folder / "curves.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert json.loads(row["train_total"]) > 0
    assert json.loads(row["train_types"]) > 0


# Teachers


@pytest.mark.slow
def test_a_network_learns_from_teachers_and_has_seen_what_they_have(ended, tmp_path):
    """One teacher has seen the pictures of the left-out hospital, so that they count as seen."""
    request, result, _ = ended
    far = write_manifest(tmp_path / "far", 11, source="far", classes=CLASSES[1:])
    left_out = read_data(far)
    insider = tmp_path / "insider/model.onnx"
    insider.parent.mkdir()
    prints = [fingerprint_slice(one) for row in left_out.rows for one in read_slices(row.path)]
    write_model(result.model, insider, seen=encode_fingerprints(prints))
    recipe = make_recipe(phases=ONE_PHASE, loss={"teacher": 1.0}, network={"classes": CLASSES})
    said = []
    taught = replace(
        request, recipe=recipe, folder=tmp_path / "run", teachers=(result.model, insider),
        left_out=left_out, notice=said.append,
    )  # fmt: skip
    made = train_model(taught)
    with (taught.folder / "curves.csv").open(encoding="utf-8", newline="") as stream:
        assert all(float(row["train_teacher"]) > 0 for row in csv.DictReader(stream))
    names = [f"model.onnx {Session(one).sha256}" for one in (result.model, insider)]
    assert read_run(taught.folder)["learned_from"] == names
    assert Session(made.model).card.training.learned_from == names
    assert made.test.seen.mean() == 1
    card = Session(made.model).card
    assert {one.split for one in card.figures if "SEEN" not in one.split} == set()
    assert not card.figures or "too optimistic" in card.known_failures[-1]
    assert np.isnan(result.test.seen).all()
    assert any("validation slices were in the training of a model" in words for words in said)


@pytest.mark.parametrize(
    ("weight", "count", "words"),
    [
        (0.5, 0, "`loss.teacher` is 0.5 but no teacher was given: give a model as `teachers=`"),
        (0.0, 1, "1 teacher was given but `loss.teacher` is 0: set it above 0 or drop the teacher"),
        (0.0, 2, "2 teachers were given but `loss.teacher` is 0: set it above 0 or drop the teach"),
    ],
)
def test_a_teacher_without_its_weight_is_refused(ended, weight, count, words):
    request, result, _ = ended
    recipe = make_recipe(phases=ONE_PHASE, loss={"teacher": weight})
    with pytest.raises(RecipeError, match=words):
        replace(request, recipe=recipe, teachers=(result.model,) * count)


def test_a_run_from_before_a_key_of_the_recipe_was_there_goes_on(ended):
    request, _, _ = ended
    file = request.folder / "run.json"
    described = json.loads(file.read_text())
    del described["recipe"]["loss"]["teacher"]
    file.write_text(json.dumps(described))
    open_run(request)
    assert read_run(request.folder)["recipe"]["loss"]["teacher"] == 0.0
