"""`Tracker`: hands the curves of a run to experiment trackers, epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from tumorlens.progress import Notice
from tumorlens.training.quieting import quiet
from tumorlens.training.recipe import Recipe
from tumorlens.training.tracking.curve_files import read_curves
from tumorlens.training.tracking.experiment_logs import (
    ExperimentLog,
    LoggerName,
    NotReached,
    Tracking,
    open_log,
)

__all__ = ["Tracker"]


class Tracker(Callback):  # type: ignore[misc]
    """Keeps the logs of a run level with its ``curves.csv``.

    It must be the last callback: then an epoch is logged once it has its checkpoint, so that no
    later run repeats it. Only the first of several processes logs.

    Args:
        tracking: who logs, and where.
        recipe: of the run.
        folder: of the run.
        notice: told if a tracking server cannot be reached, which does not stop the training.
    """

    def __init__(self, tracking: Tracking, recipe: Recipe, folder: Path, notice: Notice) -> None:
        self.tracking = tracking
        self.recipe = recipe
        self.folder = folder
        self.notice = notice
        self.logs: dict[LoggerName, ExperimentLog] = {}
        self.told: set[LoggerName] = set()

    def on_train_start(self, *_: Any) -> None:
        """Log what an earlier run left out: it was broken off, or had another logger."""
        self._catch_up()

    def on_train_epoch_end(self, *_: Any) -> None:
        """Log the epoch."""
        self._catch_up()

    def on_train_end(self, *_: Any) -> None:
        """Close the logs; the next phase opens them again."""
        self._close(None)

    def on_exception(self, *_: Any) -> None:
        """Close the logs of a run that was broken off."""
        self._close("failed")

    def finish(self) -> None:
        """Log what is missing, and say that the run has ended."""
        self._catch_up()
        self._close("success")

    @rank_zero_only  # type: ignore[untyped-decorator]
    def _catch_up(self) -> None:
        rows = read_curves(self.folder, [phase.name for phase in self.recipe.phases])
        for name in self.tracking.loggers:
            try:
                with quiet():
                    self._log_missing(name, rows)
                self.told.discard(name)
            except NotReached as reason:
                self.logs.pop(name, None)  # what it holds is found out when it is opened again
                self._tell(name, str(reason))

    def _log_missing(self, name: LoggerName, rows: list[dict[str, float]]) -> None:
        if name not in self.logs:
            self.logs[name] = open_log(name, self.tracking, self.recipe.to_record(), rows)
        log = self.logs[name]
        for row in rows[log.whole :]:
            log.add(row)

    @rank_zero_only  # type: ignore[untyped-decorator]
    def _close(self, status: Literal["success", "failed"] | None) -> None:
        for name, log in self.logs.items():
            try:
                with quiet():
                    log.close(status)
            except NotReached as reason:
                self._tell(name, str(reason))
        self.logs.clear()

    def _tell(self, name: LoggerName, reason: str) -> None:
        """Once, until it is reached again."""
        if name not in self.told:
            self.notice(
                f"{name}: cannot be reached ({reason}); the training goes on. What is missing is "
                "logged as soon as it is reached, or when the same training is started again"
            )
        self.told.add(name)
