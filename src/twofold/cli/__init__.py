"""The command line: ``twofold``. Commands are thin; what they do lives in the library."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 = failed, 2 = bad input, 130 = interrupted."""
    try:
        if arguments is None:
            # A process of its own: looking for garbage among what is imported takes a quarter of a second.
            gc.disable()
        # Loading takes a while, in which somebody may already press Ctrl-C.
        from twofold.cli.app import run

        return run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        return INTERRUPTED
