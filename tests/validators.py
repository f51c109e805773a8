"""Programs of others that judge DICOM objects."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DCIODVFY = shutil.which("dciodvfy")
needs_dciodvfy = pytest.mark.skipif(
    DCIODVFY is None, reason="dciodvfy is not installed: apt-get install dicom3tools"
)


def list_complaints(path: Path) -> tuple[list[str], list[str]]:
    """Errors and warnings of David Clunie's dciodvfy, without those on the private code scheme."""
    assert DCIODVFY is not None
    done = subprocess.run(
        [DCIODVFY, "-new", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    private = "Unrecognized defined term = <99TUMORLENS>"
    errors = [line for line in lines if line.startswith("Error")]
    warnings = [line for line in lines if line.startswith("Warning") and private not in line]
    assert any(not line.startswith(("Error", "Warning")) for line in lines)  # it names the IOD
    return errors, warnings
