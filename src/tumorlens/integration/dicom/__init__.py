"""The verdict of a study as DICOM objects: report, segmentation, picture."""
