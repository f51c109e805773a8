"""`Hardware`: where a training runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from tumorlens.errors import UsageError
from tumorlens.training.cluster import Cluster, find_cluster

__all__ = ["Hardware", "set_torch_apart"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where a training runs.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``.
        devices: how many of them on each node.
        nodes: how many machines train together. Torchrun or Slurm must have started a process for
            each device of each node.
        threads: threads on the CPU; None: all cores.

    Raises:
        UsageError: this machine has no such device, or not as many; or other processes were
            started than ``nodes`` and ``devices`` need.
    """

    device: str = "cpu"
    devices: int = 1
    threads: int | None = None
    nodes: int = 1

    def __post_init__(self) -> None:
        there = _count_devices(self.device)
        if there is not None and self.devices > there:
            found = f"finds {there} on this machine, not {self.devices}" if there else "finds none"
            raise UsageError(
                f"device {self.device}: PyTorch {torch.__version__} {found}; train on the "
                "processor (device cpu), or install a PyTorch and a driver that reach the device"
            )
        self._check_processes(find_cluster())

    @property
    def cluster(self) -> Cluster | None:
        """The processes that train together, if torchrun or Slurm has started them."""
        return None if self.nodes * self.devices == 1 else find_cluster()

    @property
    def rank(self) -> int:
        """Number of this process among those that train together; 0 writes the run."""
        return self.cluster.rank if self.cluster is not None else 0

    @property
    def precision(self) -> str:
        """bfloat16 where the processor computes in it, else float32."""
        if self.device == "cuda":
            return "bf16-mixed"
        fast = self.device == "cpu" and torch.cpu._is_avx512_bf16_supported()
        return "bf16-mixed" if fast else "32-true"

    @property
    def strategy(self) -> str:
        """Several devices have a process each. On one machine it is begun for a phase alone.

        Not by calling the program once more, which would prepare the pictures under the feet of
        the first. A batch without known types leaves weights without a gradient.
        """
        if self.nodes * self.devices == 1:
            return "auto"
        begun = "ddp" if self.cluster is not None else "ddp_spawn"
        return f"{begun}_find_unused_parameters_true"

    def _check_processes(self, cluster: Cluster | None) -> None:
        size = self.nodes * self.devices
        if cluster is None:
            if self.nodes > 1:
                raise UsageError(
                    f"`nodes={self.nodes}`: neither torchrun nor Slurm has started this process; "
                    "start the same command on each node with one of them (docs/how-to/train.md)"
                )
            return
        # A task of Slurm may well train alone; processes of torchrun belong together.
        alone = size == 1 and (cluster.starter == "Slurm" or cluster.size == 1)
        if not alone and (cluster.size, cluster.local) != (size, self.devices):
            where = f"{cluster.local} on this node" if cluster.local else "no number given per node"
            raise UsageError(
                f"`nodes={self.nodes}` and `devices={self.devices}` need processes: {size} in all, "
                f"{self.devices} on each node; {cluster.starter} has started {cluster.size} in "
                f"all, {where}: change one or the other (docs/how-to/train.md)"
            )


def _count_devices(device: str) -> int | None:
    """Number of devices; None on a CPU, where any number of processes can be started."""
    if device == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(torch.backends.mps.is_available()) if device == "mps" else None


@contextmanager
def set_torch_apart() -> Iterator[None]:
    """Single precision and gradients, whatever the program of a caller has set for all of torch."""
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
