"""From a trained network to its model file: what is usual, the calibration, the card, the test."""
