"""A watch: studies come in from a PACS or a folder, their verdicts go back as DICOM objects."""
