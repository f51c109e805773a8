"""Numbers of a watch, in the text format that Prometheus's node exporter collects from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tumorlens.integration.pacs.study_queue import StudyQueue
from tumorlens.writing import write_text

__all__ = ["write_metrics"]


def write_metrics(path: Path, queue: StudyQueue, now: float) -> None:
    """Write how many studies are in which state, and how long the oldest waits.

    Raises:
        UsageError: the file cannot be written.
    """
    write_text(path, "".join(f"{line}\n" for line in _list_lines(queue, now)), overwrite=True)


def _list_lines(queue: StudyQueue, now: float) -> Iterator[str]:
    yield from _head("studies", "gauge", "Studies by the state that they are in.")
    for state, count in queue.count_states().items():
        yield f'tumorlens_watch_studies{{state="{state}"}} {count}'
    yield from _one("objects_sent_total", "counter", "Objects sent.", queue.count_objects())
    for name, words in (
        ("retries", "Attempts that were put off."),
        ("unreachable", "Looks at the source that it did not answer."),
    ):
        yield from _one(f"{name}_total", "counter", words, queue.read_mark(name) or 0)
    oldest = queue.find_oldest()
    waits = 0.0 if oldest is None else max(0.0, now - oldest)
    yield from _one(
        "oldest_seconds", "gauge", "How long the oldest study has waited.", f"{waits:.1f}"
    )
    yield from _one("last_look_seconds", "gauge", "When the watch was last alive.", f"{now:.0f}")


def _one(name: str, kind: str, words: str, value: object) -> Iterator[str]:
    yield from _head(name, kind, words)
    yield f"tumorlens_watch_{name} {value}"


def _head(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP tumorlens_watch_{name} {words}"
    yield f"# TYPE tumorlens_watch_{name} {kind}"
