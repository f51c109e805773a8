"""`evaluate`: from a model and labelled data, or from scores, to figures with their intervals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tumorlens.arguments import DEVICE, check_arguments, optional
from tumorlens.data.choosing import Choice, Chosen, DataSource, choose_rows
from tumorlens.data.rows import tell_repeats
from tumorlens.detector import Detector, open_detector
from tumorlens.errors import UsageError
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.figures.intervals import REPLICATES
from tumorlens.evaluation.results import Evaluation
from tumorlens.evaluation.score_shards import take_shard
from tumorlens.evaluation.scores import Judged, Scores
from tumorlens.evaluation.scoring import (
    Scored,
    fill_pointing,
    read_scored,
    score_rows,
    take_split,
)
from tumorlens.evaluation.series_and_studies.study_fitting import judge_heads
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.remote.staging import Staging, open_staging
from tumorlens.shards import Shard
from tumorlens.studies.study_model import find_study_model

__all__ = [
    "Counting",
    "Measurement",
    "ModelOrScores",
    "evaluate",
    "measure_model",
    "score",
    "score_data",
]

ModelOrScores = str | os.PathLike[str] | Detector | Scores | Sequence[str | os.PathLike[str]]
"""A model (name, ``.onnx`` file, detector) or scores (table, ``.csv`` file, several files)."""


@dataclass(frozen=True, slots=True)
class Counting:
    """Options for the figures of an evaluation.

    Attributes:
        by: columns that define subsets; see `evaluate_scores`.
        prevalence: share of tumor slices at which PPV and NPV are stated.
        keep_all: also count rows whose notes call them unfit.
        replicates, seed: of the bootstrap.
    """

    by: Sequence[str] = ()
    prevalence: float | None = None
    keep_all: bool = False
    replicates: int = REPLICATES
    seed: int = 0


@dataclass(frozen=True)
class Measurement:
    """An evaluation with its scores and its model.

    Attributes:
        evaluation: the figures.
        scored: the scores, and what could not be scored.
        detector: the model; None for scores of a file.
    """

    evaluation: Evaluation
    scored: Scored
    detector: Detector | None = None


@check_arguments(device=optional(DEVICE))
def evaluate(
    model_or_scores: ModelOrScores,
    *data: DataSource,
    split: str | None = None,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    twins: bool | None = None,
    compare: ModelOrScores | None = None,
    operating_point: str | None = None,
    by: Sequence[str] = (),
    prevalence: float | None = None,
    keep_all: bool = False,
    replicates: int = REPLICATES,
    seed: int = 0,
    threads: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Evaluation:
    """Measure a model on labelled slices. Every figure has a 95 % interval over groups.

    Args:
        model_or_scores: a model (name of the registry, ``.onnx`` file, `Detector`), which needs
            ``data``; or scores (`Scores`, a ``.csv`` file, a list of such files), which need none.
        data: folders of class folders, manifests as CSV, or `Manifest` objects. A folder, a model
            or scores may be an address (``s3://…``, ``gs://…``), which needs the extra ``remote``.
        split: only rows of this split. Rows whose group also stands in another split count as seen
            in training.
        classes: name of a class folder -> ``tumor``, ``no_tumor``, a tumor class, or ``skip``.
        shared_groups: whether a group's name means the same patient in all sets.
        twins: whether copies of one picture are joined into one group; by default they are where a
            row has no group.
        compare: another model, or its scores of the same rows: adds paired differences.
        operating_point: name of one of the model's operating points, by default ``balanced``; of
            a model that is not open yet.
        by: columns; each of their values is also measured by itself. ``"a,b"`` measures each
            combination of two columns. By default source and sequence.
        prevalence: share of tumor slices where the model is used: adds PPV and NPV.
        keep_all: also count rows whose notes call them CT or doubtful.
        replicates: bootstrap samples of groups for each interval.
        seed: random seed of the bootstrap.
        threads: threads to use; by default one for each core.
        device: ``cpu`` (the default), ``cuda`` or ``mps``; only for a model that is not open yet.
        progress: called with (name of the step, units done, units in all).
        notice: called with a sentence about groups, and about files that could not be read.

    Returns:
        The figures; ``evaluation.leading.find("auc")`` is one, ``to_json()`` writes all.

    Raises:
        DataError: data or scores that cannot be read, or no row to count.
        ModelFileError: the model is unknown, or its file breaks the contract.
        UsageError: arguments that contradict each other.
        MissingExtra: scikit-learn or the nearest-neighbour index is not installed.
    """
    with open_staging(notice) as staging:

        def tell(sentence: str) -> None:
            (notice or stay_silent)(staging.show(sentence))

        measurement = measure_model(
            _fetch(staging, model_or_scores),
            [_fetch(staging, one) for one in data],
            choice=Choice(split, classes, shared_groups, twins),
            compare=_fetch(staging, compare),
            counting=Counting(by, prevalence, keep_all, replicates, seed),
            operating_point=operating_point,
            threads=threads,
            device=device,
            progress=progress or stay_silent,
            notice=tell,
        )
        measurement.scored.tell_failures(tell)
        return measurement.evaluation


def _fetch(staging: Staging, named: Any) -> Any:
    """What was fetched in the place of an address, or of a list of them; all else as it is."""
    if _is_path(named):
        return staging.fetch_whole([named])[0]
    paths = isinstance(named, (list, tuple)) and all(map(_is_path, named))
    return staging.fetch_whole(named) if paths else named


def _is_path(named: Any) -> bool:
    return isinstance(named, (str, os.PathLike))


@check_arguments(device=optional(DEVICE))
def score(
    model: str | os.PathLike[str] | Detector,
    *data: DataSource,
    split: str | None = None,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    twins: bool | None = None,
    operating_point: str | None = None,
    threads: int | None = None,
    device: str | None = None,
    shard: str | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Scores:
    """Run a model on labelled slices; gives its outputs together with the labels.

    Takes what `evaluate` takes. One set of scores serves several calls of `evaluate`. With
    ``shard="2/5"`` only the second of five parts is scored, in which groups are whole; `evaluate`
    takes the files of all parts, and its figures are those of one run.

    Raises:
        DataError: data that cannot be read, or no slice that can.
        UsageError: there is no such shard, or there are fewer groups than shards.
        ModelFileError: the model is unknown, or its file breaks the contract.
    """
    told, part = notice or stay_silent, None if shard is None else Shard.parse(shard)
    detector = open_detector(model, operating_point=operating_point, threads=threads, device=device)
    scored = score_data(
        detector,
        data,
        Choice(split, classes, shared_groups, twins),
        shard=part,
        threads=threads,
        progress=progress or stay_silent,
        notice=told,
    )
    scored.tell_failures(told)
    return scored.scores


def score_data(
    detector: Detector,
    data: Sequence[DataSource],
    choice: Choice,
    *,
    shard: Shard | None = None,
    threads: int | None = None,
    progress: Progress = stay_silent,
    notice: Notice = stay_silent,
) -> Scored:
    """As `score`; also gives the slices that could not be scored.

    Args:
        detector: the model, at its operating point.
        data, threads, progress, notice: as `evaluate` takes them.
        choice: which rows, and how they are grouped.
        shard: score only this part of them; None for all.
    """
    chosen = choose_rows(data, choice, threads=threads, progress=progress, notice=notice)
    if shard is not None:
        chosen = take_shard(chosen, shard)
    return score_rows(detector, chosen, progress=progress)


def measure_model(
    model_or_scores: ModelOrScores,
    data: Sequence[DataSource],
    *,
    choice: Choice | None = None,
    compare: ModelOrScores | None = None,
    counting: Counting | None = None,
    operating_point: str | None = None,
    threads: int | None = None,
    device: str | None = None,
    progress: Progress = stay_silent,
    notice: Notice = stay_silent,
) -> Measurement:
    """As `evaluate`; also gives scores, failures and model.

    Args:
        model_or_scores, data, compare: as `evaluate` takes them.
        choice: which rows, and how they are grouped.
        counting: options for the figures.
        operating_point, threads, device: of models that are not open yet.
        progress, notice: as `evaluate` takes them.
    """
    sources = _Sources(
        tuple(data), choice or Choice(), operating_point, threads, device, progress, notice
    )
    counts = counting or Counting()
    scored, detector = sources.take(model_or_scores, alone=True)
    other = None if compare is None else sources.take(compare, alone=False)[0].scores
    point = "balanced" if detector is None else detector.operating_point
    heads, notes = _judge_heads(scored.scores, detector, point)
    evaluation = evaluate_scores(
        scored.scores,
        by=counts.by,
        prevalence=counts.prevalence,
        other=other,
        heads=heads,
        keep_all=counts.keep_all,
        replicates=counts.replicates,
        seed=counts.seed,
        notes=[*scored.notes, *notes],
    )
    return Measurement(evaluation, scored, detector)


@dataclass
class _Sources:
    """Gives scores of several models; the data are read only once."""

    data: tuple[DataSource, ...]
    choice: Choice
    operating_point: str | None
    threads: int | None
    device: str | None
    progress: Progress
    notice: Notice
    _chosen: Chosen | None = field(default=None, init=False)

    def take(self, named: ModelOrScores, *, alone: bool) -> tuple[Scored, Detector | None]:
        """Scores of a file or a table, or of a model on the data."""
        if isinstance(named, Scores):
            self._refuse_data(alone)
            chosen = take_split(named, self.choice.split)
            self._tell_repeats(chosen)
            return fill_pointing(chosen, progress=self.progress), None
        files = _list_files(named)
        if files:
            self._refuse_data(alone)
            scored = read_scored(files, split=self.choice.split, progress=self.progress)
            self._tell_repeats(scored.scores)
            return scored, None
        assert isinstance(named, (str, os.PathLike, Detector))
        if not self.data:
            raise UsageError(
                "a model needs data: name at least one set, or give scores in its place"
            )
        detector = open_detector(
            named, operating_point=self.operating_point, threads=self.threads, device=self.device
        )
        return score_rows(detector, self._choose(), progress=self.progress), detector

    def _choose(self) -> Chosen:
        if self._chosen is None:
            self._chosen = choose_rows(
                self.data,
                self.choice,
                threads=self.threads,
                progress=self.progress,
                notice=self.notice,
            )
        return self._chosen

    def _tell_repeats(self, scores: Scores) -> None:
        if repeats := tell_repeats(scores.rows):
            self.notice(repeats)

    def _refuse_data(self, alone: bool) -> None:
        """Refuse data beside scores, unless the scores are compared with a model on these data."""
        if not alone:
            return
        if self.data:
            raise UsageError("give either a model and data, or scores alone")
        if self.choice.classes:
            raise UsageError(
                "`classes=` says what class folders mean, and scores have none; change the labels "
                "in the table"
            )
        told = {
            "operating_point": self.operating_point,
            "device": self.device,
            "twins": self.choice.twins,
            "shared_groups": self.choice.shared_groups,
        }
        for name, value in told.items():
            if value is not None:
                raise UsageError(
                    f"`{name}={value}` has no effect on scores: it serves a model and data; "
                    "leave it out"
                )


def _list_files(named: ModelOrScores) -> Sequence[str | os.PathLike[str]]:
    """The files of scores; empty for a model."""
    if isinstance(named, (Detector, Scores)):
        return ()
    if isinstance(named, (str, os.PathLike)):
        return [named] if os.fspath(named).lower().endswith(".csv") else ()
    return named


def _judge_heads(
    scores: Scores, detector: Detector | None, point: str
) -> tuple[Judged | None, tuple[str, ...]]:
    """Whole series and studies, and a note if there are none."""
    model = None if detector is None else find_study_model(detector)
    judged = judge_heads(scores, model, point)
    if isinstance(judged, str):
        return None, (judged,) if judged else ()
    return judged, ()
