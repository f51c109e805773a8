"""Names of sequences as scanners and data sets write them; the page's port says the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tumorlens.imaging.sequences import guess_sequence

PORT = Path(__file__).parents[2] / "src/tumorlens/viewing/web/page/reading/sequences.js"
NAMES = {
    "AX T1 C+": "T1c",
    "AX T1 C-": "T1",
    "T1 COR": "T1",
    "t1_mprage_sag_KM": "T1c",
    "T1 vor KM": "T1",
    "T1_nonenhanced": "T1",
    "T1 unenhanced post-op": "T1",
    "sub-01_ce-gadolinium_T1w.nii.gz": "T1c",
    "BraTS-GLI-00000-000-t1c.nii.gz": "T1c",
    "BraTS-GLI-00000-000-t1n.nii.gz": "T1",
    "BraTS-GLI-00000-000-t2f.nii.gz": "FLAIR",
    "BraTS-GLI-00000-000-t2w.nii.gz": "T2",
    "T1 FLAIR": None,
    "tirm_tra_dark-fluid": "FLAIR",
    "T1_MAP": "other",
    "T2*": "other",
}


@pytest.mark.parametrize(("name", "sequence"), NAMES.items())
def test_a_name_says_the_sequence(name, sequence):
    assert guess_sequence(name) == sequence


@pytest.mark.parametrize("name", ["AX T1 C-", "T1 unenhanced", "T1 vor KM", "case-t1n"])
def test_a_name_without_contrast_outweighs_the_agent_of_the_study(name):
    assert guess_sequence(name, contrast=True) == "T1"
    assert guess_sequence("T1", contrast=True) == "T1c"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_page_says_the_same():
    code = (
        f'import {{ guessSequence }} from "{PORT}";'
        f"console.log(JSON.stringify({json.dumps(list(NAMES))}.map((name) => guessSequence(name))))"
    )
    command = ["node", "--input-type=module", "-e", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == list(NAMES.values()), done.stderr
