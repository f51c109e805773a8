"""`serve_tools`: the tools of the Model Context Protocol, by which an assistant asks for verdicts.

The door of the MCP SDK. It speaks over standard input and output; nothing else may be printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec

from tumorlens.detector import Detector
from tumorlens.errors import InputError, TumorlensError, UsageError
from tumorlens.finding import RESEARCH_USE
from tumorlens.optional import load
from tumorlens.serving.judging import judge_files
from tumorlens.version import __version__

__all__ = ["Tools", "check_libraries", "serve_tools"]

MOST_SLICES = 50
"""Records of slices in one answer: an assistant has little room."""
_INSTRUCTIONS = (
    "Tools that judge MRI scans of the brain on this computer. "
    f"{RESEARCH_USE} Say so whenever you repeat a verdict, keep `uncertain`, `unfamiliar` and "
    "`not_judged` as they are, and name no diagnosis."
)


class Tools:
    """What an assistant may ask.

    Args:
        detector: judges.
        folder: paths that may be judged lie below it.

    Raises:
        UsageError: there is no such folder.
    """

    def __init__(self, detector: Detector, folder: Path) -> None:
        self.detector, self.folder = detector, folder.resolve()
        if not self.folder.is_dir():
            raise UsageError(f"{folder}: is no folder; name the folder with the scans")

    def judge(self, path: str = ".") -> dict[str, Any]:
        """Say whether an MRI of the brain shows a tumor, where, and how far to trust the answer.

        A folder or a zip archive of DICOM files is judged as studies; a volume (NIfTI and others)
        as a series; a picture (PNG, JPEG, TIFF, ...) as a slice. The verdicts are tumor, no_tumor,
        uncertain, unfamiliar and not_judged. first_slices of a study are those that a person should
        look at first. For research only, not a medical device.

        Args:
            path: a file or folder, relative to the folder of the scans.
        """
        place = self._find(path)
        notices: list[str] = []
        judged = judge_files(
            (str(place),), self.detector, None, below=self.folder, notice=notices.append
        )
        by_kind = _sort_out(judged.records)
        slices, left = by_kind["slice"][:MOST_SLICES], len(by_kind["slice"]) - MOST_SLICES
        if left > 0:
            notices.append(f"{left:,} more slices are left out; `tumorlens predict` gives them all")
        return {
            "research_use": RESEARCH_USE,
            "model": self.detector.name,
            "operating_point": self.detector.operating_point,
            "studies": by_kind["study"],
            "series": by_kind["series"],
            "slices": slices,
            "skipped": dict(judged.skipped),
            "notices": notices,
        }

    def read_card(self) -> dict[str, Any]:
        """What the model is for, what it was trained on, its figures and its known failures."""
        return {
            "research_use": RESEARCH_USE,
            "sha256": self.detector.session.sha256,
            "card": msgspec.to_builtins(self.detector.card),
        }

    def _find(self, path: str) -> Path:
        """The path, if it may be judged.

        Raises:
            InputError: it does not lie below the folder, or there is nothing.
        """
        try:
            place = (self.folder / path).resolve()
            is_there = place.exists()
        except (OSError, ValueError):  # too long, or with a null character
            raise InputError(
                path[:80], "can be no path", "judge '.' to see what is there"
            ) from None
        if not place.is_relative_to(self.folder):
            raise InputError(path, "does not lie in the folder of the scans", "name a path in it")
        if not is_there:
            raise InputError(path, "is not there", "judge '.' to see what the folder holds")
        return place


def _sort_out(records: tuple[Mapping[str, Any], ...]) -> dict[str, list[Any]]:
    """Records by kind; slices with errors first, then by their probability."""
    by_kind: dict[str, list[Any]] = {"study": [], "series": [], "slice": []}
    for record in records:
        by_kind[record["kind"]].append(record)
    by_kind["slice"].sort(key=lambda one: (one["error"] is None, -(one["tumor_probability"] or 0)))
    return by_kind


def check_libraries() -> None:
    """Find out whether the server can run.

    Raises:
        MissingExtra: the library of the extra ``mcp`` is not installed.
    """
    load("mcp", "mcp")


def _tell_errors(answer: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The assistant reads why it got no answer."""
    failure: type[Exception] = load("mcp.server.mcpserver.exceptions").ToolError

    @wraps(answer)
    def tell(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return answer(*args, **kwargs)
        except TumorlensError as error:
            raise failure(str(error)) from None

    return tell


def serve_tools(tools: Tools) -> None:
    """Answer over standard input and output, until the client hangs up."""
    server = load("mcp.server.mcpserver", "mcp").MCPServer(
        "tumorlens", version=__version__, instructions=_INSTRUCTIONS, log_level="CRITICAL"
    )
    harmless = load("mcp.types").ToolAnnotations(read_only_hint=True, open_world_hint=False)
    for answer in (tools.judge, tools.read_card):
        server.tool(annotations=harmless)(_tell_errors(answer))
    server.run("stdio")
