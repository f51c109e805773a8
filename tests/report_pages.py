"""One page of each kind that reports have, small and real: for tests and for screenshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from auditing.planting import Site
from builders import write_nifti
from score_tables import draw_heads, draw_scores
from tumorlens.auditing.checks import audit_manifest
from tumorlens.data.manifest import read_manifest
from tumorlens.detector import Detector
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.scores import Scores, as_text
from tumorlens.predicting.recording import write_records
from tumorlens.report.audits.audit_pages import build_audit_page
from tumorlens.report.evaluations.evaluation_pages import (
    build_evaluation_page,
    build_evaluation_sections,
)
from tumorlens.report.evaluations.galleries import show_mistakes
from tumorlens.report.model_cards import build_card_page
from tumorlens.report.pages import Page, write_page
from tumorlens.report.trainings.training_pages import build_training_page
from tumorlens.report.tunings.tuning_pages import build_tuning_page
from tumorlens.training.recipe import read_recipe
from tumorlens.tuning.outcome import Gain, Trial, Tuning
from tumorlens.version import list_versions

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SOURCES = ("university hospital", "clinic of the north", "archive", "public set")


def write_pages(folder: Path, only: Sequence[str] = ()) -> dict[str, Path]:
    """Write every page, or some of them; the kind of page -> its file."""
    makers: dict[str, Callable[[Path], Page | None]] = {
        "verdict": lambda file: _predict(sorted(EXAMPLES.glob("*.png")), file),
        "study": lambda file: _predict([_stack_volume(folder / "t2_axial.nii.gz")], file),
        "card": lambda file: build_card_page(Detector(threads=1).card, sha256="ab12" * 16),
        "evaluation": lambda file: _evaluate(),
        "audit": lambda file: _audit(folder / "site"),
        "training": lambda file: _train(folder / "curves.csv"),
        "tuning": lambda file: build_tuning_page(draw_tuning(folder)),
    }
    makers = {name: make for name, make in makers.items() if not only or name in only}
    files = {name: folder / f"{name}.html" for name in makers}
    for name, make in makers.items():
        page = make(files[name])
        if page is not None:
            command = f"tumorlens {name} --report {name}.html"
            write_page(files[name], replace(page, command=command, versions=list_versions()))
    return files


def _predict(paths: list[Path], file: Path) -> None:
    records = file.with_suffix(".jsonl")
    write_records(paths, records, model=Detector(threads=1), report=file)


def _stack_volume(path: Path) -> Path:
    """A head of twenty slices, each smaller towards the ends; five of them show a lesion."""
    normal, lesion = (
        Image.open(EXAMPLES / f"t2_axial_{name}.png").convert("L")
        for name in ("normal", "synthetic_lesion")
    )
    slices = []
    for number in range(20):
        picture = lesion if 9 <= number < 14 else normal
        share = float(np.sqrt(1 - ((number - 9.5) / 11) ** 2))
        small = picture.resize([round(share * side) for side in picture.size])
        sheet = Image.new("L", picture.size)
        sheet.paste(small, [(a - b) // 2 for a, b in zip(sheet.size, small.size, strict=True)])
        slices.append(np.asarray(sheet, np.float32).T)
    return write_nifti(path, np.stack(slices, axis=2), np.diag([1.0, 1.0, 5.0, 1.0]))


def _draw_scores() -> Scores:
    """Four sources with real pictures; a third of the slices was seen in training."""
    scores = draw_heads(48, 16)
    pictures = sorted(EXAMPLES.glob("*.png"))
    patients = {name: number for number, name in enumerate(dict.fromkeys(scores.group.tolist()))}
    rows = tuple(
        replace(
            row,
            path=pictures[number % len(pictures)],
            source=SOURCES[patients[row.group] % len(SOURCES)],
        )
        for number, row in enumerate(scores.rows)
    )
    seen = np.array([float(patients[row.group] % 3 == 0) for row in rows])
    boxes = as_text(["60 60 90 100 0.83"] * len(rows))
    return replace(scores, rows=rows, seen=seen, boxes=boxes)


def _evaluate() -> Page:
    scores = _draw_scores()
    evaluation = evaluate_scores(scores, replicates=100, by=("source",))
    mistakes = show_mistakes(scores, most=4)
    return build_evaluation_page(evaluation, scores, mistakes=mistakes)


def _audit(folder: Path) -> Page:
    site = Site(folder)
    site.spoil(SOURCES[:2])
    return build_audit_page(audit_manifest(read_manifest(site.write())))


def _train(curves: Path) -> Page:
    lines = ["phase,epoch,learning_rate,train_total,validation_total,seconds"]
    for epoch in range(1, 13):
        phase, rate = ("head", 1e-3) if epoch < 4 else ("all layers", 1e-4)
        losses = 0.2 + 0.7 / epoch, 0.35 + 0.6 / epoch + 0.004 * epoch
        lines.append(f"{phase},{epoch},{rate},{losses[0]},{losses[1]},3")
    curves.write_text("\n".join(lines), encoding="utf-8")
    described = {
        "recipe": {
            "name": "seed",
            "summary": "The usual way.",
            "loss": {"cells": 1, "types": {}},
            "phases": [{"name": "head", "epochs": 3}, {"name": "all layers", "epochs": 9}],
            "data": {"exclude_notes": ["CT head", "doubtful"]},
        },
        "data": {
            "slices": 1200,
            "groups": 40,
            "sources": {"university hospital": 900, "": 300},
            "removed": {"note says CT head": 7},
            "fingerprint": "ab12" * 16,
        },
    }
    scores = draw_scores(groups=30, slices=6)
    test = build_evaluation_sections(evaluate_scores(scores, replicates=100), scores)
    return build_training_page({"loss": curves}, described, test=test, copies=25)


def draw_tuning(folder: Path, trials: int = 24) -> Tuning:
    """A search whose best trial seems better than it is, with a trial of each kind."""
    rng = np.random.default_rng(3)
    tried = [Trial(0, "complete", 0.9312, "seed"), Trial(1, "complete", 0.9404, "release")]
    for number in range(2, trials):
        values = {"weight_decay": float(rng.uniform(0.001, 0.1)), "batch": int(rng.integers(8, 64))}
        if number % 9 == 8:
            tried.append(Trial(number, "pruned", values=values, curve={1: 0.6, 2: 0.61}))
        else:
            figure = 0.93 + 0.0012 * number + float(rng.normal(0, 0.008))
            tried.append(Trial(number, "complete", figure, values=values))
    tried.append(Trial(trials, "failed", note="a fold holds slices of one label only"))
    best = max((one for one in tried if one.value), key=lambda one: one.value or 0)
    value = best.value or 0
    return Tuning(
        figure="auc", trials=tried, best=read_recipe("release"), best_number=best.number,
        best_file=folder / "best.toml", importances={"weight_decay": 0.71, "batch": 0.29},
        gains=[
            Gain("seed", value, 0.9312, value - 0.9312, 0.004, 0.05, 41, nested=False),
            Gain("release", value, 0.9404, value - 0.9404, 0.001, 0.04, 41, nested=False),
        ],
        nested_gains=[
            Gain("seed", 0.941, 0.9333, 0.0077, -0.0121, 0.0275, 41, nested=True),
            Gain("release", 0.941, 0.9402, 0.0008, None, None, 41, nested=True),
        ],
        folder=folder, warning="253 slices of 199 groups are few", slices=253, groups=199,
    )  # fmt: skip
