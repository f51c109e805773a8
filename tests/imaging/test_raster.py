from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.readers import read_slice, read_slices

GREY = (np.add.outer(np.arange(32) * 3, np.arange(40) * 2) % 256).astype(np.uint8)
DEEP = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40) * 50
COLORS = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
LUMA = np.asarray(Image.fromarray(COLORS).convert("L"))


def read_one(path: Path) -> np.ndarray:
    (slice_,) = read_slices(path)
    assert slice_.info.path == str(path) and slice_.info.frame == 0
    assert not slice_.info.sides_known and slice_.info.spacing_mm is None
    return slice_.pixels


def write_deep_png(path: Path, values: np.ndarray, colors: str) -> Path:
    """A PNG of 16 bits (PNG, 11.2.2), which Pillow does not write in colors."""
    white = np.full_like(values, 65535)
    kind, bands = (2, [values] * 3) if colors == "RGB" else (4, [values, white])
    lines = np.stack(bands, axis=-1).astype(">u2").reshape(len(values), -1).view(np.uint8)
    rows = np.pad(lines, ((0, 0), (1, 0))).tobytes()
    size = struct.pack(">IIBBBBB", *values.shape[::-1], 16, kind, 0, 0, 0)
    chunks = (b"IHDR", size), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return path


@pytest.mark.parametrize(
    ("name", "pixels", "expected", "options"),
    [
        ("a.png", GREY, GREY, {}),
        ("a.bmp", GREY, GREY, {}),
        ("a.tif", GREY, GREY, {"compression": "tiff_lzw"}),
        ("a.tiff", GREY.astype(np.float32) / 7, GREY.astype(np.float32) / 7, {}),
        ("a.tif", DEEP.astype(np.int32) - 700, DEEP.astype(np.float32) - 700, {}),
        ("a.png", DEEP, DEEP, {}),
        ("a.tif", DEEP, DEEP, {}),
        ("a.png", COLORS, LUMA, {}),
        ("a.bmp", COLORS, LUMA, {}),
        ("a.webp", COLORS, LUMA, {"lossless": True}),
        ("a.png", GREY > 100, (GREY > 100) * 255, {}),
        ("no suffix", GREY, GREY, {"format": "PNG"}),
        ("wrong.jpg", GREY, GREY, {"format": "PNG"}),
    ],
)
def test_lossless_formats_keep_their_values(tmp_path, name, pixels, expected, options) -> None:
    path = builders.write_picture(tmp_path / name, pixels, **options)
    np.testing.assert_array_equal(read_one(path), expected.astype(np.float32))


@pytest.mark.parametrize(("name", "options"), [("a.jpg", {"quality": 95}), ("a.webp", {})])
def test_lossy_formats_give_what_pillow_gives(tmp_path, name, options) -> None:
    path = builders.write_picture(tmp_path / name, COLORS, **options)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_one(path), np.asarray(image.convert("L"), np.float32))


def test_palette_is_looked_up(tmp_path) -> None:
    image = Image.fromarray(GREY // 64)
    image.putpalette([value for level in (10, 200, 90, 40) for value in (level, level, level)])
    image.save(tmp_path / "a.png")
    expected = np.array([10, 200, 90, 40])[GREY // 64]
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_black(tmp_path, mode) -> None:
    image = Image.fromarray(np.full((32, 40), 200, np.uint8)).convert(mode)
    image.putalpha(Image.fromarray(GREY))
    image.save(tmp_path / "a.png")
    assert np.abs(read_one(tmp_path / "a.png") - 200.0 * GREY / 255).max() < 1


def test_a_transparent_palette_warns_nobody(tmp_path, recwarn) -> None:
    image = Image.fromarray(GREY // 64, "P")
    image.putpalette([60] * 3 + [120] * 3 + [180] * 3 + [240] * 3)
    image.save(tmp_path / "a.png", transparency=bytes([0, 255, 255, 255]))
    np.testing.assert_array_equal(
        read_one(tmp_path / "a.png"), np.array([0, 120, 180, 240])[GREY // 64]
    )
    assert not recwarn


def test_white_is_zero_is_turned_in_16_bits(tmp_path) -> None:
    path = builders.write_picture(tmp_path / "a.tif", DEEP, tiffinfo={262: 0})
    np.testing.assert_array_equal(read_one(path), 65535 - DEEP)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, np.transpose),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).T),
        (8, np.rot90),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_exif_orientation_is_applied(tmp_path, name, orientation, turn) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name.endswith("webp") else {}
    path = builders.write_picture(tmp_path / name, GREY, exif=exif, **options)
    np.testing.assert_array_equal(read_one(path), turn(GREY))


def test_8_bits_with_a_sign_keep_it(tmp_path) -> None:
    signed = (GREY.astype(np.int16) - 128).astype(np.int8)
    path = builders.write_picture(tmp_path / "a.tif", signed.view(np.uint8), tiffinfo={339: 2})
    np.testing.assert_array_equal(read_one(path), signed)


def test_deep_colors_that_lie_plane_by_plane_are_refused(tmp_path) -> None:
    tags = {256: 32, 257: 24, 258: (16, 16, 16), 262: 2, 273: (8, 1544, 3080), 277: 3, 278: 24}
    path = write_tiff(tmp_path / "a.tif", tags | {279: (1536,) * 3, 284: 2}, bytes(4608))
    with pytest.raises(InputError, match="colors of 16 bits plane by plane"):
        list(read_slices(path))


@pytest.mark.parametrize("colors", ["RGB", "LA"])
def test_colors_of_16_bits_say_what_is_read_of_them(tmp_path, colors) -> None:
    path = write_deep_png(tmp_path / "a.png", DEEP, colors)
    (slice_,) = read_slices(path)
    assert np.abs(slice_.pixels - DEEP / 257).max() <= 1
    assert slice_.info.notes == ("of colors of 16 bits the upper 8 are read",)
    with pytest.raises(InputError, match=r"lower bits of colors of 16 bits.*grey of 16 bits"):
        read_one(write_deep_png(tmp_path / "b.png", DEEP // 32, colors))


def test_32_bits_without_a_sign_have_none(tmp_path) -> None:
    values = DEEP[:24, :32].astype("<u4") * 65_000
    tags = {256: 32, 257: 24, 258: 32, 262: 1, 273: 8, 277: 1, 278: 24, 279: 3072}
    path = write_tiff(tmp_path / "a.tif", tags, values.tobytes())
    np.testing.assert_array_equal(read_one(path), values.astype(np.float32))


def test_white_is_zero_is_turned_in_floats(tmp_path) -> None:
    values = DEEP.astype(np.float32) / 7
    path = builders.write_picture(tmp_path / "a.tif", values, tiffinfo={262: 0})
    np.testing.assert_array_equal(read_one(path), -values)


@pytest.mark.parametrize("tags", [{270: "ImageJ=1.53k\nimages=5\nslices=5\n"}, {32997: 5}])
def test_pages_that_no_list_names_are_told(tmp_path, tags) -> None:
    """ImageJ writes large stacks so: one list for the first page, the others behind its pixels."""
    (slice_,) = read_slices(builders.write_picture(tmp_path / "a.tif", GREY, tiffinfo=tags))
    assert slice_.info.notes == ("the file speaks of 5 pages and lists 1: the others are not read",)


def test_pixels_that_are_not_read_are_told_in_plain_words(tmp_path) -> None:
    tags = {256: 32, 257: 24, 258: 64, 262: 1, 273: 8, 277: 1, 278: 24, 279: 6144, 339: 3}
    path = write_tiff(tmp_path / "a.tif", tags, bytes(6144))
    with pytest.raises(InputError, match=r"64-bit floats; save it as PNG") as caught:
        list(read_slices(path))
    assert "object at 0x" not in str(caught.value)


def write_tiff(path: Path, tags: dict[int, int | tuple[int, ...]], pixels: bytes) -> Path:
    """A TIFF whose pixels begin at byte 8, of tags that hold whole numbers."""
    start = 8 + len(pixels) + 6 + 12 * len(tags)
    entries, beside = b"", b""
    for tag, value in tags.items():
        values = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"<{len(values)}I", *values)
        place = struct.pack("<I", start + len(beside)) if len(values) > 1 else packed
        entries += struct.pack("<HHI", tag, 4, len(values)) + place
        beside += packed if len(values) > 1 else b""
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    path.write_bytes(head + pixels + struct.pack("<H", len(tags)) + entries + bytes(4) + beside)
    return path


def test_every_page_of_a_tiff_is_a_slice(tmp_path) -> None:
    pages = [Image.fromarray(np.roll(GREY, n)) for n in range(3)]
    pages.insert(1, Image.new("L", (40, 32), 7))
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    slices = list(read_slices(tmp_path / "a.tif"))
    assert [one.info.frame for one in slices] == [0, 2, 3]  # the blank page is left out
    np.testing.assert_array_equal(slices[2].pixels, np.roll(GREY, 2))
    np.testing.assert_array_equal(read_slice(tmp_path / "a.tif", 3).pixels, np.roll(GREY, 2))
    with pytest.raises(InputError, match="page 4"):
        read_slice(tmp_path / "a.tif", 4)
    with pytest.raises(InputError, match="constant"):
        read_slice(tmp_path / "a.tif", 1)


@pytest.mark.parametrize(("kind", "told"), [(0, False), (1, True), (2, False), (4, True)])
def test_a_page_that_is_a_copy_or_a_mask_of_another_is_told(tmp_path, kind, told) -> None:
    path = builders.write_picture(tmp_path / "a.tif", GREY, tiffinfo={254: kind})
    (one,) = read_slices(path)
    assert any("a smaller copy or a mask" in note for note in one.info.notes) == told


def test_only_the_first_picture_of_an_animation_is_read(tmp_path) -> None:
    frames = [Image.fromarray(np.roll(COLORS, n)) for n in range(2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(read_one(tmp_path / "a.webp"), LUMA)


def test_non_finite_pixels_become_background_and_are_noted(tmp_path) -> None:
    pixels = GREY.astype(np.float32) + 5
    pixels[3, 4], pixels[5, 6] = np.nan, np.inf
    (slice_,) = read_slices(builders.write_picture(tmp_path / "a.tif", pixels))
    assert slice_.pixels[3, 4] == slice_.pixels[5, 6] == 0
    assert slice_.info.notes == ("2 non-finite voxels set to background",)
