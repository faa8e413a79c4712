"""A server in a process of its own, that is stopped whatever happens to whoever started it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

from twofold.errors import DataError

PATIENCE, GRACE = 180.0, 20.0
"""Seconds in which a server has to start, and to stop."""


@contextlib.contextmanager
def serving(folder: Path, log: Path, *options: str) -> Generator[str]:
    """Start ``twofold serve`` on a free port of this machine, and stop it in the end, whatever happens; gives its address.

    Raises
    ------
    DataError
        If it does not start; with what it said last.
    """
    command = [sys.executable, "-m", "twofold", "serve", str(folder), "--port", "0", "--kind", "click", *options]  # fmt: skip
    with log.open("wb") as told:
        # A session of its own: Ctrl-C is for this process, which then stops the server in order.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        until = time.monotonic() + PATIENCE
        while not (found := re.search(r"listening on (http://[^\s\"]+)", said(log))):
            if process.poll() is not None or time.monotonic() > until:
                last = (said(log).strip().splitlines() or ["it said nothing"])[-1]
                raise DataError(f"the server did not start: {last}; see {log}")
            time.sleep(0.05)
        yield found[1]
    finally:
        stop(process)


def said(log: Path) -> str:
    """Return what a server wrote so far."""
    return log.read_text(encoding="utf-8", errors="replace")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server: it answers what it began and writes what waits; one that does not is killed."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def ended() -> Generator[None]:
    """Take SIGTERM and SIGHUP for Ctrl-C, so that servers are stopped then too; what is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        # Not an exception from here: an event loop that runs ends its tasks in order on this signal.
        del number, frame
        signal.raise_signal(signal.SIGINT)

    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
