"""Who reads a mutant, and what may come of it: something sound, or an error that says why."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np

import models
from mutation.mutants import Mutant
from mutation.seeds import find_seeds
from tumorlens.cli.main import run
from tumorlens.data.manifest import read_data, read_manifest
from tumorlens.detector import Detector
from tumorlens.errors import InputError, TumorlensError
from tumorlens.evaluation.score_files import read_scores
from tumorlens.finding import SliceInfo
from tumorlens.imaging.readers import iterate_slices, read_object
from tumorlens.imaging.slices import Slice
from tumorlens.model.card import parse_card
from tumorlens.model.graph import read_calibration
from tumorlens.model.seen_entry import load_seen_test
from tumorlens.model.session import Session
from tumorlens.training.recipe import read_recipe

__all__ = ["Unsound", "choose_way", "judge", "warm_up"]

Way = Callable[[Path, Mutant], bool]
"""Reads what lies at a path; gives whether anything was read."""


_LONGEST = 4000  # characters of a message: a table may have many columns to name


class Unsound(Exception):
    """What was read breaks the contract, or more was written than was asked for."""


def judge(mutant: Mutant, path: Path, way: str) -> str:
    """``"read"`` or ``"refused"``; whatever else is raised is a failure of the reader.

    Args:
        mutant: that was written.
        path: of it, as the reader is to be given it.
        way: of `choose_way`.
    """
    try:
        return "read" if _WAYS[mutant.seed.reader][way][1](path, mutant) else "refused"
    except TumorlensError as error:
        _check_message(str(error))
        return "refused"


def choose_way(mutant: Mutant) -> str:
    """How this mutant is read: by the reader alone mostly, else by what stands on it."""
    ways = _WAYS[mutant.seed.reader]
    shares = [share for share, _ in ways.values()]
    return mutant.chance.choices(list(ways), shares)[0]


def _check_message(text: str) -> None:
    """Something is said, and no more than can be read."""
    if not text.strip() or len(text) > _LONGEST:
        raise Unsound(f"a message of {len(text)} characters: {text[:300]!r}")


def _check_error(error: InputError) -> None:
    if "\n" in error.reason or not error.reason:
        raise Unsound(f"a reason that is no line: {error.reason!r}")
    _check_message(f"{error.reason}; {error.advice}")
    _check_message(str(error))


def _check_slice(slice_: Slice) -> None:
    pixels, info = slice_.pixels, slice_.info
    if pixels.ndim != 2 or pixels.dtype != np.float32 or not np.isfinite(pixels).all():
        raise Unsound(f"pixels of {pixels.dtype}, {pixels.shape}, or not finite")
    _check_info(info)


def _check_info(info: SliceInfo) -> None:
    numbers = [info.position_mm, *(info.spacing_mm or ()), *(info.window or ())]
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise Unsound(f"a position, spacing or window that is not finite: {info}")
    if info.spacing_mm is not None and min(info.spacing_mm) <= 0:
        raise Unsound(f"a spacing that is not positive: {info.spacing_mm}")
    if info.frame < 0 or not all(isinstance(note, str) for note in info.notes):
        raise Unsound(f"a frame or a note that makes no sense: {info}")


def _take(items: Iterable[Slice | InputError]) -> bool:
    """All of them, looked at; whether a slice was among them."""
    some, nothing = False, True
    for item in items:
        nothing = False
        if isinstance(item, Slice):
            _check_slice(item)
            some = True
        else:
            _check_error(item)
    if nothing:
        raise Unsound("neither a slice nor an error")
    return some


def _read_slices(path: Path, mutant: Mutant) -> bool:
    return _take(iterate_slices(path))


def _read_bytes(path: Path, mutant: Mutant) -> bool:
    """As bytes in memory; what needs several files is read from the disk."""
    return _take(read_object(path.read_bytes() if path.is_file() else path))


@cache
def _tiny_model() -> Path:
    folder = TemporaryDirectory(prefix="mutants-model-")
    _kept.append(folder)
    return models.write_tiny_model(Path(folder.name) / "tiny.onnx")


_kept: list[TemporaryDirectory[str]] = []


@cache
def _detector(threads: int) -> Detector:
    return Detector(_tiny_model(), threads=threads)


def _find(path: Path, mutant: Mutant) -> bool:
    """Verdicts and their records."""
    some = False
    detector = _detector(mutant.chance.choice((1, 2)))
    for slice_, finding in detector.iterate(path, on_error="record"):
        json.dumps(finding.to_record(), allow_nan=False)
        _check_info(finding.info)
        some = some or slice_ is not None
    return some


def _call(arguments: list[str]) -> tuple[int, str]:
    """Exit code and words of the command, run in this process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run(arguments)
    text = said.getvalue()
    if code not in (0, 1, 2) or "Traceback" in text:
        raise Unsound(f"exit code {code}: {text[-1500:]}")
    return code, text


def _list(folder: Path) -> set[str]:
    return {str(Path(place, name)) for place, _, names in os.walk(folder) for name in names}


def _predict(path: Path, mutant: Mutant) -> bool:
    """The command, with records, pictures and a summary; it writes only where it was told."""
    folder = path if path.is_dir() else path.parent
    before = _list(folder.parent)
    form = mutant.chance.choice(("jsonl", "csv"))
    with TemporaryDirectory(dir=folder.parent) as results:
        output, pictures = Path(results) / f"o.{form}", Path(results) / "a" / "b" / "pictures"
        pictures.parent.mkdir(parents=True)
        options = ["--output", str(output), "--heatmaps", str(pictures), "--summary", "--quiet"]
        code, _ = _call(["predict", str(path), "--model", str(_tiny_model()), *options])
        wrong = {one for one in _list(Path(results)) if not one.startswith(f"{pictures}{os.sep}")}
        written = (_list(folder.parent) - before) - _list(Path(results))
        if written or wrong - {str(output), f"{output}.partial"}:
            raise Unsound(f"written elsewhere: {sorted(written | wrong)}")
        if form == "jsonl" and output.exists():
            _check_lines(output)
    return code < 2


def _check_lines(output: Path) -> None:
    for line in output.read_text(encoding="utf-8").split("\n")[:-1]:
        json.loads(line, parse_constant=_refuse_constant)
        if any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in line):
            raise Unsound(f"a control character in a JSON line: {line!r}"[:300])


def _refuse_constant(name: str) -> None:
    raise Unsound(f"{name} in JSON")


def _read_folder(path: Path, mutant: Mutant) -> bool:
    """As labelled data: a folder of files whose labels are not known."""
    folder = path if path.is_dir() else path.parent
    return len(read_data(folder, classes={folder.name: "tumor"})) > 0


def _audit(path: Path, mutant: Mutant) -> bool:
    """The audit of a set that holds the mutant beside sound pictures."""
    folder = path if path.is_dir() else path.parent
    rows = "".join(
        f"{name},{'tumor' if n % 2 else 'no_tumor'}\n" for n, name in enumerate(mutant.files)
    )
    (folder / "set.csv").write_text("path,label\n" + rows)
    code, _ = _call(["audit", str(folder / "set.csv"), "--report", str(folder / "a.html")])
    return code < 2


def _read_manifest(path: Path, mutant: Mutant) -> bool:
    manifest = read_manifest(path)
    with TemporaryDirectory() as folder:
        manifest.write(Path(folder) / "again.csv")
        if read_manifest(Path(folder) / "again.csv").rows != manifest.rows:
            raise Unsound("a manifest that is another when it is written and read again")
    return True


def _read_scores(path: Path, mutant: Mutant) -> bool:
    return len(read_scores(path)) > 0


def _evaluate(path: Path, mutant: Mutant) -> bool:
    """The figures of a table of scores, or of a model on a manifest."""
    report = path.parent / "r.html"
    what = (
        ["--scores", str(path)]
        if mutant.seed.reader == "scores"
        else [str(_tiny_model()), str(path)]
    )
    return _call(["evaluate", *what, "--report", str(report), "--quiet"])[0] < 2


def _read_recipe(path: Path, mutant: Mutant) -> bool:
    json.dumps(read_recipe(path).to_record(), allow_nan=False)
    return True


def _read_card(path: Path, mutant: Mutant) -> bool:
    card = parse_card(path.read_bytes(), str(path))
    if parse_card(card.to_json(), "again") != card:
        raise Unsound("a card that is another when it is written and read again")
    return True


def _open_model(path: Path, mutant: Mutant) -> bool:
    session = Session(path, threads=1)
    size = session.card.preprocess.size
    session.run(np.zeros((2, 1, size, size), np.float32))
    remembers = load_seen_test(session)
    if remembers is not None:
        remembers(Slice(np.eye(32, dtype=np.float32), SliceInfo("x")))
    return True


def _use_model(path: Path, mutant: Mutant) -> bool:
    """A verdict by it, and the numbers that calibration rewrites."""
    findings = Detector(path, threads=1).predict(np.eye(64, dtype=np.float32) * 200)
    json.dumps(findings[0].to_record(), allow_nan=False)
    read_calibration(path)
    return True


def _show_model(path: Path, mutant: Mutant) -> bool:
    return _call(["card", str(path)])[0] < 2


_WAYS: Mapping[str, Mapping[str, tuple[float, Way]]] = {
    "image": {
        "slices": (80, _read_slices),
        "bytes": (10, _read_bytes),
        "detector": (6, _find),
        "predict": (2, _predict),
        "data": (1.5, _read_folder),
        "audit": (0.1, _audit),
    },
    "manifest": {"manifest": (95, _read_manifest), "evaluate": (3, _evaluate)},
    "scores": {"scores": (97, _read_scores), "evaluate": (3, _evaluate)},
    "recipe": {"recipe": (1, _read_recipe)},
    "card": {"card": (1, _read_card)},
    "model": {"session": (70, _open_model), "verdict": (28, _use_model), "card": (2, _show_model)},
}
"""Reader of a seed -> way -> how often, and what it does."""


def warm_up() -> None:
    """Load what the ways load when they are first used: libraries, models, helper processes."""
    first = {seed.reader: seed for seed in reversed(find_seeds())}
    lossless = next(seed for seed in find_seeds() if seed.name == "DICOM, JPEG lossless")
    for seed in (*first.values(), lossless):
        for way in _WAYS[seed.reader]:
            with TemporaryDirectory() as folder, contextlib.suppress(TumorlensError):
                mutant = Mutant(0, seed, dict(seed.files), (), Random(0))
                judge(mutant, mutant.write(Path(folder) / "m"), way)
