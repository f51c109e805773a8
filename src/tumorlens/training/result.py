"""`TrainingResult`: what a training leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tumorlens.evaluation.figures.intervals import FEW_GROUPS
from tumorlens.evaluation.results import Evaluation
from tumorlens.evaluation.scores import Scores
from tumorlens.training.familiarity import FamiliarityCheck
from tumorlens.training.recipe import Recipe
from tumorlens.training.rows.selection import count_label_groups

__all__ = ["TrainingResult"]


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingResult:
    """What a training leaves. *Test* rows were scored once, by a model that never saw them.

    Attributes:
        recipe: as used.
        folder: of the run.
        slices: rows that were given to train on, those of their test and validation included.
        model: the model file; None after folds, each of which has its own, and in a process whose
            ``rank`` is above 0.
        folds: name of a fold -> folder of its run; empty where one model was trained.
        validation: scores of the validation rows, calibrated on themselves; None after folds.
        test: scores of the test rows; None if there were none.
        evaluation: figures of the test rows; None if there were none, or of one label only.
        familiarity: how many validation and test pictures are flagged as unfamiliar, of the
            sources that were trained on.
        copies: test rows whose group is trained on, too; 0 unless the recipe asked for it.
        seconds: how long it took.
        rank: number of this process among those that torchrun or Slurm has started together. All
            but 0 only train: they have neither model nor scores, and have written nothing.
    """

    recipe: Recipe
    folder: Path
    slices: int
    model: Path | None = None
    folds: dict[str, Path] = field(default_factory=dict)
    validation: Scores | None = None
    test: Scores | None = None
    evaluation: Evaluation | None = None
    familiarity: FamiliarityCheck
    copies: int = 0
    seconds: float = 0.0
    rank: int = 0

    @property
    def test_groups(self) -> dict[str, int]:
        """Label -> how many groups of the test hold a slice of it."""
        return count_label_groups(self.test.rows if self.test is not None else ())

    @property
    def test_can_calibrate(self) -> bool:
        """Whether the test has enough groups of each label to fit thresholds on."""
        return min(self.test_groups.values()) >= FEW_GROUPS
