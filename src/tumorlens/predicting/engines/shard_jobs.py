"""What a job does: one shard, from where it was left to its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tumorlens.predicting.records import LineForm
from tumorlens.predicting.sharding.shard_notes import is_complete
from tumorlens.shards import Shard
from tumorlens.studies.assembling import FolderRule

__all__ = ["ShardWork", "judge_shard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork:
    """What all jobs of a run do alike. Each is sent this, and reads the rest from the disk.

    Attributes:
        paths: files and folders, under the names that they have on every machine.
        model: name of the registry, or an ``.onnx`` file.
        operating_point, mirror, batch_size, threads: as `Detector` takes them.
        device: as `find_providers` takes it.
        form: of the records.
        summary, series_from, study_from, heatmaps, montage, activation_volume: as `write_records`
            takes them.
    """

    paths: tuple[str, ...]
    model: str
    operating_point: str = "balanced"
    mirror: bool = False
    batch_size: int = 8
    threads: int = 1
    device: str = "cpu"
    form: LineForm = "jsonl"
    summary: bool = False
    series_from: FolderRule = None
    study_from: FolderRule = None
    heatmaps: str | None = None
    montage: bool = False
    activation_volume: str | None = None

    def list_options(self) -> dict[str, Any]:
        """What a run that goes on must share with the one before; threads and device need not."""
        options = asdict(self) | {"paths": list(self.paths)}
        return {name: value for name, value in options.items() if name not in _FREE}


_FREE = ("batch_size", "device", "threads")


def judge_shard(work: ShardWork, shard: str, output: str) -> None:
    """Judge a shard to its end; do nothing if that was done before.

    Args:
        work: what all shards share.
        shard: ``2/5``.
        output: file of the records of this shard.

    Raises:
        TumorlensError: as `write_records` raises it.
    """
    if is_complete(Path(output), Shard.parse(shard)):
        return
    from tumorlens.detector import Detector
    from tumorlens.model.onnx_runtime import find_providers
    from tumorlens.predicting.recording import write_records

    detector = Detector(
        work.model, operating_point=work.operating_point, threads=work.threads,
        providers=find_providers(work.device), batch_size=work.batch_size, mirror=work.mirror,
    )  # fmt: skip
    write_records(
        work.paths, output, model=detector, form=work.form, resume=True, overwrite=True,
        summary=work.summary, series_from=work.series_from, study_from=work.study_from,
        heatmaps=work.heatmaps, montage=work.montage, activation_volume=work.activation_volume,
        shard=shard,
    )  # fmt: skip
