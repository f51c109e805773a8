"""axe-core in a page of playwright: what hinders people who do not see, or use no mouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).with_name("node_modules") / "axe-core/axe.min.js"
"""`make test` installs it where npm is there; by hand: npm ci --prefix tests."""

needs_axe = pytest.mark.skipif(not AXE.is_file(), reason="needs npm ci --prefix tests")


def list_serious(page: Any) -> list[str]:
    """What axe-core calls serious or critical: rule, and where it was found first."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {one['help']} at {one['nodes'][0]['target']}: "
        f"{one['nodes'][0]['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
