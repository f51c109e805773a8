"""`Job` and `Outcome`: what a training is asked for, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tumorlens.data.rows import Manifest
from tumorlens.evaluation.results import Evaluation
from tumorlens.evaluation.scores import Scores
from tumorlens.training.familiarity import FamiliarityCheck
from tumorlens.training.hardware import Hardware
from tumorlens.training.learning.telling import Notice, Progress
from tumorlens.training.recipe import Recipe

__all__ = ["Job", "Outcome"]


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
        progress: told (what, done, all) while pictures are prepared, learned from or scored.
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

    def count(self, what: str) -> Callable[[int, int], None] | None:
        """``progress`` for one kind of work, as those who do it report it: (done, all)."""
        return None if self.progress is None else partial(self.progress, what)


@dataclass(frozen=True)
class Outcome:
    """What a training leaves.

    Attributes:
        model: the model file.
        scores: of the held-out rows; None if there were none.
        validation: scores of the validation rows, calibrated on themselves.
        evaluation: figures of the held-out rows; None if these hold one label only, or none.
        familiarity: how many held-out pictures of known sources are called unfamiliar.
        copies: test rows whose group is in training, too; 0 unless the recipe asked for it.
        seconds: how long it took.
    """

    model: Path
    scores: Scores | None
    validation: Scores
    evaluation: Evaluation | None
    familiarity: FamiliarityCheck
    copies: int
    seconds: float
