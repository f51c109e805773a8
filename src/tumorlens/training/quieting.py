"""`quiet`: silence for libraries that greet, advise and warn of what is intended."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]

_TALKATIVE = (
    *("lightning.pytorch", "lightning.fabric"),
    *("tensorboard", "mlflow", "alembic"),
)


@contextmanager
def quiet() -> Iterator[None]:
    """Let Lightning and the experiment trackers report errors only."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
