"""Locks of files and folders that end with the process that holds them."""

from __future__ import annotations

from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks.
    fcntl = None

THERE = fcntl is not None
"""Whether the system has such locks; without them `take` keeps nobody out."""


def take(held: IO[str] | IO[bytes] | int) -> bool:
    """Lock an open file, or the descriptor of a folder, until it is closed; False where another process has it."""
    if fcntl is not None:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
