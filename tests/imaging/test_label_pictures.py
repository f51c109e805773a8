"""Pictures of labels beside the scans that they were drawn on are named, and not judged."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.readers import read_slice, read_slices

LABEL_MAP = "looks like a label map, not a scan"
RNG = np.random.default_rng(3)
HEAD = builders.paint_head((96, 112, 3))[:, :, 1] > 0
SCAN = np.where(HEAD, RNG.normal(120, 25, HEAD.shape).clip(1, 255), 0).astype(np.uint8)
MASK = np.zeros(HEAD.shape, np.uint8)
MASK[40:60, 30:55] = 255
REGIONS = np.where(HEAD, (np.indices(HEAD.shape)[0] // 12), 0).astype(np.uint8)
NOTHING = np.zeros(HEAD.shape, np.uint8)
BLURRED = np.asarray(Image.fromarray(MASK).resize((300, 260), Image.Resampling.BICUBIC))
COLORS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)[REGIONS % 4]

MASKS = {
    "TCGA_1_mask.tif": MASK,
    "TCGA_2_mask.tif": NOTHING,  # of a slice without a tumor
    "x-seg.png": REGIONS,
    "x_label.png": REGIONS.astype(np.uint16) * 100,
    "Mask 7.JPG": MASK,
    "x_mask.webp": BLURRED,
    "x.segmentation.bmp": COLORS,
    "masks/7.png": MASK,
    "Labels/7.png": REGIONS,
}
SCANS = {
    "levels.png": REGIONS,  # few greys, and no name that says why
    "unmasked.tif": MASK,
    "x_mask.png": SCAN,  # the scan under its mask
    "masks/8.jpg": SCAN,
    "mask_of_greys.png": (SCAN // 16).astype(np.uint8),
    "masked/7.png": MASK,
}


@pytest.mark.parametrize("name", MASKS)
def test_a_picture_of_labels_is_skipped_in_a_folder_and_refused_by_name(tmp_path, name) -> None:
    (path := tmp_path / name).parent.mkdir(exist_ok=True)
    builders.write_picture(path, MASKS[name])
    assert list(find_sources([tmp_path])) == [Skipped(str(path), LABEL_MAP)]
    with pytest.raises(InputError, match="label map"):
        list(read_slices(path))
    assert read_slice(path).pixels.any() if MASKS[name].any() else True  # masks of a manifest


@pytest.mark.parametrize("name", SCANS)
def test_a_picture_is_judged_where_name_and_pixels_do_not_agree(tmp_path, name) -> None:
    (path := tmp_path / name).parent.mkdir(exist_ok=True)
    builders.write_picture(path, SCANS[name])
    assert isinstance(next(find_sources([tmp_path])), Source)
    assert list(read_slices(path))


@pytest.mark.parametrize("last, skipped", [(NOTHING, True), (SCAN, False)])
def test_all_pages_of_a_picture_of_labels_are_labels(tmp_path, last, skipped) -> None:
    pages = [Image.fromarray(one) for one in (MASK, last)]
    pages[0].save(tmp_path / "x_mask.tif", save_all=True, append_images=pages[1:])
    assert isinstance(next(find_sources([tmp_path])), Skipped) == skipped


def test_a_picture_of_labels_without_a_suffix_and_a_broken_one(tmp_path) -> None:
    builders.write_picture(tmp_path / "x_mask", MASK, format="PNG")
    (tmp_path / "y_mask.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    by_name = {one.path: one for one in find_sources([tmp_path])}
    assert isinstance(by_name[str(tmp_path / "x_mask")], Skipped)
    assert isinstance(by_name[str(tmp_path / "y_mask.png")], Source)  # its reader tells
