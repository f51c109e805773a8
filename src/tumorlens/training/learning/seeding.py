"""Seeds of a training: one for the weights, then one per phase and per epoch.

All random numbers depend only on the seed of the recipe, the phase and the epoch. So a run that was
interrupted goes on as if it had not been.
"""

from __future__ import annotations

import torch

__all__ = ["seed_epoch", "seed_phase", "seed_weights"]

# Primes, so that no two epochs of neighbouring seeds and phases share their numbers.
_SEED, _PHASE = 1_000_003, 10_007


def seed_weights(seed: int) -> None:
    """Call it before a network gets its random weights."""
    torch.manual_seed(seed)


def seed_phase(seed: int, phase: int) -> None:
    """Call it before the parts that each phase makes anew; ``phase`` counts from 0."""
    torch.manual_seed(seed * _SEED + phase)


def seed_epoch(seed: int, phase: int, epoch: int) -> None:
    """Call it before each epoch; both numbers count from 0."""
    torch.manual_seed(seed * _SEED + phase * _PHASE + epoch)
