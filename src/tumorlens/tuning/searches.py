"""`Search`: trials in a journal file that several processes share; the door of Optuna.

A process that runs a trial holds the trial's lock file. So a trial whose lock is free was broken
off, by whichever process and however it ended, and the next process takes it up again.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import IO, Any, Literal

from tumorlens.errors import UsageError
from tumorlens.optional import load
from tumorlens.tuning.outcome import Trial
from tumorlens.tuning.recipe_spaces import Choices, Range, Space, Value
from tumorlens.writing import lock_file

__all__ = ["Pruned", "Pruner", "Running", "Search", "hold"]

Pruner = Literal["median", "hyperband", "none"]

FEW_TRIALS = 10
"""So many are drawn at random before the sampler learns from them; importances need as many."""
_SEEDS = 2**32
"""The seeds of Optuna and of scikit-learn end there."""
SECONDS = 2.0
"""Between two looks at the trials of other processes."""
_LONGEST_LINE = 1 << 20
"""Bytes; a line of the journal with all that a search asks for has a few thousand."""
_KNOWN, _AGAIN, _PLACE, _NOTE, _ASKED = "recipe", "again", "place", "note", "asked"
_STATES: dict[str, Literal["complete", "pruned", "failed"]] = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
}


class Pruned(Exception):
    """Ends a trial that is behind the others; no error."""


@dataclass(frozen=True, eq=False)
class Running:
    """A trial that this process runs.

    Attributes:
        number: of the trial, as in `Trial`.
        place: names its folder, which a trial that was broken off keeps.
        recipe: name of the known recipe that it is; empty where ``values`` are tried.
        values: dotted key -> value.
    """

    number: int
    place: int
    recipe: str
    values: dict[str, Value]
    _trial: Any
    _lock: IO[str] | None
    _journal: Path

    def report(self, epoch: int, value: float) -> None:
        """Tell the figure after an epoch of the first fold.

        Raises:
            Pruned: the trial is behind the others. Never for a known recipe: it is the yardstick.
        """
        if isnan(value):  # one label only among the validation rows
            return
        with _explain(self._journal):
            self._trial.report(value, epoch)
        if not self.recipe and self._trial.should_prune():
            raise Pruned


@dataclass(frozen=True, eq=False)
class Search:
    """Trials over one set of rows.

    Attributes:
        journal: file of all trials of all searches.
        folder: of what the trials leave.
        name: of this search in the file.
        space: what is tried.
        known: names of the recipes that come first; the last is the base of the space.
        maximize: whether more of the figure is better.
        pruner: which rule ends trials early.
        seed: of all values that are drawn.
        asked: what must be the same when the search is begun again.

    Raises:
        UsageError: the file holds another search.
        MissingExtra: Optuna is not installed.
    """

    journal: Path
    folder: Path
    name: str
    space: Space
    known: tuple[str, ...]
    maximize: bool
    pruner: Pruner
    seed: int
    asked: Mapping[str, Any]
    _study: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        optuna = load("optuna", "a search")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock(), _explain(self.journal):
            lock = _JournalLock(self.journal)
            backend = optuna.storages.journal.JournalFileBackend(str(self.journal), lock)
            study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=self.name,
                direction="maximize" if self.maximize else "minimize",
                pruner=_make_pruner(optuna, self.pruner),
                load_if_exists=True,
            )
            object.__setattr__(self, "_study", study)
            self._check_asked()

    def run(self, limit: int, attempt: Callable[[Running], float]) -> None:
        """Run trials until there are so many in all, those of other processes included.

        Args:
            limit: of trials.
            attempt: gives the figure of a trial. It may raise `Pruned`; a `ValueError` or
                `ArithmeticError` marks the trial as failed.
        """
        while True:
            with self._lock(), _explain(self.journal):
                self._recover()
                running = self._begin(limit)
            if running is not None:
                self._attempt(running, attempt)
            elif self._find("RUNNING"):
                time.sleep(SECONDS)
            else:
                return

    @property
    def trials(self) -> list[Trial]:
        """All that have ended, but for those that were broken off."""
        listed = enumerate(self._list())
        return [_describe(number, one) for number, one in listed if one.state.name in _STATES]

    @property
    def best(self) -> Trial | None:
        """The trial with the best figure, the earliest of equals; None if none is complete."""
        sign = -1 if self.maximize else 1
        done = [one for one in self.trials if one.value is not None]
        return min(done, key=lambda one: (sign * (one.value or 0.0), one.number), default=None)

    def weigh_keys(self) -> dict[str, float]:
        """Share of each key in the spread of the figure (fANOVA); empty where trials are few."""
        done = [one for one in self.trials if one.value is not None and one.values]
        if len(done) < FEW_TRIALS or len({one.value for one in done}) < 2:
            return {}
        optuna = load("optuna", "a search")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.seed % _SEEDS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = optuna.importance.get_param_importances(
                self._study, evaluator=evaluator, params=list(self.space.axes)
            )
        return dict(shares)

    def _check_asked(self) -> None:
        text = json.dumps(self.asked, sort_keys=True)
        there = self._study.user_attrs.get(_ASKED)
        if there is None:
            self._study.set_user_attr(_ASKED, text)
            for name in self.known:
                own = self.space.describe_base() if name == self.known[-1] else {}
                self._study.enqueue_trial(own, user_attrs={_KNOWN: name})
        elif there != text:
            old = json.loads(there)
            other = [key for key in self.asked if old.get(key) != json.loads(text)[key]]
            raise UsageError(
                f"{self.journal}: holds a search with other {' and '.join(other)}; name another "
                "file for this one, or ask for the same to go on with it"
            )

    def _list(self) -> list[Any]:
        """Optuna's trials in the order of their first start; what was begun again counts once."""
        trials = self._study.get_trials(deepcopy=False)
        again = {one.user_attrs.get(_AGAIN) for one in trials}
        return sorted((one for one in trials if one.number not in again), key=_find_place)

    def _find(self, state: str) -> list[Any]:
        return [one for one in self._list() if one.state.name == state]

    def _begin(self, limit: int) -> Running | None:
        trials = self._list()
        waiting = any(one.state.name == "WAITING" for one in trials)
        if not waiting and len(trials) >= limit:
            return None
        optuna = load("optuna", "a search")
        # Of its own for each trial, so that processes draw other values, and a restart the same.
        seed = (self.seed * 100_003 + len(trials)) % _SEEDS
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=FEW_TRIALS, multivariate=False
        )
        trial = self._study.ask()
        recipe = trial.user_attrs.get(_KNOWN, "")
        fits = not recipe or (recipe == self.known[-1] and self.space.describe_base())
        axes = self.space.axes if fits else {}
        values = {key: _suggest(trial, key, axis) for key, axis in axes.items()}
        number = [one.number for one in self._list()].index(trial.number)
        lock = _claim(self._lock_of(trial.number), wait=False)
        return Running(number, _find_place(trial), recipe, values, trial, lock, self.journal)

    def _recover(self) -> None:
        """Put trials that were broken off into the queue once more."""
        optuna = load("optuna", "a search")
        for one in self._find("RUNNING"):
            file = self._lock_of(one.number)
            lock = _claim(file, wait=False)
            if lock is None:
                continue
            # It may have ended since the list was made: whoever runs it tells so, then frees it.
            if one.number not in {still.number for still in self._find("RUNNING")}:
                _free(lock, file)
                continue
            kept = {name: one.user_attrs[name] for name in (_KNOWN,) if name in one.user_attrs}
            self._study.enqueue_trial(
                dict(one.params),
                user_attrs={**kept, _AGAIN: one.number, _PLACE: _find_place(one)},
            )
            # After that: a break in between must not leave a failed trial that nobody takes up.
            self._study.tell(one.number, state=optuna.trial.TrialState.FAIL)
            _free(lock, file)

    def _attempt(self, running: Running, attempt: Callable[[Running], float]) -> None:
        states = load("optuna", "a search").trial.TrialState
        number = running._trial.number  # of Optuna, which counts each start
        try:
            value = attempt(running)
            with _explain(self.journal):
                self._study.tell(number, value)
        except Pruned:
            self._study.tell(number, state=states.PRUNED)
        except (ValueError, ArithmeticError) as error:
            running._trial.set_user_attr(_NOTE, str(error))
            self._study.tell(number, state=states.FAIL)
        finally:
            if running._lock is not None:
                _free(running._lock, self._lock_of(number))

    def _lock_of(self, number: int) -> Path:
        return self.folder / f"{number:04}.lock"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with hold(self.folder / "search.lock"):
            yield


class _JournalLock:
    """Held while a line is written to the journal.

    The system frees it however a process ends. Optuna's own lock is a link that a killed process
    leaves behind; if the journal is in another folder, all others would wait for it for ever.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.stream: IO[str] | None = None

    def acquire(self) -> bool:
        """Wait for the lock, and remove the part of a line that a broken write has left."""
        self.stream = _claim(self.journal, wait=True)
        with self.journal.open("rb+") as journal:
            end = journal.seek(0, os.SEEK_END)
            journal.seek(max(0, end - _LONGEST_LINE))
            tail = journal.read()
            if tail and not tail.endswith(b"\n"):
                journal.truncate(end - len(tail.rpartition(b"\n")[2]))
        return True

    def release(self) -> None:
        """Free the lock."""
        if self.stream is not None:
            self.stream.close()


def _make_pruner(optuna: Any, pruner: Pruner) -> Any:
    if pruner == "none":
        return optuna.pruners.NopPruner()
    if pruner == "hyperband":
        return optuna.pruners.HyperbandPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)


def _suggest(trial: Any, key: str, axis: Range | Choices) -> Value:
    if isinstance(axis, Choices):
        return trial.suggest_categorical(key, axis.texts)  # type: ignore[no-any-return]
    whole = isinstance(axis.low, int)
    suggest = trial.suggest_int if whole else trial.suggest_float
    return suggest(key, axis.low, axis.high, log=axis.log)  # type: ignore[no-any-return]


def _find_place(one: Any) -> int:
    """Optuna's number of the first start of a trial: one that is begun again has it with it."""
    place: int = one.user_attrs.get(_PLACE, one.number)
    return place


def _describe(number: int, one: Any) -> Trial:
    return Trial(
        number=number,
        state=_STATES[one.state.name],
        value=one.value if one.state.name == "COMPLETE" else None,
        recipe=one.user_attrs.get(_KNOWN, ""),
        values=dict(one.params),
        curve=dict(one.intermediate_values),
        note=one.user_attrs.get(_NOTE, ""),
    )


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Be the only process that holds a lock file; wait for another that does."""
    lock = _claim(path, wait=True)
    try:
        yield
    finally:
        if lock is not None:
            lock.close()


@contextmanager
def _explain(journal: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{journal}: cannot be written ({error.strerror or error}); free space, then run the "
            "same command again: it goes on"
        ) from error


def _claim(path: Path, *, wait: bool) -> IO[str] | None:
    """The open lock file; None where another process holds it."""
    stream = path.open("a", encoding="utf-8")
    if lock_file(stream, wait=wait):
        return stream
    stream.close()
    return None


def _free(lock: IO[str], path: Path) -> None:
    path.unlink(missing_ok=True)
    lock.close()
