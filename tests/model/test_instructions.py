"""Which instruction sets a processor has, and whether 8-bit products may overflow on it."""

import pytest

from tumorlens.model.instructions import find_instructions, overflows

OLD = "processor\t: 0\nflags\t\t: fpu avx2 f16c\n"
NEW = "processor\t: 0\nflags\t\t: avx2 avx512f avx512_vnni\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (OLD, ["AVX2"]),
        (NEW, ["AVX2", "AVX-512", "AVX-512 VNNI"]),
        (ARM, ["NEON", "NEON dot product"]),
        ("", []),
    ],
)
def test_instruction_sets_are_told(text, found):
    assert find_instructions(text) == found


@pytest.mark.parametrize(
    ("text", "machine", "expected"),
    [
        (OLD, "x86_64", True),
        (NEW, "x86_64", False),
        ("", "AMD64", True),  # Windows does not tell: the safe side
        (ARM, "aarch64", False),
        ("", "arm64", False),
    ],
)
def test_products_overflow_on_x86_unless_it_has_vnni(text, machine, expected):
    assert overflows(text, machine) is expected
