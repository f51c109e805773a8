"""`Counters`: what a service has done, for Prometheus. No names, no identifiers, no patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tumorlens.optional import load

__all__ = ["Counters"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Counters:
    """Counters of one service, in a registry of their own.

    Args:
        version: of tumorlens.
        model: name of the model.
        count_jobs: gives state -> jobs that are kept.
        count_in_hand: gives the requests with files that are in hand.
    """

    def __init__(
        self,
        version: str,
        model: str,
        count_jobs: Callable[[], Mapping[str, int]],
        count_in_hand: Callable[[], int],
    ) -> None:
        library = load("prometheus_client", "serve")
        self._library, self._registry = library, library.CollectorRegistry()
        library.ProcessCollector(registry=self._registry)
        self._requests = self._add(
            library.Counter, "requests", "Answers by route and status.", "method", "route", "status"
        )
        self._seconds = self._add(
            library.Histogram, "request_seconds", "From the first byte to the last.", "route",
            buckets=_SECONDS,
        )  # fmt: skip
        self._received = self._add(library.Counter, "received_bytes", "Bytes of bodies.")
        self._slices = self._add(library.Counter, "slices", "Slices by verdict.", "verdict")
        self._studies = self._add(library.Counter, "studies", "Studies by verdict.", "verdict")
        info = self._add(library.Gauge, "info", "1, with version and model.", "version", "model")
        info.labels(version, model).set(1)
        in_hand = self._add(library.Gauge, "requests_in_hand", "With files, not answered yet.")
        in_hand.set_function(count_in_hand)
        jobs = self._add(library.Gauge, "jobs", "Jobs that are kept, by state.", "state")
        for state in ("waiting", "judging", "done", "failed", "stopped"):
            jobs.labels(state).set_function(lambda state=state: count_jobs().get(state, 0))

    def count_answer(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; the route is a template, for a path holds the key of a job."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_bytes(self, size: int) -> None:
        """Count what came of a body."""
        self._received.inc(size)

    def count_verdicts(self, slices: Mapping[str, int], studies: Mapping[str, int]) -> None:
        """Count what was judged, by verdict."""
        for counter, counts in ((self._slices, slices), (self._studies, studies)):
            for verdict, count in counts.items():
                counter.labels(verdict).inc(count)

    def render(self) -> tuple[bytes, str]:
        """All counters in Prometheus's text format, and its media type."""
        return self._library.generate_latest(self._registry), self._library.CONTENT_TYPE_LATEST

    def _add(self, kind: Any, name: str, words: str, *labels: str, **options: Any) -> Any:
        return kind(f"tumorlens_{name}", words, labels, registry=self._registry, **options)
