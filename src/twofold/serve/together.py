"""What the worker processes of one server share beside the store: counters of changes, and the rates of clients."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from twofold.serve.gate import BURST, Rates

COUNTERS = 8
"""Room for counters, see `twofold.serve.watch`."""
CLIENTS = 4096
"""Clients whose rate is remembered."""
TRIES = 8
"""Places that are looked at for a client."""
BUCKET = np.dtype([("client", np.uint64), ("left", np.float64), ("before", np.float64)])
SIZE = 8 * COUNTERS + CLIENTS * BUCKET.itemsize
FILE = "shared"


class Board:
    """A small file that every worker has mapped.

    A worker counts up after its commit and before it answers; another one sees the count before it answers a
    question, for the price of one look at memory, and reads the store where it moved.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._file = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, SIZE)
        held = mmap.mmap(self._file, SIZE)
        self._counts = np.frombuffer(held, np.uint64, COUNTERS)
        self.buckets = np.frombuffer(held, BUCKET, CLIENTS, 8 * COUNTERS)

    def count(self, what: int) -> int:
        """Return how often something was written."""
        return int(self._counts[what])

    def wrote(self, what: int) -> int:
        """Say that something was written; return the new count."""
        with self.alone():
            self._counts[what] += np.uint64(1)
            return int(self._counts[what])

    def rates(self, rate: float) -> Rates:
        """Return the rates that all workers draw from."""
        return SharedRates(rate, self)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Hold the other workers off for a few microseconds; a worker that dies lets go."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


class SharedRates(Rates):
    """Token buckets that all workers draw from, so that a client has one rate however many answer it."""

    def __init__(self, rate: float, board: Board) -> None:
        super().__init__(rate)
        self.board = board

    def wait_of(self, client: str, now: float) -> float:
        """Take one request of a client; return the seconds until the next is allowed, 0 where it may pass."""
        name = int.from_bytes(hashlib.blake2b(client.encode(), digest_size=8).digest(), "big") or 1
        room = max(1.0, BURST * self.rate)
        with self.board.alone():
            place = self._place(name)
            bucket = self.board.buckets[place]
            if int(bucket["client"]) != name:
                bucket["client"], bucket["left"], bucket["before"] = name, room, now
            left = min(room, bucket["left"] + max(0.0, now - bucket["before"]) * self.rate)
            allowed = left >= 1
            bucket["left"], bucket["before"] = left - 1 if allowed else left, now
        return 0.0 if allowed else float(1 - left) / self.rate

    def _place(self, name: int) -> int:
        """Return where a client is kept: its own place, a free one, or that of who was silent for longest."""
        places = (name % CLIENTS + np.arange(TRIES)) % CLIENTS
        near = self.board.buckets[places]
        own = np.flatnonzero(near["client"] == np.uint64(name))
        return int(places[own[0]] if len(own) else places[np.argmin(near["before"])])
