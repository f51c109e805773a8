"""From a trained network to its model file: familiarity, calibration, card and test."""
