"""Settings for all tests.

Hypothesis tries the same examples at every run, so that a failure is one of the change at hand;
``HYPOTHESIS_PROFILE=thorough`` looks for new ones, 2,000 a test.

A shell lets its background jobs ignore Ctrl-C, and children inherit that: tests of interrupts need
the usual handler, wherever they are started.
"""

from __future__ import annotations

import os
import signal

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
