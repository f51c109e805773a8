"""Learning curves as a picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tumorlens.report.plots import TRAINING, VALIDATION, plot_curves

HEAD = "phase,epoch,learning_rate,train_total,validation_total,seconds\n"


def write_curves(path, losses=((1.2, 1.1), (0.9, 1.0), (0.5, 0.8))):
    lines = [
        f"{'frozen' if epoch < 2 else 'fine-tuned'},{epoch},0.001,{first},{second},3.0"
        for epoch, (first, second) in enumerate(losses)
    ]
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def count_color(picture, color):
    pixels = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    return int((np.abs(pixels.astype(int) - wanted).max(axis=1) < 8).sum())


def test_both_curves_are_drawn(tmp_path):
    picture = tmp_path / "curves.png"
    plot_curves(write_curves(tmp_path / "curves.csv"), picture)
    assert Image.open(picture).format == "PNG"
    assert count_color(picture, TRAINING) > 200
    assert count_color(picture, VALIDATION) > 200


def test_a_picture_is_replaced_and_the_same_numbers_give_the_same_picture(tmp_path):
    picture = tmp_path / "curves.png"
    curves = write_curves(tmp_path / "curves.csv")
    plot_curves(curves, picture)
    first = np.asarray(Image.open(picture))
    plot_curves(curves, picture)
    np.testing.assert_array_equal(np.asarray(Image.open(picture)), first)


@pytest.mark.parametrize(
    "losses", [((1.0, 0.9),), (("", 0.9), (0.8, "")), ()], ids=["one epoch", "gaps", "none"]
)
def test_short_and_broken_curves_are_drawn(tmp_path, losses):
    plot_curves(write_curves(tmp_path / "curves.csv", losses), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000
