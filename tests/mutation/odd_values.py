"""Texts that stand where a number, a name or a word is expected."""

from __future__ import annotations

from random import Random

__all__ = ["ODD_FLOATS", "ODD_TEXTS", "odd_float", "odd_text"]

ODD_TEXTS = (
    *(
        "",
        " ",
        "0",
        "-0",
        "-1",
        "1",
        "3",
        "0.5",
        "1.5",
        "1e-9",
        "-1e-30",
        "1e30",
        "1e400",
        "-1e400",
    ),
    *("NaN", "nan", "inf", "-Infinity", "0x10", "1_000", "1,5", "٣", "½", "1 2", "99999999999999"),
    *("9" * 400, "-" + "1" * 5000, "1\\2", "1\\2\\3\\4\\5\\6", "\\\\\\", "0\\0\\0\\0\\0\\0"),
    *(
        "None",
        "null",
        "true",
        "MR",
        "CT",
        "ORIGINAL",
        "tumor",
        "yes",
        "ISO_IR 192",
        "\\ISO 2022 IR 87",
    ),
    *("../../x", "/etc/passwd", "C:\\x", "a/b", "..", ".", "CON", "=cmd|' /C calc'!A0", "-rf", "~"),
    *("\0", "a\0b", "\x1b[31mred", "\x9b31m", "\u202eabc", "\ud7ff\ufffe", "é", "日本", "🧠" * 70),
    *(
        "a" * 300,
        "b" * 70_000,
        "\n",
        "\r\n\r\n",
        '"',
        "'",
        "';--",
        "{}",
        "[]",
        "<b>",
        "%s%n",
        "{0}",
    ),
)
ODD_FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 1e-9, 1e-30, 1e-45, 1e30, 3e38, -3e38, 255.0, 65536.0),
    *(float("nan"), float("inf"), float("-inf")),
)


def odd_text(chance: Random) -> str:
    """One of `ODD_TEXTS`, or a random word."""
    if chance.random() < 0.9:
        return chance.choice(ODD_TEXTS)
    return "".join(chr(chance.randrange(1, 0xD7FF)) for _ in range(chance.randint(1, 20)))


def odd_float(chance: Random) -> float:
    """One of `ODD_FLOATS`, or any of that many digits."""
    return chance.choice(ODD_FLOATS) if chance.random() < 0.8 else chance.uniform(-1e6, 1e6)
