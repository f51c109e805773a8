"""The table of targets: each names a module that is there."""

from importlib.util import find_spec

import pytest

from tumorlens.exporting.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_the_module_of_a_target_is_there(target):
    assert find_spec(f"tumorlens.exporting.{target.module}") is not None
