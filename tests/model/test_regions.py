"""Where the evidence lies, in pixels of the slice."""

import numpy as np

from tumorlens.model.regions import find_boxes, find_peak

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def test_peak_is_the_centre_of_the_strongest_cell():
    activation = np.zeros((4, 8), np.float32)
    activation[1, 6] = 0.9
    assert find_peak(activation, IDENTITY, size=32, shape=(32, 32)) == (26.0, 12.0)
    stretched = np.array([[2.0, 0.0, 10.0], [0.0, 3.0, -5.0]])
    assert find_peak(activation, stretched, size=32, shape=(99, 99)) == (62.0, 31.0)


def test_peak_lies_where_the_parabola_through_the_log_odds_has_its_top():
    row, column = np.mgrid[:5, :6] + 0.5
    log_odds = 3 - (column - 2.8) ** 2 - 0.5 * (row - 1.3) ** 2
    activation = (1 / (1 + np.exp(-log_odds))).astype(np.float32)
    peak = find_peak(activation, IDENTITY, size=30, shape=(30, 30))
    np.testing.assert_allclose(peak, (2.8 * 5, 1.3 * 6), atol=1e-3)


def test_peak_stays_in_the_strongest_cell_and_a_flat_top_in_its_middle():
    activation = np.full((3, 3), 0.2, np.float32)
    assert find_peak(activation, IDENTITY, size=30, shape=(30, 30)) == (5, 5)  # the first, a corner
    activation[1] = 0.5, 0.5, 0.1
    activation[1, 1] = np.nextafter(np.float32(0.5), np.float32(1))
    x, y = find_peak(activation, IDENTITY, size=30, shape=(30, 30))
    assert 10 <= x <= 15
    assert y == 15


def test_peak_is_clipped_into_the_slice():
    activation = np.zeros((4, 4), np.float32)
    activation[3, 3] = 1
    assert find_peak(activation, IDENTITY, size=32, shape=(20, 10)) == (9.5, 19.5)


def test_boxes_are_regions_of_eight_neighbours_strongest_first():
    activation = np.zeros((5, 5), np.float32)
    activation[0, 0], activation[1, 1] = 0.6, 0.7  # touch at a corner
    activation[3, 4], activation[4, 4] = 0.95, 0.5
    boxes = find_boxes(activation, 0.5, IDENTITY, size=50, shape=(50, 50))
    expected = [[40, 30, 50, 50, 0.95], [0, 0, 20, 20, 0.7]]
    np.testing.assert_allclose([box.to_list() for box in boxes], expected, rtol=1e-6)


def test_boxes_are_clipped_and_dropped_outside():
    activation = np.zeros((4, 4), np.float32)
    activation[0, 0] = activation[0, 3] = 1
    boxes = find_boxes(activation, 0.5, IDENTITY, size=40, shape=(5, 20))
    assert [box.to_list() for box in boxes] == [[0, 0, 10, 5, 1]]


def test_no_cell_over_the_threshold_has_no_box():
    assert find_boxes(np.full((3, 3), 0.4), 0.5, IDENTITY, size=9, shape=(9, 9)) == ()
