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
