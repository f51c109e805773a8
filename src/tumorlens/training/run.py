"""`train_model`: rows and a recipe in, one model file with its test scores out.

The steps, in order: `plan_training` settles what can be settled without a picture; `_make_ready`
makes the network, the folder of the run and the prepared pictures; `run_phases` trains;
`_finish` calibrates, exports, scores the test and completes the card.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tumorlens.data.rows import Manifest
from tumorlens.digits import say_count
from tumorlens.errors import DataError
from tumorlens.evaluation.score_files import write_scores
from tumorlens.evaluation.scores import Scores
from tumorlens.model.seen_entry import encode_fingerprints
from tumorlens.network.assembly import TumorNetwork
from tumorlens.network.inheritance import load_models
from tumorlens.network.weights import load_backbone
from tumorlens.progress import Notice
from tumorlens.training.ancestry import Ancestor
from tumorlens.training.familiarity import check_familiarity
from tumorlens.training.finishing.calibrated_model import (
    CalibratedModel,
    write_calibrated_model,
)
from tumorlens.training.finishing.cards import complete_card, draft_card
from tumorlens.training.finishing.embedding import fit_familiarity
from tumorlens.training.finishing.scored_rows import Scorer, fit_studies, measure_test
from tumorlens.training.finishing.strangers import teach_strangers
from tumorlens.training.hardware import set_torch_apart
from tumorlens.training.journal import hold_folder, open_folder, undo_refusal
from tumorlens.training.learning.module import build_network
from tumorlens.training.learning.phases import run_phases
from tumorlens.training.learning.seeding import seed_weights
from tumorlens.training.learning.teaching import Teachers
from tumorlens.training.planning import Plan, describe_run, plan_training
from tumorlens.training.recipe import Recipe
from tumorlens.training.request import Request
from tumorlens.training.result import TrainingResult
from tumorlens.training.rows.fingerprints import FileDigests
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.preparing import Unreadable, prepare_rows
from tumorlens.training.rows.selection import NO_LABEL, count_other_splits
from tumorlens.training.rows.sides import Indices, Sides, count_copies, part_rows
from tumorlens.training.rows.store import Store
from tumorlens.training.tracking.curve_files import count_seconds
from tumorlens.writing import write_text

__all__ = ["FIGURES", "SCORES", "open_run", "train_model", "write_figures"]

SCORES, FIGURES = "scores.csv", "figures.json"
"""Files of a run: scores of its test rows, and their figures."""


@dataclass(frozen=True, eq=False)
class _Ready:
    """What must be ready before the first epoch.

    Attributes:
        network: with its initial weights.
        prepared: the rows that may be trained on and could be read.
        sides: which of them are trained on, and which validate.
        removed: reason -> number of rows that serve nothing.
        teachers: that judge each batch; None if there are none.
    """

    network: TumorNetwork
    prepared: PreparedRows
    sides: Sides
    removed: dict[str, int]
    teachers: Teachers | None


@set_torch_apart()
def train_model(request: Request, digests: FileDigests | None = None) -> TrainingResult:
    """Train, calibrate, export and score. A run that is refused leaves no folder.

    Of several processes that torchrun or Slurm has started, all but the first only train.

    Args:
        request: what is asked for.
        digests: hashes of files that another training of the same data has already read.

    Raises:
        DataError: the rows, the weights or the disk cannot serve, or another training is at work
            in the folder; says what to do.
    """
    started = time.perf_counter()
    if request.hardware.rank:
        return _assist(request, digests, started)
    with hold_folder(request.folder):
        with undo_refusal(request.folder):
            plan = plan_training(request, digests)
            _tell_removed(plan, request.notice)
            _tell_style(request, plan)
            ready = _make_ready(request, plan)
        _run_phases(request, ready)
        result = _finish(request, plan, ready, started)
        shutil.rmtree(request.folder / "prepared")
    return result


def _assist(request: Request, digests: FileDigests | None, started: float) -> TrainingResult:
    """Train beside the process that writes the run."""
    plan = plan_training(request, digests)
    _run_phases(request, _make_ready(request, plan))
    return TrainingResult(
        recipe=request.recipe,
        folder=request.folder,
        slices=len(request.manifest),
        familiarity=check_familiarity([], ()),
        seconds=time.perf_counter() - started,
        rank=request.hardware.rank,
    )


def open_run(request: Request, digests: FileDigests | None = None) -> Plan:
    """Make the run's folder, or check that it holds the same run.

    Raises:
        DataError: the rows cannot serve, or the folder holds something else.
    """
    plan = plan_training(request, digests)
    open_folder(request.folder, describe_run(request, plan))
    return plan


def write_figures(result: TrainingResult, notice: Notice) -> None:
    """Write the figures of the test beside its scores; a notice says why if there are none."""
    if result.evaluation is not None:
        write_text(result.folder / FIGURES, result.evaluation.to_json(), overwrite=True)
    elif result.test is not None:
        notice(f"all {len(result.test)} test slices have the same label, so there are no figures")


def _make_ready(request: Request, plan: Plan) -> _Ready:
    """Make network, folder and images. Weights come first: a fault in them is found at once."""
    recipe = request.recipe
    teachers = _call_teachers(request)
    network, origin = _make_network(recipe, plan)
    with _open_place(request, plan) as place:
        prepared, unreadable = _prepare(request, plan.selection.manifest, place)
    sides = part_rows(prepared, recipe.data, recipe.seed, drop_conflicts=request.drop_conflicts)
    if plan.inherits:
        typical = sides.training[:: max(1, len(sides.training) // 64)]
        origin = load_models(network, plan.weights, prepared.take(typical)[0])
    request.notice(f"initial weights: {origin}")
    _tell_sides(prepared, sides, plan.test, request.notice)
    _tell_seen(prepared, sides.validation, plan.ancestors, request.notice)
    removed = {**plan.selection.removed, **unreadable, **sides.removed}
    return _Ready(network, prepared, sides, removed, teachers)


def _tell_removed(plan: Plan, notice: Notice) -> None:
    """Say how many rows are not trained on, and which choice left them out."""
    reasons = [
        f"{count:,} with no label"
        if reason == NO_LABEL
        else f"{count:,} whose note says {reason!r} (data.exclude_notes)"
        for reason, count in plan.selection.removed.items()
    ]
    if reasons:
        total = say_count(sum(plan.selection.removed.values()), "slice is", "slices are")
        notice(f"{total} left out of training: {', '.join(reasons)}")


def _tell_style(request: Request, plan: Plan) -> None:
    """Warn if the recipe prepares images in another way than ImageNet weights expect."""
    style = request.recipe.network.normalization
    if not plan.weights and style != "torchvision":
        request.notice(
            f"note: the recipe prepares images as weights of {style} expect, and starts from "
            "torchvision's; `weights='default'` starts from the bundled model, and "
            "`settings='network.normalization=torchvision'` with "
            "`settings='network.padding=symmetric'` fits torchvision's"
        )


def _call_teachers(request: Request) -> Teachers | None:
    if not request.teachers:
        return None
    classes = request.recipe.network.classes
    return Teachers(request.teachers, classes, request.hardware.threads)


def _make_network(recipe: Recipe, plan: Plan) -> tuple[TumorNetwork, str]:
    """The network with the initial weights of its backbone, and where these came from.

    A model file needs pictures before its weights can be taken over: then the second is empty.
    """
    seed_weights(recipe.seed)
    network = build_network(recipe)
    if plan.inherits:
        return network, ""
    weights = plan.weights[0] if plan.weights else None
    return network, load_backbone(network.backbone, weights, frozen=recipe.network.frozen)


@contextmanager
def _open_place(request: Request, plan: Plan) -> Iterator[Path]:
    """A folder for prepared images. A process that only assists opens its files and drops it."""
    if request.hardware.rank:
        with TemporaryDirectory(prefix="tumorlens-", ignore_cleanup_errors=True) as own:
            yield Path(own)
        return
    open_folder(request.folder, describe_run(request, plan))
    place = request.folder / "prepared"
    place.mkdir(exist_ok=True)
    yield place


def _run_phases(request: Request, ready: _Ready) -> None:
    run_phases(
        ready.network,
        request,
        prepared=ready.prepared,
        sides=ready.sides,
        teachers=ready.teachers,
    )


def _prepare(request: Request, rows: Manifest, folder: Path) -> tuple[PreparedRows, dict[str, int]]:
    """The rows as the network takes them, and how many could not be read."""
    spec = request.recipe.input
    prepared, unreadable = prepare_rows(
        rows,
        spec,
        folder,
        types=request.recipe.network.classes[1:],
        store=Store(request.store, spec) if request.store else None,
        progress=request.count("preparing"),
    )
    if unreadable and not request.skip_unreadable:
        raise DataError(_list_unreadable(unreadable))
    for one in unreadable:
        request.notice(f"skipped: {one.reason}")
    return prepared, {"cannot be read": len(unreadable)} if unreadable else {}


def _list_unreadable(unreadable: Sequence[Unreadable]) -> str:
    shown = "\n".join(f"  {one.reason}" for one in unreadable[:10])
    more = f"\n  … and {len(unreadable) - 10} more" if len(unreadable) > 10 else ""
    return (
        f"{len(unreadable)} pictures cannot be read:\n{shown}{more}\n"
        "repair or remove them, or train without them with `skip_unreadable=True`"
    )


def _tell_sides(prepared: PreparedRows, sides: Sides, test: Manifest, notice: Notice) -> None:
    for name, indices in (("training", sides.training), ("validation", sides.validation)):
        groups = {prepared.rows[index].group_key for index in indices}
        notice(f"{name}: {len(indices)} slices of {len(groups)} groups")
    if test.rows:
        notice(f"test: {len(test)} slices of {len(test.groups)} groups")
    for word, count in count_other_splits(prepared.rows[one] for one in sides.training).items():
        notice(f"{count:,} slices of the split {word!r} are among those that are trained on")


def _tell_seen(
    prepared: PreparedRows, validation: Indices, ancestors: Sequence[Ancestor], notice: Notice
) -> None:
    """Warn of validation rows that an ancestor was trained on: they look easier than new slices."""
    known = {one for ancestor in ancestors for one in ancestor.fingerprints or ()}
    seen = sum(prepared.fingerprints[index] in known for index in validation)
    if seen:
        notice(
            f"{seen} of {len(validation)} validation slices were in the training of a model that "
            "this one learns from, so its probabilities and thresholds may be too confident: give "
            "other slices the split validation in the manifest, or run tumorlens calibrate after it"
        )


def _finish(request: Request, plan: Plan, ready: _Ready, started: float) -> TrainingResult:
    """Turn the trained network into a model file with its card, and test it."""
    score = Scorer(request.hardware.threads, request.notice, request.count("scoring"))
    made = _export(request, plan, ready, score)
    test = _score_test(request, plan, made.path, score)
    measured = [*([test] if test else []), made.validation]
    result = TrainingResult(
        recipe=request.recipe,
        folder=request.folder,
        slices=len(request.manifest),
        model=made.path,
        validation=made.validation,
        test=test,
        evaluation=measure_test(test),
        familiarity=check_familiarity(measured, made.card.training.sources),
        copies=count_copies(plan.test, ready.prepared, ready.sides.training),
        seconds=time.perf_counter() - started,
    )
    request.notice(result.familiarity.words)
    _complete(made, result, _tell_split(plan.test, request.left_out, result.copies), request.notice)
    write_figures(result, request.notice)
    return result


def _export(request: Request, plan: Plan, ready: _Ready, score: Scorer) -> CalibratedModel:
    """The model file, calibrated on the validation rows."""
    recipe, prepared, sides = request.recipe, ready.prepared, ready.sides
    network = ready.network.eval().cpu()
    card = draft_card(
        recipe,
        prepared,
        sides.training,
        fingerprint=plan.fingerprint,
        ancestors=plan.ancestors,
        left_out=request.left_out_counts,
        removed=ready.removed,
        seconds=count_seconds(request.folder),
    )
    made = write_calibrated_model(
        network,
        fit_familiarity(network, prepared, sides.training, recipe.seed),
        card=card,
        fingerprints=_collect_fingerprints(prepared, sides, plan.ancestors),
        validation=request.manifest.with_rows(prepared.rows[one] for one in sides.validation),
        folder=request.folder,
        calibrate=recipe.calibrate,
        score=score,
        notice=request.notice,
    )
    teach_strangers(made.path, prepared, sides.training, recipe.seed, request.notice)
    return made


def _complete(made: CalibratedModel, result: TrainingResult, split: str, notice: Notice) -> None:
    """Put the figures of the test and the numbers for studies into the model file."""
    numbers, words = fit_studies(made.validation)
    notice(words)
    complete_card(
        made.path,
        made.card,
        result.evaluation,
        result.familiarity,
        split=split,
        sources={row.source for row in (result.test.rows if result.test else ())},
        numbers=numbers,
    )


def _collect_fingerprints(
    prepared: PreparedRows, sides: Sides, ancestors: Sequence[Ancestor]
) -> str:
    """Fingerprints of what the model has seen, its ancestors' included.

    Thresholds and calibration are fitted on validation images, so these count as seen, too.
    """
    used = np.concatenate([sides.training, sides.validation])
    own = (prepared.fingerprints[index] for index in used)
    return encode_fingerprints(chain(own, *(one.fingerprints or () for one in ancestors)))


def _score_test(request: Request, plan: Plan, model: Path, score: Scorer) -> Scores | None:
    """Scores of the test rows and of those left out on request; None if there are none."""
    rows = [*plan.test.rows, *(request.left_out.rows if request.left_out else ())]
    if not rows:
        return None
    # What an ancestor has seen is not new to a model that learned from it.
    scores = score(model, request.manifest.with_rows(rows), suspicious=bool(plan.ancestors))
    write_scores(request.folder / SCORES, scores, overwrite=True)
    return scores


def _tell_split(test: Manifest, left_out: Manifest | None, copies: int) -> str:
    """How the test rows were chosen, in the words of the card."""
    ways = ["left out on request"] if left_out else []
    if test.rows:
        by_picture = f"by picture, {copies} of {len(test)} with a copy in training"
        ways.append(f"test {by_picture}" if copies else "test by group")
    return " and ".join(ways)
