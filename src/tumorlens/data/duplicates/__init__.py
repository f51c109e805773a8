"""Finds copies of images, also if they were turned, cropped, resized or changed in contrast."""
