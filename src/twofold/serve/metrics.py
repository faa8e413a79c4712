"""Numbers for Prometheus, in a registry of each application's own."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        one: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "twofold_requests",
            "Requests by path, method and status.",
            ["path", "method", "status"],
            **one,
        )
        self.seconds = Histogram(
            "twofold_request_seconds", "Seconds of a request.", ["path"], buckets=BUCKETS, **one
        )
        self.answers = Counter(
            "twofold_answers",
            "Lists by version, variant and source.",
            ["version", "variant", "source"],
            **one,
        )
        self.events = Counter(
            "twofold_events", "Events by what became of them.", ["outcome"], **one
        )
        self.lost = Gauge("twofold_exposures_lost", "Exposures that could not be written.", **one)
        self.version = Gauge("twofold_live_version", "The live version.", **one)
        self.people = Gauge("twofold_people", "People with events since training.", **one)
        self.held = Gauge("twofold_events_held", "Events that are held in memory.", **one)
        self.store = Gauge("twofold_store_reachable", "Whether the store answered last.", **one)
        self.changes = Counter(
            "twofold_changes", "Promotions, rollbacks, shadows.", ["action"], **one
        )
        self._counters: dict[tuple[Any, ...], Any] = {}

    def request(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        key = (path, method, status)
        found = self._counters.get(key)
        if found is None:
            found = self.requests.labels(path, method, str(status)), self.seconds.labels(path)
            self._counters[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def answer(self, version: int, variant: str, source: str) -> None:
        """Count a list."""
        key = ("answer", version, variant, source)
        found = self._counters.get(key)
        if found is None:
            found = self._counters[key] = self.answers.labels(str(version), variant, source)
        found.inc()

    def text(self) -> bytes:
        """Return everything in the format of Prometheus."""
        return generate_latest(self.registry)
