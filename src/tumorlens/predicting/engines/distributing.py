"""`distribute`: one run as jobs of an engine, from the first to the merged records."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tumorlens.arguments import (
    COUNT,
    LISTED_INPUTS,
    PATH,
    SWITCH,
    TEXT,
    Rule,
    check_arguments,
    optional,
)
from tumorlens.errors import UsageError
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.model.session import load_card
from tumorlens.predicting.engines.following import Following
from tumorlens.predicting.engines.job_books import JobBook, parts_folder, read_page
from tumorlens.predicting.engines.shard_jobs import ShardWork
from tumorlens.predicting.engines.submission import ENGINES, Engine, count_cores
from tumorlens.predicting.options import RunOptions, RunSummary
from tumorlens.predicting.record_files import guess_form
from tumorlens.predicting.records import LineForm
from tumorlens.predicting.sharding.merging import merge
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.remote.file_addresses import drop_host
from tumorlens.studies.assembling import FolderRule
from tumorlens.workers import available_cores
from tumorlens.writing import check_writable

__all__ = ["distribute"]

Path_ = str | os.PathLike[str]


def _names_all(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


@check_arguments(
    paths=LISTED_INPUTS,
    engine=Rule("'slurm' or 'local'", lambda value: isinstance(value, str) and value in ENGINES),
    shards=optional(COUNT),
    at_once=optional(COUNT),
    job=optional(Rule('a dict such as {"timeout_min": 600}', _names_all)),
    model=PATH,
    operating_point=TEXT,
    mirror=SWITCH,
    batch_size=COUNT,
)
def distribute(
    paths: Path_ | Sequence[Path_],
    output: Path_,
    *,
    engine: Literal["slurm", "local"] = "slurm",
    shards: int | None = None,
    at_once: int | None = None,
    job: Mapping[str, Any] | None = None,
    model: Path_ = "default",
    operating_point: str = "balanced",
    form: LineForm | None = None,
    overwrite: bool = False,
    resume: bool = False,
    summary: bool = False,
    series_from: FolderRule = None,
    study_from: FolderRule = None,
    heatmaps: Path_ | None = None,
    montage: bool = False,
    activation_volume: Path_ | None = None,
    mirror: bool = False,
    batch_size: int = 8,
    threads: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> RunSummary:
    """Judge everything in files and folders with the jobs of an engine, and merge their records.

    It does what ``tumorlens predict PATH... --engine ENGINE --output FILE`` does. Each job judges
    one shard; a shard that fails is started again twice, where it was left. The records are those
    of `write_records`, but for ``seconds``. ``FILE.parts`` keeps the shards and the logs of their
    jobs. If this process ends, the jobs go on; ``resume=True`` finds them, and what they finished.

    Args:
        paths: files and folders, under the same names on every machine.
        output: where the records go, outside of the folders of ``paths``.
        engine: ``"slurm"``, or ``"local"`` for processes of this machine.
        shards: parts of the run; by default the cores of this machine for ``local``. A run that
            goes on keeps its number.
        at_once: jobs that run at the same time; by default all on Slurm, and one a core here.
        job: parameters of submitit, e.g. ``{"timeout_min": 600, "slurm_partition": "cpu"}``.
        model, operating_point, form, summary: see `write_records`.
        series_from, study_from: see `write_records`.
        heatmaps, montage, activation_volume: see `write_records`.
        overwrite: replace a result, and what a broken run has left.
        resume: go on with what a broken run has left, if it has left anything.
        mirror, batch_size: see `Detector`.
        threads: of each job; by default 1 on Slurm (where it is also ``cpus_per_task``), and an
            equal share of the cores here.
        device: ``cpu``, ``cuda`` or ``mps``.
        progress: told what goes on, the shards that are done and the shards in all.
        notice: takes sentences for a person.

    Returns:
        Counts of verdicts and of skipped files.

    Raises:
        UsageError: the parameters contradict each other, a result exists already, the engine
            refuses the jobs, or a shard failed three times. What was finished is kept.
        ModelFileError: the model is unknown, or its file breaks the contract.
        MissingExtra: submitit is not installed.
    """
    output = Path(drop_host(output))
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    named = tuple(os.fspath(path) for path in listed)
    _check_places(named, output, overwrite=overwrite, resume=resume)
    RunOptions(
        summary=summary, series_from=series_from, study_from=study_from, montage=montage,
        heatmaps=None if heatmaps is None else Path(heatmaps),
    )  # fmt: skip
    load_card(model).find_operating_point(operating_point)
    shards = _count_shards(engine, shards, output if resume else None)
    at_once = min(shards, at_once or (available_cores() if engine == "local" else shards))
    settings = dict(job or {})
    threads = _count_threads(engine, threads, at_once, settings)
    form = form or guess_form(output)
    work = ShardWork(
        paths=named, model=os.fspath(model), operating_point=operating_point, mirror=bool(mirror),
        batch_size=batch_size, threads=threads, device=device, form=form, summary=bool(summary),
        series_from=series_from, study_from=study_from, heatmaps=_as_text(heatmaps),
        montage=bool(montage), activation_volume=_as_text(activation_volume),
    )  # fmt: skip
    book = JobBook(parts_folder(output), f".{form}", engine, shards, work.list_options())
    runner = ENGINES[engine](book.folder / "jobs", settings)
    if overwrite and not resume:
        _clear(book, runner)
    following = Following(
        book, runner, work, at_once, progress or stay_silent, notice or stay_silent
    )
    try:
        following.run(goes_on=book.take_up())
    finally:
        _leave_nothing(book, runner)
    files = [book.file_of(number) for number in book.numbers]
    return merge(files, output, overwrite=overwrite, notice=notice)


def _check_places(named: Iterable[str], output: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a result that cannot be written, or would be among the inputs."""
    check_inputs_survive(named, output)
    check_writable(output, overwrite=overwrite)
    folder = parts_folder(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, and the shards need this name; move it")
    if folder.exists() and any(folder.iterdir()) and not (resume or overwrite):
        raise UsageError(
            f"{folder}: is left from a broken run, or keeps the shards of a finished one; go on "
            "with `resume=True`, or start again with `overwrite=True`"
        )
    place = Path(os.path.realpath(output))
    for name in named:
        if Path(name).is_dir() and Path(os.path.realpath(name)) in place.parents:
            raise UsageError(
                f"{output}: lies in {name}, whose files are judged, and so would the shards; name "
                "a file outside of it"
            )


def _count_shards(engine: str, shards: int | None, resumed: Path | None) -> int:
    book = None if resumed is None else parts_folder(resumed) / "jobs.json"
    if shards is None and book is not None and book.exists():
        return read_page(book).shards
    if shards is None and engine == "slurm":
        raise UsageError(
            "`engine=slurm` needs the number of parts: give `shards=`, e.g. four times the jobs "
            "that may run at once"
        )
    return shards or available_cores()


def _count_threads(engine: str, threads: int | None, at_once: int, settings: dict[str, Any]) -> int:
    """Threads of a job; Slurm is asked for as many cores."""
    if engine == "local":
        return threads or count_cores(at_once)
    threads = threads or int(settings.get("cpus_per_task", 1))
    settings.setdefault("cpus_per_task", threads)
    settings.setdefault("slurm_array_parallelism", at_once)
    # From 22.05 on, srun does not take over the cores of its job by itself.
    settings.setdefault("slurm_srun_args", ["-c", str(threads)])
    return threads


def _clear(book: JobBook, engine: Engine) -> None:
    """Throw away what an earlier run has left, after its jobs were ended."""
    if not book.folder.exists():
        return
    if not book.path.exists() and any(book.folder.iterdir()):
        raise UsageError(
            f"{book.folder}: holds no jobs.json, so that it may be something else than shards; "
            "remove it yourself, or name another file"
        )
    if book.path.exists():
        page = read_page(book.path)
        ENGINES[page.engine](engine.folder, {}).cancel(page.jobs.values())
    shutil.rmtree(book.folder)


def _leave_nothing(book: JobBook, engine: Engine) -> None:
    """Where no job was ever started, the next run need not be told to go on."""
    if not book.path.exists():
        shutil.rmtree(engine.folder, ignore_errors=True)
        with suppress(OSError):
            book.folder.rmdir()


def _as_text(path: Path_ | None) -> str | None:
    return None if path is None else os.fspath(path)
