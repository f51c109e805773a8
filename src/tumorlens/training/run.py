"""`train_model`: rows and a recipe in, one model file with its held-out scores out."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from tumorlens.data.catalogue import SETS
from tumorlens.data.rows import Manifest
from tumorlens.data.splits import hold_out_groups
from tumorlens.detector import Detector
from tumorlens.errors import DataError, RecipeError
from tumorlens.evaluation.calibration import choose_thresholds, fit_logit, recalibrate
from tumorlens.evaluation.familiarity import FamiliarityFit
from tumorlens.evaluation.memory import encode_memory, recall
from tumorlens.evaluation.score_files import write_scores
from tumorlens.evaluation.scores import Scores
from tumorlens.evaluation.scoring import score_manifest
from tumorlens.model.card import Card, DataTerms, OperatingPoint, Training
from tumorlens.model.contract import Calibration
from tumorlens.model.graph import write_model
from tumorlens.network.assembly import Deployed, Familiarity, TumorNetwork
from tumorlens.network.inheritance import load_model
from tumorlens.network.onnx_export import export_onnx
from tumorlens.network.weights import find_weights, load_backbone
from tumorlens.training.ancestry import Ancestor, find_ancestors, join_terms
from tumorlens.training.embedding import fit_familiarity
from tumorlens.training.journal import LENIENCY, open_folder
from tumorlens.training.module import build_network
from tumorlens.training.phases import Hardware, count_seconds, run_phases
from tumorlens.training.preparing import PreparedRows, Unreadable, prepare_rows
from tumorlens.training.recipe import Recipe
from tumorlens.training.selection import (
    Selection,
    check_groups,
    drop_conflicts,
    find_large_enough,
    fingerprint_rows,
    hold_out_test,
    select_rows,
)
from tumorlens.training.store import Store
from tumorlens.training.teaching import Teachers
from tumorlens.version import __version__

__all__ = ["Job", "Notice", "Outcome", "open_run", "train_model"]

Notice = Callable[[str], None]
Indices = npt.NDArray[np.intp]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        recipe: what is done.
        manifest: labelled rows to train on; rows of the split ``test`` are scored only.
        held_out: further rows that are scored only.
        folder: of the run; made if missing, resumed if it holds the same job.
        weights: file of initial weights; None: as `find_weights` says.
        teachers: names or files of models that it learns from beside the labels.
        store: folder of prepared pictures that trainings share; None: each prepares its own.
        skip_unreadable: go on without pictures that cannot be read.
        drop_conflicts: go on without pictures that carry two labels.
        left_out: name -> rows kept out on request, for the card.
        hardware: where it runs.
        notice: told what happens, in a sentence.
        progress: told (done, all) while pictures are prepared or scored.
    """

    recipe: Recipe
    manifest: Manifest
    folder: Path
    held_out: Manifest | None = None
    weights: str | Path | None = None
    teachers: tuple[str | Path, ...] = ()
    store: Path | None = None
    skip_unreadable: bool = False
    drop_conflicts: bool = False
    left_out: dict[str, int] = field(default_factory=dict)
    hardware: Hardware = field(default_factory=Hardware)
    notice: Notice = print
    progress: Progress | None = None


@dataclass(frozen=True)
class Outcome:
    """What a training leaves.

    Attributes:
        model: the model file.
        scores: of the held-out rows; None if there were none.
        validation: scores of the validation rows, calibrated on themselves.
        copies: test rows whose group is in training, too; 0 unless the recipe asked for it.
        seconds: how long it took.
    """

    model: Path
    scores: Scores | None
    validation: Scores
    copies: int
    seconds: float


def train_model(job: Job) -> Outcome:
    """Train, calibrate, export and score.

    Raises:
        DataError: the rows, the weights or the disk cannot serve; says what to do.
    """
    started = time.perf_counter()
    recipe = job.recipe
    selection, test = _choose_rows(job)
    weights = find_weights(job.weights, recipe.network.width)
    teachers = _call_teachers(job)
    ancestors = _find_ancestors(job)
    torch.manual_seed(recipe.seed)  # before the head gets its random weights
    network = build_network(recipe)
    inherits = weights is not None and weights.suffix == ".onnx"
    frozen = recipe.network.frozen
    origin = "" if inherits else load_backbone(network.backbone, weights, frozen=frozen)
    open_folder(job.folder, _describe(job, selection, ancestors))
    prepared, unreadable = _prepare(job, selection)
    kept, validation, dropped = _part(job, prepared)
    if weights is not None and inherits:
        origin = load_model(network, weights, prepared.take(kept[:: max(1, len(kept) // 64)])[0])
    job.notice(f"initial weights: {origin}")
    removed = {**selection.removed, **unreadable, **dropped}
    _describe_sides(job, prepared, kept, validation)
    run_phases(
        network,
        recipe,
        prepared=prepared,
        training=kept,
        validation=validation,
        folder=job.folder,
        hardware=job.hardware,
        teachers=teachers,
    )
    network.eval().cpu()
    familiarity = fit_familiarity(network, prepared, kept, recipe.seed)
    card = _write_card(job, selection, prepared, kept, removed=removed, ancestors=ancestors)
    held_out = job.manifest.with_rows(prepared.rows[index] for index in validation)
    # Validation pictures shape thresholds and calibration: they count as seen, too.
    used = np.concatenate([kept, validation])
    own = (prepared.fingerprints[index] for index in used)
    memory = encode_memory(chain(own, *(one.fingerprints or () for one in ancestors)))
    model, calibrated = _export(
        job, network, familiarity, card=card, memory=memory, validation=held_out
    )
    sets = [test, *([job.held_out] if job.held_out else [])]
    scores = _score_held_out(job, model, sets, suspicious=bool(ancestors))
    copies = _count_copies(test, prepared, kept)
    shutil.rmtree(job.folder / "prepared")
    return Outcome(model, scores, calibrated, copies, time.perf_counter() - started)


def open_run(job: Job) -> tuple[Selection, Manifest]:
    """Choose the rows, and make the run's folder or check that it holds the same job.

    Returns:
        Rows that may be trained on, and those that are only scored at the end.

    Raises:
        DataError: the rows cannot serve, or the folder holds something else.
    """
    selection, test = _choose_rows(job)
    open_folder(job.folder, _describe(job, selection, _find_ancestors(job)))
    return selection, test


def _choose_rows(job: Job) -> tuple[Selection, Manifest]:
    check_groups(job.manifest)
    manifest, test = hold_out_test(job.manifest, job.recipe)
    return select_rows(manifest, job.recipe), test


def _call_teachers(job: Job) -> Teachers | None:
    if bool(job.teachers) != bool(job.recipe.loss.teacher):
        asked = f"loss.teacher = {job.recipe.loss.teacher}"
        raise RecipeError(
            f"{asked}, and {len(job.teachers)} teachers are given; a model given as --teacher is "
            "listened to with the weight --set loss.teacher=…, give both or neither"
        )
    if not job.teachers:
        return None
    return Teachers(job.teachers, job.recipe.network.classes, job.hardware.threads)


def _describe(job: Job, selection: Selection, ancestors: Sequence[Ancestor]) -> dict[str, Any]:
    weights = find_weights(job.weights, job.recipe.network.width)  # the environment may name them
    return {
        "recipe": job.recipe.to_record(),
        "data": {
            "fingerprint": fingerprint_rows(selection.manifest.rows),
            "slices": len(selection.manifest),
            "groups": len(selection.manifest.groups),
            "sources": dict(Counter(row.source for row in selection.manifest.rows)),
            "removed": selection.removed,
            "left_out": job.left_out,
        },
        "weights": None if weights is None else weights.name,
        **({"learned_from": [one.name for one in ancestors]} if ancestors else {}),
        LENIENCY: {
            "skip_unreadable": job.skip_unreadable,
            "drop_conflicts": job.drop_conflicts,
        },
    }


def _find_ancestors(job: Job) -> list[Ancestor]:
    start = find_weights(job.weights, job.recipe.network.width)
    inherited = [start] if start is not None and start.suffix == ".onnx" else []
    ancestors = find_ancestors([*job.teachers, *inherited])
    for one in ancestors:
        if one.fingerprints is None:
            job.notice(
                f"{one.name}: does not tell what it was trained on, so held-out pictures that it "
                "has seen count as new"
            )
    return ancestors


def _prepare(job: Job, selection: Selection) -> tuple[PreparedRows, dict[str, int]]:
    """The rows as the network takes them, and how many could not be read."""
    folder = job.folder / "prepared"
    folder.mkdir(exist_ok=True)
    types = job.recipe.network.classes[1:]
    prepared, unreadable = prepare_rows(
        selection.manifest,
        job.recipe.input,
        folder,
        types=types,
        store=Store(job.store, job.recipe.input) if job.store else None,
        progress=job.progress,
    )
    if unreadable and not job.skip_unreadable:
        raise DataError(_list_unreadable(unreadable))
    for one in unreadable:
        job.notice(f"skipped: {one.reason}")
    return prepared, {"cannot be read": len(unreadable)} if unreadable else {}


def _list_unreadable(unreadable: list[Unreadable]) -> str:
    shown = "\n".join(f"  {one.reason}" for one in unreadable[:10])
    more = f"\n  … and {len(unreadable) - 10} more" if len(unreadable) > 10 else ""
    return (
        f"{len(unreadable)} pictures cannot be read:\n{shown}{more}\n"
        "mend or remove them, or go on without them with --skip-unreadable"
    )


def _part(job: Job, prepared: PreparedRows) -> tuple[Indices, Indices, dict[str, int]]:
    """Indices to train on and to validate on: as the manifest says, else by groups.

    Returns:
        Both, and reason -> number of rows that serve neither.
    """
    single = drop_conflicts(prepared, drop=job.drop_conflicts)
    usable = single[find_large_enough(prepared, job.recipe.data.ignore_below)[single]]
    counts = {
        "two labels on one picture": len(prepared) - len(single),
        "tumor too small": len(single) - len(usable),
    }
    dropped = {reason: count for reason, count in counts.items() if count}
    named = np.array([prepared.rows[index].split == "validation" for index in usable])
    if named.any():
        return usable[~named], usable[named], dropped
    rows = tuple(prepared.rows[index] for index in usable)
    kept, held = hold_out_groups(rows, job.recipe.data.validation, job.recipe.seed)
    return usable[kept], usable[held], dropped


def _count_copies(test: Manifest, prepared: PreparedRows, kept: npt.NDArray[np.intp]) -> int:
    trained = {prepared.rows[index].group_key for index in kept}
    return sum(row.group_key in trained for row in test.rows)


def _describe_sides(
    job: Job,
    prepared: PreparedRows,
    kept: npt.NDArray[np.intp],
    validation: npt.NDArray[np.intp],
) -> None:
    for name, indices in (("training", kept), ("validation", validation)):
        labels = {float(prepared.tumor[index]) for index in indices}
        groups = {prepared.rows[index].group_key for index in indices}
        if len(labels) < 2:
            raise DataError(f"the {name} side holds one label only; add groups of the other label")
        job.notice(f"{name}: {len(indices)} slices of {len(groups)} groups")


def _write_card(
    job: Job,
    selection: Selection,
    prepared: PreparedRows,
    kept: npt.NDArray[np.intp],
    *,
    removed: dict[str, int],
    ancestors: Sequence[Ancestor],
) -> Card:
    classes = job.recipe.network.classes
    sources = Counter(prepared.rows[index].source for index in kept)
    return Card(
        schema=1,
        name=f"tumorlens-{job.recipe.name}",
        version=__version__,
        created=date.today().isoformat(),
        license=job.recipe.license,
        classes=classes,
        tumor_classes=classes[1:],
        preprocess=job.recipe.input,
        operating_points={"balanced": OperatingPoint(low=0.5, middle=0.5, high=0.5)},
        cell_threshold=0.5,
        training=Training(
            recipe=job.recipe.to_record(),
            fingerprint=fingerprint_rows(selection.manifest.rows),
            sources=dict(sources),
            groups=len({prepared.rows[index].group_key for index in kept}),
            left_out=job.left_out,
            removed=removed,
            seconds=round(count_seconds(job.folder), 1),
            versions={"tumorlens": __version__, "torch": str(torch.__version__)},
            learned_from=[one.name for one in ancestors],
        ),
        data_terms=join_terms(
            [
                DataTerms(data=name, terms=known.terms)
                for name, known in SETS.items()
                if sources.keys() & set(known.sources)
            ],
            ancestors,
        ),
    )


def _export(
    job: Job,
    network: TumorNetwork,
    fit: FamiliarityFit,
    *,
    card: Card,
    memory: str,
    validation: Manifest,
) -> tuple[Path, Scores]:
    """Write the model, judge the validation rows with it, and write what they teach back."""
    familiarity = Familiarity(torch.from_numpy(fit.mean), torch.from_numpy(fit.projection))
    raw, model = job.folder / "uncalibrated.onnx", job.folder / "model.onnx"
    calibration = Calibration(unfamiliarity=1 / fit.limit)
    deployed = Deployed(network, familiarity, calibration)
    export_onnx(deployed, card, raw, seen=memory, overwrite=True)
    scores = _score(job, raw, validation)
    if job.recipe.calibrate:
        fitted = fit_logit(scores.tumor_probability, scores.tumor, scores.group)
        calibrated = recalibrate(scores, fitted)
        point = choose_thresholds(calibrated).point
    else:
        fitted, calibrated, point = Calibration(), scores, card.operating_points["balanced"]
    card = msgspec.structs.replace(card, operating_points={"balanced": point})
    write_model(raw, model, card=card, calibration=calibration.then(fitted), overwrite=True)
    raw.unlink()
    thresholds = np.tile([point.low, point.middle, point.high], (len(calibrated), 1))
    return model, replace(calibrated, thresholds=thresholds)


def _score_held_out(
    job: Job, model: Path, sets: list[Manifest], *, suspicious: bool
) -> Scores | None:
    """Judge what was held out.

    Args:
        suspicious: ask for each picture whether an ancestor of the model has seen it.
    """
    rows = [row for one in sets for row in one.rows]
    if not rows:
        return None
    scores = _score(job, model, job.manifest.with_rows(rows), suspicious)
    write_scores(job.folder / "scores.csv", scores, overwrite=True)
    return scores


def _score(job: Job, model: Path, manifest: Manifest, suspicious: bool = False) -> Scores:
    detector = Detector(model, threads=job.hardware.threads)
    is_seen = recall(detector.session) if suspicious else None
    scored = score_manifest(detector, manifest, job.progress, is_seen=is_seen)
    for failure in scored.failures:
        job.notice(f"not scored: {failure}")
    return scored.scores
