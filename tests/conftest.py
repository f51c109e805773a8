"""Settings for all tests.

Hypothesis tries the same examples at every run, so that a failure is one of the change at hand;
``HYPOTHESIS_PROFILE=thorough`` looks for new ones, 2,000 a test.

`make test` parts the files among several processes (pytest-xdist). Files that take long come first,
so that none of them begins when all else has ended, and libraries get one thread each.

A shell lets its background jobs ignore Ctrl-C, and children inherit that: tests of interrupts need
the usual handler, wherever they are started.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", parent=settings.get_profile("default"), derandomize=False, max_examples=2000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

LONGEST = (
    "training/test_run.py",
    "viewing/test_page.py",
    "training/test_workflow.py",
    "network/test_onnx_export.py",
    "training/test_phases.py",
    "test_mutants.py",
    "cli/test_train.py",
    "network/test_inheritance.py",
    "viewing/web/test_page.py",
    "report/test_pages_in_browser.py",
    "integration/pacs/test_pacs_loop.py",
    "cli/test_predict.py",
    "integration/test_object_folder.py",
)
"""Files of tests, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first."""
    items.sort(key=lambda item: _rank(item.path.as_posix()))


def _rank(path: str) -> int:
    places = (place for place, name in enumerate(LONGEST) if path.endswith(name))
    return next(places, len(LONGEST))
