"""Logs of a run: a copy of its curves in Lightning's loggers, read back with their own readers."""

from __future__ import annotations

import csv
import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

import tumorlens
from painter import write_manifest
from tiny_training import make_recipe, train_phases
from tumorlens.data.manifest import read_data
from tumorlens.progress import stay_silent
from tumorlens.training.journal import CURVES
from tumorlens.training.learning.dataset import Draws
from tumorlens.training.rows.preparing import prepare_rows
from tumorlens.training.tracking import experiment_logs
from tumorlens.training.tracking.curve_files import read_curves
from tumorlens.training.tracking.experiment_logs import Tracking
from tumorlens.training.tracking.tracker import Tracker

NAMES = ["head", "all"]
CURVE = """phase,epoch,learning_rate,train_total,validation_auc,seconds
head,1,0.001,0.9,0.5,1.5
all,1,0.001,0.8,0.6,1.5
all,2,0.0005,0.7,nan,1.5
"""


def read_csv(logs: Path):
    """Step -> its figures, and the hyper-parameters."""
    with (logs / "csv/metrics.csv").open(newline="") as stream:
        rows = [{name: float(one) for name, one in row.items()} for row in csv.DictReader(stream)]
    assert len({row["step"] for row in rows}) == len(rows)
    recipe = yaml.safe_load((logs / "csv/hparams.yaml").read_text())
    return {int(row.pop("step")): row for row in rows}, recipe


def read_tensorboard(logs: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(logs / "tensorboard")).Reload()
    steps: dict[int, dict[str, float]] = {}
    for tag in reader.Tags()["scalars"]:
        for event in reader.Scalars(tag):
            assert tag not in steps.setdefault(event.step, {}), f"{tag} twice at {event.step}"
            steps[event.step][tag] = event.value
    assert "_hparams_/session_start_info" in reader.summary_metadata
    return steps, yaml.safe_load((logs / "tensorboard/hparams.yaml").read_text())


def read_mlflow(logs: Path):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{logs / 'mlflow/mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'tumorlens'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == logs.parent.name
    steps: dict[int, dict[str, float]] = {}
    for name in run.data.metrics:
        for one in client.get_metric_history(run.info.run_id, name):
            assert name not in steps.setdefault(one.step, {}), f"{name} twice at {one.step}"
            steps[one.step][name] = one.value
    return steps, {name: yaml.safe_load(one) for name, one in run.data.params.items()}


FILES = ("csv", "tensorboard") if find_spec("tensorboard") else ("csv",)
READERS = {"csv": read_csv, "tensorboard": read_tensorboard, "mlflow": read_mlflow}


def open_run(folder, *loggers, rows=None, notice=stay_silent):
    """A tracker on a run of which so many epochs have ended."""
    folder.mkdir(exist_ok=True)
    lines = CURVE.splitlines(keepends=True)
    (folder / CURVES).write_text("".join(lines if rows is None else lines[: rows + 1]))
    return Tracker(Tracking(loggers, folder / "logs"), make_recipe(), folder, notice)


@pytest.fixture(params=["csv", "tensorboard", pytest.param("mlflow", marks=pytest.mark.slow)])
def logger(request, monkeypatch):
    if request.param != "csv":
        pytest.importorskip(request.param)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return request.param


def check(logger, folder):
    steps, recipe = READERS[logger](folder / "logs")
    rows = read_curves(folder, NAMES)
    assert list(steps) == [1, 2, 3] == list(range(1, len(rows) + 1))
    for step, row in enumerate(rows, start=1):
        np.testing.assert_equal(
            {name: np.float32(one) for name, one in steps[step].items()},
            {name: np.float32(one) for name, one in row.items()},
        )
    assert recipe["phases.1.epochs"] == 2
    assert recipe["loss.cells"] == 0.5


def test_a_log_holds_each_epoch_once_however_often_the_run_was_broken_off(logger, tmp_path):
    """Broken off before an epoch was logged, after it, and while it was."""
    folder = tmp_path / "run"
    begun = open_run(folder, logger, rows=1)
    begun.on_train_start()
    begun.on_train_end()  # of the first phase
    killed = open_run(folder, logger, rows=2)
    killed.on_train_start()
    (log,) = killed.logs.values()
    if logger == "tensorboard":  # its figures reach the disk one by one
        log.logger.log_metrics({"train_total": 9.0}, 3)
        log.logger.save()
    open_run(folder, logger, rows=2).on_train_start()
    resumed = open_run(folder, logger)
    resumed.on_train_epoch_end()
    resumed.on_exception()
    open_run(folder, logger).finish()
    open_run(folder, logger).finish()
    check(logger, folder)


MAKE_BATCH = Draws._make_batch


def break_once(draws, order, start):
    if draws.phase == 1 and draws.epoch == 1 and start > 0:
        raise ValueError("broken")
    return MAKE_BATCH(draws, order, start)


@pytest.mark.parametrize("loggers", [FILES, pytest.param(("mlflow",), marks=pytest.mark.slow)])
def test_a_training_is_one_log_over_all_phases_and_a_break(loggers, tmp_path, monkeypatch):
    if "mlflow" in loggers:
        pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rows, _ = prepare_rows(
        read_data(write_manifest(tmp_path / "data", 12)), make_recipe().input, tmp_path,
        types=["tumor"],
    )  # fmt: skip
    folder = tmp_path / "run"

    def train():
        train_phases(rows, folder, tracking=Tracking(loggers, folder / "logs"))

    with monkeypatch.context() as patch:
        patch.setattr(Draws, "_make_batch", break_once)
        with pytest.raises(ValueError, match="broken"):
            train()
    train()
    for logger in loggers:
        check(logger, folder)


def test_a_logger_that_is_added_later_gets_the_earlier_epochs(logger, tmp_path, capfd):
    open_run(tmp_path / "run", logger).finish()
    assert capfd.readouterr() == ("", "")
    check(logger, tmp_path / "run")


def test_a_run_of_an_older_version_may_lack_the_leading_figure(tmp_path):
    pytest.importorskip("tensorboard")
    tracker = open_run(tmp_path / "run", "tensorboard")
    (tmp_path / "run" / CURVES).write_text("phase,epoch,train_total\nhead,1,0.9\nall,1,0.8\n")
    tracker.finish()
    steps, _ = read_tensorboard(tmp_path / "run/logs")
    assert [one["train_total"] for one in steps.values()] == pytest.approx([0.9, 0.8])


def test_a_missing_library_is_told_before_the_data_are_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        tumorlens.MissingExtra, match=r"`loggers=tensorboard` needs .*pip install .*tensorboard"
    ):
        tumorlens.train(tmp_path / "none", output=tmp_path / "run", loggers=["csv", "tensorboard"])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_before_the_data_are_read(
    tmp_path, monkeypatch, closed_port
):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{closed_port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        tumorlens.UsageError, match="MLFLOW_TRACKING_URI names cannot be used"
    ) as caught:
        tumorlens.train(tmp_path / "none", output=tmp_path / "run", loggers="mlflow")
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_gets_all_later(tmp_path, monkeypatch, closed_port):
    pytest.importorskip("mlflow")
    folder, said = tmp_path / "run", []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port}")
    tracker = open_run(folder, "mlflow", notice=said.append)
    tracker.on_train_start()
    tracker.on_train_epoch_end()
    assert len(said) == 1
    assert said[0].startswith("mlflow: cannot be reached (")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    tracker.on_train_epoch_end()
    tracker.finish()
    check("mlflow", folder)
    assert len(said) == 1


@pytest.mark.slow
def test_mlflow_reports_nothing_to_its_makers():
    pytest.importorskip("mlflow")
    experiment_logs._load_mlflow()
    from mlflow.telemetry.client import get_telemetry_client

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert get_telemetry_client() is None
