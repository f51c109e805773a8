"""``tumorlens seen``: was this picture, or a copy of it, in the model's training?"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import open_detector
from tumorlens.cli.pace import Pulse
from tumorlens.errors import UsageError
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.predicting.records import CsvWriter
from tumorlens.predicting.seen_slices import SeenSlice, iterate_seen, open_fingerprints
from tumorlens.writing import check_writable, open_when_done, write_text

__all__ = ["command"]

SEEN, UNSEEN, ERROR = "seen", "not seen", "error"


@click.command()
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

    A copy counts however it was mirrored, turned, scaled or changed in contrast. A model keeps a
    fingerprint of 32 bytes for each training image. About 2 in 1,000 images that were not in
    training are called seen. Each slice gets a line on standard output; --output gets all answers
    (CSV if its name ends in .csv, else JSON).
    """
    voice = words.Voice(quiet, verbose)
    check_inputs_survive(paths, output)
    if output is not None:
        check_writable(output, overwrite=overwrite)
    session = open_detector(model, operating_point="balanced", threads=1, device="cpu").session
    was_seen = open_fingerprints(session)
    answers = []
    with Pulse(voice, unit="slices", on_output=True) as pulse:
        advance = pulse.count("comparing", lambda: None)
        for answer in iterate_seen(was_seen, paths, on_error="record"):
            answers.append(answer)
            advance(1)
            if not quiet:
                _say(answer, pulse)
    if all(answer.error is not None for answer in answers):
        raise UsageError("no slice could be read, so nothing was compared; check the paths")
    if output is not None:
        _write(output, session.card.full_name, answers, overwrite=overwrite)
    return _conclude(answers, voice)


def _write(output: Path, model: str, answers: list[SeenSlice], *, overwrite: bool) -> None:
    slices = [answer.to_record() for answer in answers]
    if output.suffix.lower() == ".csv":
        with open_when_done(output, overwrite=overwrite) as stream:
            writer = CsvWriter(stream, tuple(slices[0]))
            for one in slices:
                writer.write(one)
        return
    record = {"schema": 1, "model": model, "slices": slices}
    write_text(output, json.dumps(record, indent=1) + "\n", overwrite=overwrite)


def _say(answer: SeenSlice, pulse: Pulse) -> None:
    where = answer.path + (f" [{answer.frame}]" if answer.frame else "")
    line = words.make_printable(f"{_word(answer):8}  {answer.error or where}")
    if pulse.stream is None:
        click.echo(line)
    else:
        pulse.stream.write(line + "\n")


def _word(answer: SeenSlice) -> str:
    if answer.error is not None:
        return ERROR
    return SEEN if answer.seen else UNSEEN


def _conclude(answers: list[SeenSlice], voice: words.Voice) -> int:
    counts = Counter(map(_word, answers))
    voice.say(
        f"{counts[SEEN]:,} of {counts[SEEN] + counts[UNSEEN]:,} slices were in training, or are "
        "copies of a slice that was" + (f"; {counts[ERROR]:,} unreadable" if counts[ERROR] else "")
    )
    return 1 if counts[ERROR] else 0
