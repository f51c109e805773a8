"""Results where people already look: DICOM objects for a PACS."""
