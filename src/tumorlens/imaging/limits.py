"""`Limits`: how much one file may ask for before it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from tumorlens.errors import InputError

__all__ = ["BYTES_PER_PIXEL", "DEFAULT_LIMITS", "Limits"]

BYTES_PER_PIXEL = 16
"""What decoding one pixel may take at its peak: RGBA, its luminance, and two float32 copies."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings for one file. A file over a ceiling is refused before it is decoded.

    Attributes:
        pixels_per_slice: largest number of pixels in one slice.
        memory_bytes: largest amount of memory that decoding one file may take, in bytes. A volume
            of several time points is decoded one time point at a time.
        smallest_side: smallest number of rows, and of columns, in pixels.
    """

    pixels_per_slice: int = 100_000_000
    memory_bytes: int = 2 * 1024**3
    smallest_side: int = 16

    def __post_init__(self) -> None:
        if min(self.pixels_per_slice, self.memory_bytes, self.smallest_side) < 1:
            raise ValueError(f"limits count from 1, got {self}")

    def check_slice(self, path: str, rows: int, columns: int) -> None:
        """Refuse a slice that is too small to show anything, or too large to decode.

        Raises:
            InputError: names the file, its size and the ceiling.
        """
        if min(rows, columns) < self.smallest_side:
            side = self.smallest_side
            raise InputError(
                path, f"only {columns} x {rows} pixels", f"give a slice of at least {side} x {side}"
            )
        if rows * columns > self.pixels_per_slice:
            raise InputError(
                path,
                f"{columns} x {rows} pixels are more than the {self.pixels_per_slice:,} allowed",
                "make the picture smaller, or raise Limits.pixels_per_slice",
            )
        self.check_memory(path, rows * columns * BYTES_PER_PIXEL)

    def check_memory(self, path: str, needed: int) -> None:
        """Refuse what needs more than ``memory_bytes``; ``needed`` in bytes.

        Raises:
            InputError: names the file, what it asks for and the ceiling.
        """
        if needed > self.memory_bytes:
            raise InputError(
                path,
                f"asks for {needed / 1024**2:,.0f} MiB of memory, "
                f"{self.memory_bytes / 1024**2:,.0f} MiB are allowed",
                "split the file, or raise Limits.memory_bytes",
            )


DEFAULT_LIMITS = Limits()
"""Used wherever a caller names no limits."""
