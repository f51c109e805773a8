"""`Request` and `TrainingResult`: what a training is asked for, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tumorlens.data.rows import Manifest
from tumorlens.errors import RecipeError
from tumorlens.evaluation.figures.intervals import FEW_GROUPS
from tumorlens.evaluation.results import Evaluation
from tumorlens.evaluation.scores import Scores
from tumorlens.progress import Notice, Progress
from tumorlens.training.familiarity import FamiliarityCheck
from tumorlens.training.hardware import Hardware
from tumorlens.training.recipe import Recipe
from tumorlens.training.rows.selection import count_label_groups

__all__ = ["Request", "TrainingResult"]


@dataclass(frozen=True)
class Request:
    """What one training is asked for.

    Attributes:
        recipe: what is done.
        manifest: labelled rows to train on; its split ``test`` is for the test alone.
        folder: of the run; made if missing. A run that was broken there goes on.
        left_out: further rows for the test, of sources that the training must not see.
        left_out_counts: name -> rows that were left out on request, for the card.
        weights: file of initial weights; None: as `find_weights` says.
        teachers: names or files of models that the network learns from beside the labels.
        store: folder of prepared pictures that trainings share; None: each prepares its own.
        skip_unreadable: go on without pictures that cannot be read.
        drop_conflicts: go on without pictures that have two labels.
        hardware: where it runs.
        notice: told what happens, in a sentence.
        progress: told (what, done, all) while pictures are prepared, learned from or scored.

    Raises:
        RecipeError: teachers without a weight of their loss, or the other way round.
    """

    recipe: Recipe
    manifest: Manifest
    folder: Path
    left_out: Manifest | None = None
    left_out_counts: dict[str, int] = field(default_factory=dict)
    weights: str | Path | None = None
    teachers: tuple[str | Path, ...] = ()
    store: Path | None = None
    skip_unreadable: bool = False
    drop_conflicts: bool = False
    hardware: Hardware = field(default_factory=Hardware)
    notice: Notice = print
    progress: Progress | None = None

    def __post_init__(self) -> None:
        count, weight = len(self.teachers), self.recipe.loss.teacher
        if count and not weight:
            given = "1 teacher was" if count == 1 else f"{count} teachers were"
            dropped = "the teacher" if count == 1 else "the teachers"
            raise RecipeError(
                f"{given} given but `loss.teacher` is 0: set it above 0 or drop {dropped}"
            )
        if weight and not count:
            raise RecipeError(
                f"`loss.teacher` is {weight} but no teacher was given: give a model as "
                "`teachers=`, or set it to 0"
            )

    def count(self, what: str) -> Callable[[int, int], None] | None:
        """``progress`` for one kind of work, as those who do it report it: (done, all)."""
        return None if self.progress is None else partial(self.progress, what)


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training leaves. *Test* rows were scored once, by a model that never saw them.

    Attributes:
        recipe: as used.
        folder: of the run.
        slices: rows that were given to train on, those of their test and validation included.
        model: the model file; None after folds, each of which has its own.
        folds: name of a fold -> folder of its run; empty where one model was trained.
        validation: scores of the validation rows, calibrated on themselves; None after folds.
        test: scores of the test rows; None if there were none.
        evaluation: figures of the test rows; None if there were none, or of one label only.
        familiarity: how many held-out pictures (validation and test) of the sources that were
            trained on are called unfamiliar.
        copies: test rows whose group is trained on, too; 0 unless the recipe asked for it.
        seconds: how long it took.
    """

    recipe: Recipe
    folder: Path
    slices: int
    model: Path | None
    folds: dict[str, Path]
    validation: Scores | None
    test: Scores | None
    evaluation: Evaluation | None
    familiarity: FamiliarityCheck
    copies: int = 0
    seconds: float = 0.0

    @property
    def test_groups(self) -> dict[str, int]:
        """Label -> how many groups of the test hold a slice of it."""
        return count_label_groups(self.test.rows if self.test is not None else ())

    @property
    def test_can_calibrate(self) -> bool:
        """Whether the test has enough groups of each label to fit thresholds on."""
        return min(self.test_groups.values()) >= FEW_GROUPS
