"""DICOM series: files that belong together, their order, and the volumes that they make."""
