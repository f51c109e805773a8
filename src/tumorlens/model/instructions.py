"""The processor's instruction sets, as far as they matter to a network."""

from __future__ import annotations

import platform
import re
from pathlib import Path

__all__ = ["find_instructions", "overflows", "read_cpuinfo"]

_CPUINFO = Path("/proc/cpuinfo")
_TELLING = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "NEON int8 matrix multiply",
}
"""Flag of the system -> the instruction set that matters to a network."""

_WIDE = {"AVX-512 VNNI", "AVX VNNI", "AMX int8"}
"""Sets of x86 that sum products of 8 bits in 32; older ones sum pairs of them in 16."""


def read_cpuinfo() -> str:
    """What Linux says of the processor; empty elsewhere."""
    return _CPUINFO.read_text(errors="replace") if _CPUINFO.exists() else ""


def find_instructions(cpuinfo: str) -> list[str]:
    """The telling instruction sets in the text of ``/proc/cpuinfo``."""
    line = re.search(r"^(?:flags|Features)\s*: (.+)$", cpuinfo, re.MULTILINE)
    flags = set(line[1].split()) if line else set()
    return [name for flag, name in _TELLING.items() if flag in flags]


def overflows(cpuinfo: str, machine: str = "") -> bool:
    """Whether signed 8-bit weights may overflow here: on x86, unless VNNI is known to be there.

    Args:
        cpuinfo: text of `read_cpuinfo`.
        machine: as of `platform.machine`, the default.
    """
    if (machine or platform.machine()).lower() not in ("x86_64", "amd64", "i386", "i686", "x86"):
        return False
    return not _WIDE & set(find_instructions(cpuinfo))
