"""The scale of evidence against the one that it was taken from."""

import matplotlib
import numpy as np

from tumorlens.report.pictures.heat import color_table


def test_table_is_inferno_from_a_quarter_on():
    known = matplotlib.colormaps["inferno"](np.linspace(0.25, 1, 256))[:, :3] * 255
    assert np.abs(color_table() - known).max() < 0.026 * 255


def test_table_rises_in_lightness():
    lightness = color_table() @ np.array([0.2126, 0.7152, 0.0722])
    assert lightness[0] > 10
    assert (np.diff(lightness) > -0.6).all()
