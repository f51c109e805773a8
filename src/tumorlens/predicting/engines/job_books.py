"""``FILE.parts/jobs.json``: what a run has sent to its engine, so that a later one can go on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tumorlens.errors import UsageError
from tumorlens.predicting.sharding.shard_notes import is_complete, tell_difference
from tumorlens.shards import Shard
from tumorlens.writing import write_text

__all__ = ["JobBook", "parts_folder"]


def parts_folder(output: Path) -> Path:
    """``FILE.parts``, beside the result: the records of the shards, and the logs of their jobs."""
    return output.with_name(output.name + ".parts")


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """What is written."""

    engine: str
    shards: int
    options: dict[str, Any]
    jobs: dict[int, str]
    schema: int = 1


@dataclass(slots=True)
class JobBook:
    """The jobs of a run.

    Attributes:
        folder: `parts_folder` of the result.
        ending: of the files of the shards, with its dot.
        engine: word for it.
        shards: how many parts there are.
        options: what a run that goes on must share.
        jobs: number of a shard -> its last job.
    """

    folder: Path
    ending: str
    engine: str
    shards: int
    options: dict[str, Any]
    jobs: dict[int, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "jobs.json"

    @property
    def numbers(self) -> range:
        """Of all shards."""
        return range(1, self.shards + 1)

    def name_shard(self, number: int) -> Shard:
        return Shard(number, self.shards)

    def file_of(self, number: int) -> Path:
        """The records of a shard, whose numbers are as wide as the last one."""
        return self.folder / f"{number:0{len(str(self.shards))}}{self.ending}"

    def is_done(self, number: int) -> bool:
        """Whether the records of a shard are all there."""
        return is_complete(self.file_of(number), self.name_shard(number))

    def save(self) -> None:
        """Write what was sent."""
        page = _Page(engine=self.engine, shards=self.shards, options=self.options, jobs=self.jobs)
        text = msgspec.json.format(msgspec.json.encode(page), indent=1).decode()
        write_text(self.path, text + "\n", overwrite=True)

    def take_up(self) -> bool:
        """Read what an earlier run has sent, if there was one.

        Raises:
            UsageError: it had other options, or its book is damaged.
        """
        if not self.path.exists():
            return False
        page = read_page(self.path)
        theirs = page.options | {"engine": page.engine, "shards": page.shards}
        ours = json.loads(json.dumps(self.options)) | {
            "engine": self.engine, "shards": self.shards
        }  # fmt: skip
        difference = tell_difference(theirs, ours)
        if difference:
            raise UsageError(
                f"{self.path}: the run that is to go on had other options: it has {difference}. "
                "Use the same options, or start again with `overwrite=True`"
            )
        self.jobs = dict(page.jobs)
        return True


def read_page(path: Path) -> _Page:
    """What is written in a book.

    Raises:
        UsageError: it is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Page)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: cannot be read ({error}); start again with `overwrite=True`"
        ) from None
