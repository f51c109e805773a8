"""``tumorlens seen``: was this picture, or a copy of it, in the model's training?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.outputs import check_inputs_survive
from tumorlens.errors import ModelFileError, UsageError
from tumorlens.writing import check_writable, write_text

if TYPE_CHECKING:
    from tumorlens.errors import InputError
    from tumorlens.imaging.slices import Slice
    from tumorlens.model.session import Session

__all__ = ["command"]

SEEN, UNSEEN, ERROR = "seen", "not seen", "error"


@click.command(short_help="Ask whether pictures were in a model's training.")
@words.model_argument
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@words.output_option
@words.overwrite_option
@words.voice_options
def command(
    *,
    model: str,
    paths: tuple[str, ...],
    output: Path | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Say of each slice of PATH... whether it, or a copy of it, was in MODEL's training.

    A copy counts however it was mirrored, turned, scaled or re-contrasted. A model keeps 32 bytes
    of each training picture, so about 2 in 1,000 pictures that it never saw are called seen. One
    line a slice goes to standard output, all answers to --output (JSON).
    """
    from tumorlens.model.memory import recall

    voice = words.Voice(quiet, verbose)
    check_inputs_survive(paths, output)
    if output is not None:
        check_writable(output, overwrite=overwrite)
    session = _open_session(model)
    was_seen = recall(session)
    if was_seen is None:
        raise ModelFileError(
            f"{session.path}: does not remember its training pictures (no entry tumorlens.seen); "
            "exports drop it: ask the .onnx file that train wrote"
        )
    answers = []
    with words.open_bar(voice, "comparing", lambda: None, unit="slices", on_output=True) as bar:
        for answer in _ask(paths, was_seen):
            answers.append(answer)
            bar.advance(1)
            if not quiet:
                _say(answer, bar)
    _refuse_nothing(answers)
    if output is not None:
        record = {"schema": 1, "model": session.card.full_name, "slices": answers}
        write_text(output, json.dumps(record, indent=1) + "\n", overwrite=overwrite)
    return _conclude(answers, voice)


def _open_session(model: str) -> Session:
    from tumorlens.cli.measuring import open_detector

    return open_detector(model, operating_point="balanced", threads=1, device="cpu").session


def _ask(paths: Iterable[str], was_seen: Callable[[Slice], bool]) -> Iterator[dict[str, Any]]:
    for item in _read(paths):
        if isinstance(item, Exception):
            yield {"path": item.path, "frame": None, "seen": None, "error": str(item)}
        else:
            info = item.info
            yield {
                "path": info.path,
                "frame": info.frame,
                "seen": was_seen(item),
                "error": None,
            }


def _read(paths: Iterable[str]) -> Iterator[Slice | InputError]:
    from tumorlens.imaging.readers import iterate_slices

    for path in paths:
        yield from iterate_slices(path)


def _say(answer: dict[str, Any], bar: words.Bar) -> None:
    where = answer["path"] + (f" [{answer['frame']}]" if answer["frame"] else "")
    line = words.make_printable(f"{_word(answer):8}  {answer['error'] or where}")
    if bar.stream is None:
        click.echo(line)
    else:
        bar.stream.write(line + "\n")


def _word(answer: dict[str, Any]) -> str:
    if answer["error"] is not None:
        return ERROR
    return SEEN if answer["seen"] else UNSEEN


def _refuse_nothing(answers: list[dict[str, Any]]) -> None:
    if all(answer["error"] is not None for answer in answers):
        raise UsageError("no slice could be read; nothing was compared")


def _conclude(answers: list[dict[str, Any]], voice: words.Voice) -> int:
    counts = Counter(map(_word, answers))
    voice.say(
        f"{counts[SEEN]:,} of {counts[SEEN] + counts[UNSEEN]:,} slices were in training, or are "
        "copies of one that was" + (f"; {counts[ERROR]:,} unreadable" if counts[ERROR] else "")
    )
    return 1 if counts[ERROR] else 0
