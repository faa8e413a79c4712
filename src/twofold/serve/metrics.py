"""Numbers for Prometheus, in a registry of each application's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of the folder in which several workers count; prometheus_client reads it when it is imported."""

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
        # What several workers say: each its own share, or all of them the same.
        self.lost = Gauge(
            "twofold_exposures_lost",
            "Exposures that could not be written.",
            multiprocess_mode="sum",
            **one,
        )
        self.version = Gauge(
            "twofold_live_version", "The live version.", multiprocess_mode="livemostrecent", **one
        )
        self.people = Gauge(
            "twofold_people",
            "People with events since training.",
            multiprocess_mode="livemax",
            **one,
        )
        self.held = Gauge(
            "twofold_events_held",
            "Events that are held in memory.",
            multiprocess_mode="livemax",
            **one,
        )
        self.store = Gauge(
            "twofold_store_reachable",
            "Whether the store answered last.",
            multiprocess_mode="livemin",
            **one,
        )
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
        """Return everything in the format of Prometheus; of several workers, the sum."""
        folder = os.environ.get(SHARED)
        if folder is None:
            return generate_latest(self.registry)
        for pid in {
            int(one.stem.rsplit("_", 1)[1]) for one in Path(folder).glob("gauge_live*_*.db")
        }:
            if not alive(pid):
                multiprocess.mark_process_dead(pid, folder)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together, folder)
        return generate_latest(together)


def alive(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
