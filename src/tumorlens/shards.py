"""`Shard`: one of several parts of a run."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from tumorlens.errors import UsageError

__all__ = ["DIGEST_BYTES", "Shard", "digest_identity"]

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a run; ``str(shard)`` is ``2/5``.

    Attributes:
        number: from 1.
        of: how many parts there are.

    Raises:
        UsageError: there is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                f"`shard={self}`: the parts are numbered from 1, so give one of "
                f"1/{max(self.of, 1)} to {max(self.of, 1)}/{max(self.of, 1)}"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/5``.

        Raises:
            UsageError: it is not of this form.
        """
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal()):
            raise UsageError(
                f"`shard={text}`: expected a part and how many there are, e.g. `shard=2/5`"
            )
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, identity: str) -> bool:
        """Whether inputs of this identity are of the shard; the same on every machine."""
        return int.from_bytes(digest_identity(identity)) % self.of == self.number - 1


def digest_identity(identity: str) -> bytes:
    """A hash that is the same on every machine, whatever the name of a file holds."""
    text = identity.encode("utf-8", "backslashreplace")
    return blake2b(text, digest_size=DIGEST_BYTES).digest()
