"""Progress bars: drawn on a terminal only, never when the output is piped or captured."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sized
from typing import TypeVar

T = TypeVar("T")


def track(steps: Iterable[T], label: str, total: int | None = None) -> Generator[T]:
    """Yield `steps`; when standard error is a terminal, draw a bar with the time left.

    Parameters
    ----------
    steps
        What to yield.
    label
        The text before the bar.
    total
        Number of steps; taken from ``len(steps)`` where it has one.
    """
    if not sys.stderr.isatty():
        yield from steps
        return
    # rich is slow to import, and is needed on a terminal only.
    from rich.console import Console
    from rich.progress import track as rich_track

    count = total if total is not None else len(steps) if isinstance(steps, Sized) else None
    console = Console(stderr=True)
    yield from rich_track(steps, label, total=count, console=console, transient=True)
