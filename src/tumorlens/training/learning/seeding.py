"""Where the random numbers of a training begin: once for the weights, then phase by phase.

Everything random afterwards depends on the seed of the recipe and on the place in the training
alone, so that a run that was broken goes on as if it had not been.
"""

from __future__ import annotations

import torch

__all__ = ["seed_epoch", "seed_phase", "seed_weights"]

# Primes, so that no two epochs of neighbouring seeds and phases share their numbers.
_SEED, _PHASE = 1_000_003, 10_007


def seed_weights(seed: int) -> None:
    """Before a network gets its random weights."""
    torch.manual_seed(seed)


def seed_phase(seed: int, phase: int) -> None:
    """Before what a phase begins anew; ``phase`` counts from 0."""
    torch.manual_seed(seed * _SEED + phase)


def seed_epoch(seed: int, phase: int, epoch: int) -> None:
    """Before each epoch; both count from 0."""
    torch.manual_seed(seed * _SEED + phase * _PHASE + epoch)
