"""`train_model`: rows and a recipe in, one model file with its held-out scores out."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tumorlens.data.rows import Manifest
from tumorlens.data.splits import hold_out_groups
from tumorlens.errors import DataError, RecipeError
from tumorlens.model.memory import encode_memory
from tumorlens.network.assembly import TumorNetwork
from tumorlens.network.inheritance import load_model
from tumorlens.network.weights import find_weights, load_backbone
from tumorlens.training.ancestry import Ancestor, find_ancestors
from tumorlens.training.delivery import (
    complete_card,
    export_model,
    fit_studies,
    measure_held_out,
    score_held_out,
    write_card,
)
from tumorlens.training.embedding import fit_familiarity
from tumorlens.training.familiarity import check_familiarity
from tumorlens.training.job import Job, Outcome
from tumorlens.training.journal import LENIENCY, open_folder, undo_refusal
from tumorlens.training.learning.module import build_network
from tumorlens.training.learning.phases import run_phases
from tumorlens.training.learning.teaching import Teachers
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.preparing import Unreadable, prepare_rows
from tumorlens.training.rows.selection import (
    Selection,
    check_groups,
    drop_conflicts,
    find_large_enough,
    fingerprint_rows,
    hold_out_test,
    select_rows,
)
from tumorlens.training.rows.store import Store

__all__ = ["open_run", "train_model"]

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class _Ready:
    """All that is known before the first epoch.

    Attributes:
        network: with its initial weights.
        selection: rows that may be trained on, and what was removed.
        test: rows that are only scored at the end.
        prepared: the rows of the selection that could be read.
        kept, validation: indices into them.
        removed: reason -> number of rows that serve nothing.
        ancestors: models that it learns from.
        teachers: those of them that judge each batch; None if there are none.
    """

    network: TumorNetwork
    selection: Selection
    test: Manifest
    prepared: PreparedRows
    kept: Indices
    validation: Indices
    removed: dict[str, int]
    ancestors: list[Ancestor]
    teachers: Teachers | None


def train_model(job: Job) -> Outcome:
    """Train, calibrate, export and score. A run that is refused leaves no folder.

    Raises:
        DataError: the rows, the weights or the disk cannot serve; says what to do.
    """
    started = time.perf_counter()
    with undo_refusal(job.folder):
        ready = _make_ready(job)
    run_phases(
        ready.network,
        job.recipe,
        prepared=ready.prepared,
        training=ready.kept,
        validation=ready.validation,
        folder=job.folder,
        hardware=job.hardware,
        teachers=ready.teachers,
        notice=job.notice,
        progress=job.progress,
    )
    outcome = _deliver(job, ready)
    shutil.rmtree(job.folder / "prepared")
    return replace(outcome, seconds=time.perf_counter() - started)


def _make_ready(job: Job) -> _Ready:
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
    if test.rows:
        job.notice(f"test: {len(test)} slices of {len(test.groups)} groups")
    return _Ready(
        network, selection, test, prepared, kept, validation, removed, ancestors, teachers
    )


def _deliver(job: Job, ready: _Ready) -> Outcome:
    """From the trained network to the model file with its card, and the held-out figures."""
    prepared, kept, validation = ready.prepared, ready.kept, ready.validation
    network = ready.network.eval().cpu()
    familiarity = fit_familiarity(network, prepared, kept, job.recipe.seed)
    card = write_card(
        job, ready.selection, prepared, kept, removed=ready.removed, ancestors=ready.ancestors
    )
    # Validation pictures shape thresholds and calibration: they count as seen, too.
    used = np.concatenate([kept, validation])
    own = (prepared.fingerprints[index] for index in used)
    memory = encode_memory(chain(own, *(one.fingerprints or () for one in ready.ancestors)))
    judged = job.manifest.with_rows(prepared.rows[index] for index in validation)
    model, card, calibrated = export_model(
        job, network, familiarity, card=card, memory=memory, validation=judged
    )
    sets = [ready.test, *([job.held_out] if job.held_out else [])]
    scores = score_held_out(job, model, sets, suspicious=bool(ready.ancestors))
    evaluation = measure_held_out(scores)
    copies = _count_copies(ready.test, prepared, kept)
    known = check_familiarity([*([scores] if scores else []), calibrated], card.training.sources)
    job.notice(known.words)
    numbers, words = fit_studies(calibrated)
    job.notice(words)
    complete_card(
        model,
        card,
        evaluation,
        known,
        split=_tell_split(job, ready.test, copies),
        sources=_name_sources(sets),
        numbers=numbers,
    )
    return Outcome(model, scores, calibrated, evaluation, known, copies, seconds=0.0)


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


def _name_sources(sets: Sequence[Manifest]) -> set[str]:
    return {row.source for one in sets for row in one.rows}


def _tell_split(job: Job, test: Manifest, copies: int) -> str:
    """How the held-out rows were kept out of training."""
    ways = ["left out on request"] if job.held_out else []
    if test.rows:
        by_picture = f"by picture, {copies} of {len(test)} with a copy in training"
        ways.append(f"held out {by_picture}" if copies else "held out by group")
    return " and ".join(ways)


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
        progress=job.count("preparing"),
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
