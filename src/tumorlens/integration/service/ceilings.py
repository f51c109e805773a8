"""`ServiceLimits`: how much a service takes at once, and how long it keeps what it made of it."""

from __future__ import annotations

from dataclasses import dataclass

from tumorlens.errors import UsageError
from tumorlens.imaging.files.limits import Limits
from tumorlens.serving.deposits import UploadLimits

__all__ = ["DEFAULT_SERVICE", "ServiceLimits"]

_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Ceilings of one service.

    Attributes:
        max_mib: MiB of one request, and of what its archives unpack to.
        max_files: files of one request, those in archives counted.
        max_requests: requests with files that are in hand at once.
        max_results: jobs that are kept at once, waiting ones counted.
        seconds: that a request may take, from its first byte to its answer.
        job_seconds: that judging one job may take.
        keep_seconds: until the result of a job is deleted, from its end.
        memory_mib: MiB that decoding one file may take; all requests share them.

    Raises:
        UsageError: a limit is not above 0.
    """

    max_mib: int = 1024
    max_files: int = 5000
    max_requests: int = 16
    max_results: int = 32
    seconds: float = 60
    job_seconds: float = 3600
    keep_seconds: float = 3600
    memory_mib: int = 1024

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise UsageError(f"`{name}=` counts from 1, got {getattr(self, name)}")

    @property
    def bytes(self) -> int:
        """Of one request."""
        return self.max_mib * _MIB

    @property
    def upload(self) -> UploadLimits:
        """For the files of one request."""
        return UploadLimits(self.bytes, self.bytes, self.max_files)

    @property
    def reading(self) -> Limits:
        """For reading one file."""
        return Limits(memory_bytes=self.memory_mib * _MIB)


DEFAULT_SERVICE = ServiceLimits()
