"""What commands say: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

import polars as pl


def say(text: str) -> None:
    """Write a result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Write a remark that is not part of the result."""
    sys.stderr.write(f"{text}\n")


def say_json(value: Any) -> None:
    """Write a result as JSON."""
    say(json.dumps(value, indent=1, default=str))


def table(frame: pl.DataFrame) -> str:
    """Return a frame as aligned columns, whole."""
    head = list(frame.columns)
    rows = [[_cell(one) for one in row] for row in frame.iter_rows()]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    right = [dtype.is_numeric() for dtype in frame.dtypes]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
