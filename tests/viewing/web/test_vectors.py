"""The browser's port of `prepare`, held to the test vectors of its specification."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "src/tumorlens/viewing/web/page"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_prepare_in_javascript_meets_the_vectors():
    done = subprocess.run(
        ["node", "check_vectors.mjs"], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 slices compared, 0 differences" in done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_card_is_read_from_the_file_itself(tmp_path):
    from models import make_card, write_tiny_model

    model = write_tiny_model(tmp_path / "tiny.onnx", make_card(name="räum"), seen="x" * 5000)
    code = (
        f'import {{ readMetadata }} from "{PAGE / "judging/card.js"}";'
        'import { readFileSync } from "node:fs";'
        f'const {{ card }} = readMetadata(readFileSync("{model}"));'
        "console.log(card.name, card.preprocess.size, card.operating_points.balanced.high);"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["räum", "64", "0.7"], done.stderr
