"""DICOM: headers, objects and frames become slices."""
