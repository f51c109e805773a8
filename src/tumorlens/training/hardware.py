"""`Hardware`: where a training runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tumorlens.errors import UsageError

__all__ = ["Hardware"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where a training runs.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``.
        devices: how many of them.
        threads: threads on the CPU; None: all cores.

    Raises:
        UsageError: this machine has no such device, or not as many.
    """

    device: str = "cpu"
    devices: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        there = _count_devices(self.device)
        if there is not None and self.devices > there:
            found = f"finds {there} on this machine, not {self.devices}" if there else "finds none"
            raise UsageError(
                f"device {self.device}: PyTorch {torch.__version__} {found}; train on the "
                "processor (device cpu), or install a PyTorch and a driver that reach the device"
            )

    @property
    def precision(self) -> str:
        """bfloat16 where the processor computes in it, else float32."""
        if self.device == "cuda":
            return "bf16-mixed"
        fast = self.device == "cpu" and torch.cpu._is_avx512_bf16_supported()
        return "bf16-mixed" if fast else "32-true"

    @property
    def strategy(self) -> str:
        """Several devices have a process each, begun for a phase alone.

        Not by calling the program once more, which would prepare the pictures under the feet of
        the first. A batch without known types leaves weights without a gradient.
        """
        return "auto" if self.devices == 1 else "ddp_spawn_find_unused_parameters_true"


def _count_devices(device: str) -> int | None:
    """Number of devices; None on a CPU, where any number of processes can be started."""
    if device == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(torch.backends.mps.is_available()) if device == "mps" else None
