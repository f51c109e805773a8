"""An evaluation or a calibration, for people."""
