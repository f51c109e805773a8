"""The development data, which lie outside the repository, and the mark for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("TUMORLENS_SHARED", ROOT.parent / "shared"))

needs_shared = pytest.mark.skipif(
    not (SHARED / "data").is_dir(),
    reason="needs the development data: set TUMORLENS_SHARED to the folder that holds data/",
)
