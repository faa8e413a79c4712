"""Seconds and memory from a CSV file of ratings to a data set, beside RecTools and LensKit.

``python benchmarks/speed/reading.py [--events N] [--runs N] [--save]``: a generated log in the order of its
times, 20,000,000 rows (516 MB) unless said otherwise. Every reading is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from twofold.data.synthetic import movielens_like

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

HERE = Path(__file__).parents[1]
SCRIPT = HERE / "peers" / "reading.py"
RECTOOLS = HERE.parent / ".venv-peers-rectools" / "bin" / "python"
SHAPES = {1_000_000: (6_040, 3_706), 20_000_000: (138_000, 27_000)}
COLUMNS = {"user": "userId", "item": "movieId", "value": "rating", "time": "timestamp"}


def main() -> None:
    """Time and print the table."""
    events = int(option("--events", "20000000"))
    runs = int(option("--runs", "3"))
    readers = {
        "twofold": sys.executable,
        "RecTools": interpreter(),
        "LensKit": beside.interpreter(),
    }
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ratings.csv"
        write(path, events)
        size = path.stat().st_size
        found: dict[str, list[dict[str, Any]]] = {reader: [] for reader in readers}
        failed: dict[str, str] = {}
        # The first reading of ours compiles and is not counted; neither is anybody's first look at the file.
        read("twofold", sys.executable, path)
        for _ in range(runs):
            for reader, python in readers.items():
                answer = read(reader, python, path)
                if isinstance(answer, str):
                    failed[reader] = answer
                else:
                    found[reader].append(answer)
    own = float(np.median([one["seconds"] for one in found["twofold"]]))
    rows: list[list[str]] = []
    for reader, answers in found.items():
        if reader in failed or not answers:
            rows.append([reader, failed.get(reader, "no run"), "", "", ""])
            continue
        seconds = [one["seconds"] for one in answers]
        gigabytes = float(np.median([one["bytes"] for one in answers])) / 1e9
        rows.append(
            [
                reader,
                f"{np.median(seconds):.1f}",
                f"{min(seconds):.1f} to {max(seconds):.1f}",
                f"{np.median(seconds) / own:.1f}",
                f"{gigabytes:.2f}",
            ]
        )
        sizes = {(one["users"], one["items"], one["events"]) for one in answers}
        sys.stderr.write(f"{reader}: users, items, events {sizes}\n")
    beside.table(
        f"Reading {events:,} rows of CSV",
        [
            f"A generated log (seed 0) of {size / 1e6:,.0f} MB: user, item, rating and time, in the order of the times.",
            "From the path to a data set that models train on; imports are not counted. LensKit and RecTools take frames:",
            "pandas reads the file for them, with its C engine. Each reading in its own process; they alternate; medians",
            f"of {runs}. Memory is the largest resident set of the process, libraries included.",
        ],
        ["reader", "seconds", "range", "times twofold", "GB"],
        rows,
    )


def write(path: Path, events: int) -> None:
    """Write the log as a file, in the order of its times."""
    n_users, n_items = SHAPES[events]
    frame = movielens_like(n_users, n_items, events, rng=0).frame().rename(COLUMNS)
    frame.sort("timestamp", maintain_order=True).write_csv(path)


def read(reader: str, python: str | None, path: Path) -> dict[str, Any] | str:
    """Read the file once in a new process; return seconds, bytes and counts, or why it failed."""
    if python is None:
        return "not installed (make peers)"
    done = subprocess.run(
        [python, str(SCRIPT), reader, str(path)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"failed: {last[:100]}"
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def interpreter() -> str | None:
    """Return RecTools' interpreter: TWOFOLD_PEERS_RECTOOLS, or that of ``make peers``; None without one."""
    path = os.environ.get("TWOFOLD_PEERS_RECTOOLS") or str(RECTOOLS)
    return path if Path(path).exists() else None


def option(name: str, default: str) -> str:
    """Return what follows `name` on the command line."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


if __name__ == "__main__":
    main()
