"""Logs of a run for experiment trackers, written by Lightning's own loggers.

Lightning's trainer counts steps anew in each phase, and a run that was broken off would log some of
them twice. So no trainer is given a logger. A log is a copy of ``curves.csv``, whose lines are the
steps: it knows how many of them it holds, and gets those that it lacks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger

from tumorlens.errors import UsageError
from tumorlens.optional import load
from tumorlens.training.quieting import quiet

__all__ = [
    "ExperimentLog",
    "LoggerName",
    "NotReached",
    "Tracking",
    "check_loggers",
    "open_log",
]

LoggerName = Literal["csv", "tensorboard", "mlflow"]
Row = Mapping[str, float]

_PASSWORD = re.compile(r"//[^/@\s]+@")
"""Name and password in an address."""
_ADDRESS = "MLFLOW_TRACKING_URI"
_LEADING = "validation_auc"
"""Figure that TensorBoard's table of hyper-parameters shows beside them."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """Who logs a run, and where.

    Attributes:
        loggers: names of the loggers.
        folder: folder of the logs.
        name: name of the run among those that log there; empty if it is the only one.
    """

    loggers: tuple[LoggerName, ...]
    folder: Path
    name: str = ""


class NotReached(Exception):
    """A tracking server does not answer, or refuses."""


def check_loggers(names: Collection[str]) -> None:
    """Find out whether all loggers can work before anything is prepared.

    Raises:
        MissingExtra: the library of a logger is not installed.
        UsageError: no such logger, or the tracking server of MLflow cannot be reached.
    """
    if "tensorboard" in names:
        load("tensorboard", "`loggers=tensorboard`")
    if "mlflow" not in names:
        return
    tracking = _load_mlflow()
    if address := os.environ.get(_ADDRESS):
        try:
            with _tell_unreached(), quiet():
                tracking.MlflowClient(address).search_experiments(max_results=1)
        except NotReached as reason:
            raise UsageError(
                f"`loggers=mlflow`: the tracking server that {_ADDRESS} names cannot be used "
                f"({reason}); mend the address or start the server. Without {_ADDRESS} the log "
                "goes into the folder of the run"
            ) from None


def open_log(
    name: LoggerName, tracking: Tracking, recipe: Mapping[str, Any], rows: Sequence[Row]
) -> ExperimentLog:
    """Open the log of a run, or begin it.

    Args:
        name: of the logger.
        tracking: where the log is.
        recipe: hyper-parameters of the run, as `Recipe.to_record` gives them.
        rows: figures of the epochs that have ended.

    Raises:
        NotReached: the tracking server does not answer, or refuses.
    """
    return _KINDS[name](tracking, dict(_flatten(recipe)), rows)


class ExperimentLog:
    """The open log of one run.

    Args:
        logger: Lightning's logger.
        whole: epochs that the log holds.

    Attributes:
        whole: epochs that the log holds now.
    """

    def __init__(self, logger: Logger, whole: int = 0) -> None:
        self.logger = logger
        self.whole = whole

    def add(self, row: Row) -> None:
        """Log the figures of the next epoch."""
        self._write(self.whole + 1, dict(row))
        self.whole += 1

    def close(self, status: Literal["success", "failed"] | None) -> None:
        """Write what is not written yet.

        Args:
            status: how the run ended; None: it goes on.
        """
        self.logger.finalize(status or "success")

    def _write(self, step: int, row: dict[str, float]) -> None:
        self.logger.log_metrics(row, step)
        self.logger.save()


class _CsvLog(ExperimentLog):
    """``metrics.csv`` and ``hparams.yaml``; Lightning begins the file anew with each logger."""

    def __init__(self, tracking: Tracking, recipe: dict[str, Any], rows: Sequence[Row]) -> None:
        super().__init__(CSVLogger(tracking.folder, name="csv", version=tracking.name))
        self.logger.log_hyperparams(recipe)


class _TensorBoardLog(ExperimentLog):
    """Event files. A new one tells readers from which step on the earlier ones are void."""

    def __init__(self, tracking: Tracking, recipe: dict[str, Any], rows: Sequence[Row]) -> None:
        steps = _read_events(tracking.folder / "tensorboard" / tracking.name)
        whole = min(_count_whole(steps, rows), len(rows))
        logger = TensorBoardLogger(
            tracking.folder, name="tensorboard", version=tracking.name,
            purge_step=whole + 1 if steps else None,
        )  # fmt: skip
        super().__init__(logger, whole)
        self.recipe = recipe
        self.is_new = False

    def close(self, status: Literal["success", "failed"] | None) -> None:
        if self.is_new:  # else Lightning would begin a file only to close it
            super().close(status)

    def _write(self, step: int, row: dict[str, float]) -> None:
        if step == 1:  # the table of hyper-parameters needs the name of a figure that is logged
            # A run that an older version began may lack it.
            leading = {_LEADING: row.pop(_LEADING, nan)}
            self.logger.log_hyperparams(self.recipe, leading, step)
        super()._write(step, row)
        self.is_new = True


class _MlflowLog(ExperimentLog):
    """A run on MLflow's tracking server, or in a database in the folder of the logs."""

    def __init__(self, tracking: Tracking, recipe: dict[str, Any], rows: Sequence[Row]) -> None:
        _load_mlflow()
        folder = (tracking.folder / "mlflow").resolve()
        note = folder / tracking.name / "run_id.txt"
        note.parent.mkdir(parents=True, exist_ok=True)
        with _tell_unreached(), quiet():  # once more: MLflow speaks up again when it is loaded
            logger = _find_run(tracking, folder, note)
            steps = _read_run(logger, recipe)
        super().__init__(logger, _count_whole(steps, rows))

    def close(self, status: Literal["success", "failed"] | None) -> None:
        if status is not None:
            with _tell_unreached():
                super().close(status)

    def _write(self, step: int, row: dict[str, float]) -> None:
        with _tell_unreached():
            super()._write(step, row)


_KINDS: dict[LoggerName, Callable[..., ExperimentLog]] = dict(
    zip(get_args(LoggerName), (_CsvLog, _TensorBoardLog, _MlflowLog), strict=True)
)


def _count_whole(steps: Mapping[str, int], rows: Sequence[Row]) -> int:
    """Epochs of which a log holds every figure, from the last step of each figure."""
    return min((steps.get(name, 0) for name in rows[0]), default=0) if rows else 0


def _flatten(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, as ``--set`` takes them, and their values."""
    tables = isinstance(values, list) and any(isinstance(one, dict) for one in values)
    if isinstance(values, dict) or tables:
        for name, one in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _flatten(one, f"{key}.{name}" if key else str(name))
    else:
        yield key, values


def _read_events(folder: Path) -> dict[str, int]:
    """Figure -> its last step in the event files of a folder."""
    if not any(folder.glob("events.out.tfevents.*")):
        return {}
    events = load("tensorboard.backend.event_processing.event_accumulator")
    reader = events.EventAccumulator(str(folder)).Reload()
    return {tag: reader.Scalars(tag)[-1].step for tag in reader.Tags()["scalars"]}


def _load_mlflow() -> Any:
    """The client of MLflow; it prints nothing, and reports nothing to its makers."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # where results go
    # A server that does not answer is asked again after the next epoch, so no epoch waits long.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    for library in ("sqlalchemy", "alembic"):  # what MLflow's own database needs
        load(library, "`loggers=mlflow`")
    return load("mlflow.tracking", "`loggers=mlflow`")


def _find_run(tracking: Tracking, folder: Path, note: Path) -> MLFlowLogger:
    """Lightning's logger on the run that the note names, if it is there, else on a new run."""
    address = os.environ.get(_ADDRESS)
    options: dict[str, Any] = {
        "experiment_name": os.environ.get("MLFLOW_EXPERIMENT_NAME") or "tumorlens",
        "run_name": "/".join(filter(None, (folder.parent.parent.name, tracking.name))),
        "tracking_uri": address or f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
        "artifact_location": None if address else (folder / "artifacts").as_uri(),
    }
    known = note.read_text(encoding="utf-8") if note.exists() else None
    if known is not None:
        logger = MLFlowLogger(**options, run_id=known)
        if _is_there(logger, known):
            return logger
    logger = MLFlowLogger(**options)
    note.write_text(logger.run_id, encoding="utf-8")
    return logger


def _is_there(logger: MLFlowLogger, run: str) -> bool:
    exceptions = load("mlflow.exceptions")
    try:
        found = logger.experiment.get_run(run)
    except exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return bool(found.info.lifecycle_stage == "active")


def _read_run(logger: MLFlowLogger, recipe: dict[str, Any]) -> dict[str, int]:
    """Figure -> its last step in a run, which is under way from now on and has a recipe."""
    client, run_id = logger.experiment, logger.run_id
    client.update_run(run_id, status="RUNNING")
    found = client.get_run(run_id).data
    if not found.params:
        logger.log_hyperparams(recipe)
    return {
        name: max(one.step for one in client.get_metric_history(run_id, name))
        for name in found.metrics
    }


@contextmanager
def _tell_unreached() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of MLflow, its database or the network: each has its own
        reason = _PASSWORD.sub("//", " ".join(str(error).split()))
        raise NotReached(f"{reason[:200]}…" if len(reason) > 200 else reason) from error
