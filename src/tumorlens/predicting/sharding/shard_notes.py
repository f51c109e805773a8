"""``FILE.shard.json``: what stands beside the records of a shard, so that `merge` can check them.

It is written when the shard begins, and again when it is complete. So a shard that was cut off
tells itself from one that never started.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tumorlens.errors import UsageError
from tumorlens.predicting.records import LineForm
from tumorlens.shards import Shard
from tumorlens.version import __version__
from tumorlens.writing import partial_path, write_text

if TYPE_CHECKING:
    from tumorlens.predicting.prediction_run import PredictionRun

__all__ = [
    "NOTE_ENDING",
    "Inputs",
    "ShardNote",
    "check_resumed",
    "is_complete",
    "keep_note",
    "list_settings",
    "note_path",
    "read_note",
    "tell_difference",
]

NOTE_ENDING = ".shard.json"


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a whole run, of which each shard judges its part.

    Attributes:
        named: as the caller named them.
        count: series, volumes and pictures in all; None before they were counted.
        fingerprint: of all of them, whatever their order.
        order: fingerprint of their order.
    """

    named: tuple[str, ...]
    count: int | None = None
    fingerprint: str = ""
    order: str = ""


class ShardNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a shard.

    Attributes:
        shard: ``2/5``.
        state: ``running`` from its begin until it is complete; also if it was cut off.
        run: what must be the same in all shards of a run: versions, model and options.
        inputs: of the whole run.
        bytes: size of the file of records.
        counts: verdict, or ``error``, -> slices.
        skipped: reason -> files that are no images.
        schema: of this file.
    """

    shard: str
    state: Literal["running", "finished"]
    run: dict[str, str | bool | None]
    inputs: Inputs
    bytes: int = 0
    counts: dict[str, int] = {}
    skipped: dict[str, int] = {}
    schema: Literal[1] = 1

    @property
    def part(self) -> Shard:
        """Its number, and how many there are."""
        return Shard.parse(self.shard)


def note_path(output: Path) -> Path:
    """``FILE.shard.json``, beside the records."""
    return output.with_name(output.name + NOTE_ENDING)


def read_note(output: Path) -> ShardNote | None:
    """The note beside a file of records; None if there is none.

    Raises:
        UsageError: it is damaged.
    """
    path = note_path(output)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); run its shard again") from None
    try:
        note = msgspec.convert(json.loads(text), ShardNote)
        note.part  # noqa: B018 - refuses a shard that there is not
    except (ValueError, RecursionError, UsageError) as error:
        raise UsageError(
            f"{path}: is no note of a shard ({error}); run its shard again with `overwrite=True`"
        ) from None
    return note


def check_resumed(output: Path, form: LineForm, run: PredictionRun) -> None:
    """Refuse to go on with what another shard, or a run that is not parted, has begun.

    Raises:
        UsageError: says which.
    """
    note, shard = read_note(output), run.options.shard
    partial = partial_path(output)
    if not partial.exists():
        return
    theirs = f"shard {note.shard}" if note else "a run that was not parted"
    ours = f"shard {shard}" if shard else "not parted"
    if (note.shard if note else None) != (str(shard) if shard else None):
        raise UsageError(
            f"{partial}: is left from {theirs}, and this run is {ours}; give the same `shard=`, or "
            "name another file"
        )
    difference = "" if note is None else tell_difference(note.run, list_settings(run, form))
    if difference:
        raise UsageError(
            f"{partial}: was written with other options: it has {difference}. Use the same "
            "options, or start again with `overwrite=True`"
        )


def is_complete(output: Path, shard: Shard) -> bool:
    """Whether a shard need not run again, because its records are all there.

    Raises:
        UsageError: the note beside the records is damaged.
    """
    note = read_note(output) if output.exists() else None
    if note is None or note.state != "finished":
        return False
    return note.shard == str(shard) and output.stat().st_size == note.bytes


@contextmanager
def keep_note(output: Path, form: LineForm, run: PredictionRun) -> Iterator[None]:
    """Write the note of a shard at its begin and, if the block ends well, at its end.

    Args:
        output: the file of records, whose ``FILE.partial`` is open inside the block.
        form: of the records.
        run: that writes it; nothing is noted of one that is not parted.
    """
    shard = run.options.shard
    if shard is None:
        yield
        return
    settings, inputs = list_settings(run, form), Inputs(named=run.named)
    begun = ShardNote(shard=str(shard), state="running", run=settings, inputs=inputs)
    _write(output, begun)
    yield
    parting = run.parting
    inputs = Inputs(
        named=run.named, count=parting.count, fingerprint=parting.fingerprint, order=parting.order
    )
    done = msgspec.structs.replace(
        begun, state="finished", inputs=inputs, bytes=partial_path(output).stat().st_size,
        counts=dict(run.counts), skipped=dict(run.skipped),
    )  # fmt: skip
    _write(output, done)


def _write(output: Path, note: ShardNote) -> None:
    text = json.dumps(msgspec.to_builtins(note), indent=1)
    write_text(note_path(output), text + "\n", overwrite=True)


def tell_difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """What two runs do not share, in a phrase; empty if they are the same."""
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    return " and ".join(f"{name} {theirs.get(name)} in place of {ours.get(name)}" for name in names)


def list_settings(run: PredictionRun, form: LineForm) -> dict[str, str | bool | None]:
    """What must be the same in all shards of a run."""
    options = run.options
    return {
        "tumorlens": __version__,
        "model": run.detector.name,
        "sha256": run.detector.session.sha256,
        "operating_point": run.detector.operating_point,
        "mirror": run.detector.mirror,
        "form": form,
        "parts": "studies" if options.whole_studies else "series",
        "summary": options.summary,
        "slices": options.slices,
        "series_from": options.series_from,
        "study_from": options.study_from,
    }
