"""The scale of evidence against the one that it was taken from."""

import matplotlib
import numpy as np

from tumorlens.report.pictures.heat import color_table


def test_table_is_inferno():
    known = matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255
    assert np.abs(color_table() - known).max() < 0.022 * 255


def test_table_may_begin_later_and_rises_in_lightness():
    table = color_table(first=0.25)
    assert (table[-1] == color_table()[-1]).all()
    lightness = table @ np.array([0.2126, 0.7152, 0.0722])
    assert lightness[0] > 10
    assert (np.diff(lightness) > -0.6).all()
