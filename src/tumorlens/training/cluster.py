"""Processes that torchrun or Slurm starts, so that they train one model together.

Each of them runs the same command. The first (rank 0) writes the run; the others train with it and
write nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import lightning
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback

from tumorlens.errors import DataError
from tumorlens.training.quieting import quiet

__all__ = ["Agreement", "Cluster", "find_cluster"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The processes that were started beside this one, and its place among them.

    Attributes:
        starter: ``torchrun`` or ``Slurm``.
        size: number of processes on all nodes.
        local: how many of them are on this node; 0 if that is not known.
        rank: number of this process, from 0.
    """

    starter: str
    size: int
    local: int
    rank: int


def find_cluster() -> Cluster | None:
    """Find out who started this process, in the way Lightning does; None if nobody did.

    Lightning takes these classes in this order, too.
    """
    found = os.environ
    with quiet():  # wherever srun is installed, Lightning advises to use it
        if TorchElasticEnvironment.detect():
            size, local, rank = (int(found[n]) for n in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK"))
            return Cluster("torchrun", size, local, rank)
        if SLURMEnvironment.detect():
            local = int(found.get("SLURM_NTASKS_PER_NODE", 0))
            return Cluster("Slurm", int(found["SLURM_NTASKS"]), local, int(found["SLURM_PROCID"]))
    return None


class Agreement(Callback):  # type: ignore[misc]
    """Ends a phase before its first batch if the processes are not about to do the same.

    Otherwise they would wait for each other for ever, or train one model on two things.

    Args:
        work: what this process is about to do, as JSON can write it.
        folder: of the run, for the message.
    """

    def __init__(self, work: Any, folder: str) -> None:
        self.digest = hashlib.sha256(json.dumps(work).encode()).hexdigest()
        self.folder = folder

    def setup(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        """Compare with the first process; all of them raise if one differs."""
        first = trainer.strategy.broadcast(self.digest)
        if not trainer.strategy.reduce_boolean_decision(first == self.digest, all=True):
            raise DataError(
                f"{self.folder}: the processes do not see the same run; give all of them the same "
                "command and the same data, and keep this folder on a disk that all nodes see"
            )
