"""`Problem`: why a request gets no result, as an answer by RFC 9457 (problem details)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from tumorlens.errors import InputError, MissingExtra, TumorlensError
from tumorlens.imaging.files.limits import OverLimit
from tumorlens.serving.deposits import NotKept

__all__ = ["PROBLEM_JSON", "Problem", "explain"]

PROBLEM_JSON = "application/problem+json"


class Problem(TumorlensError):
    """A request that gets no result.

    Attributes:
        status: of HTTP.
        headers: of the answer.
        files: what is wrong with each file, where that is known: ``path`` and ``error``.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        files: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.files = tuple(files)

    def describe(self, path: str = "") -> dict[str, Any]:
        """The body of the answer.

        Args:
            path: that was asked for; below ``/v2`` the Open Inference Protocol wants ``error``.
        """
        told: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
        }
        if self.files:
            told["files"] = list(self.files)
        if path.startswith("/v2"):
            told["error"] = str(self)
        return told


def explain(error: TumorlensError) -> Problem:
    """The answer to an error of the library."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OverLimit):
        return Problem(413, str(error))
    if isinstance(error, NotKept):
        return Problem(507, str(error))
    if isinstance(error, MissingExtra):
        return Problem(501, str(error))
    return Problem(400 if isinstance(error, InputError) else 422, str(error))
