"""What commands say: results to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
import textwrap
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

if TYPE_CHECKING:
    from twofold.evaluation.compare import Leaderboard

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
NARROWEST = 24
"""Characters below which a column of text is not wrapped."""


def say(text: str) -> None:
    """Write a result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Write a remark that is not part of the result."""
    sys.stderr.write(f"{text}\n")


def say_json(value: Any) -> None:
    """Write a result as JSON; numbers that are not finite become null."""
    say(json.dumps(finite(value), indent=1, default=str, allow_nan=False))


def finite(value: Any) -> Any:
    """Return plain values with null for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value


@contextlib.contextmanager
def interruptible(text: str) -> Generator[None]:
    """Say `text` where the block is interrupted: what is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(text) from error


def width() -> int | None:
    """Return the columns of the terminal that results go to; None where they go elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(frame: pl.DataFrame) -> str:
    """Return a frame as aligned columns, whole; on a terminal it is made to fit."""
    head = list(frame.columns)
    rows = [[_cell(one) for one in row] for row in frame.iter_rows()]
    right = [dtype.is_numeric() for dtype in frame.dtypes]
    return aligned(head, rows, right, width())


def aligned(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], limit: int | None
) -> str:
    """Return rows under a head, two spaces between columns.

    To keep the limit the widest texts are wrapped, between words only; where that is not enough,
    each row becomes a paragraph.
    """
    everything = [head, *rows]
    widths = [max(len(row[at]) for row in everything) for at in range(len(head))]
    least = [
        max(len(word) for row in everything for word in row[at].split() or [""])
        for at in range(len(head))
    ]
    gaps = 2 * (len(head) - 1)
    while limit is not None and sum(widths) + gaps > limit:
        texts = [
            at
            for at in range(1, len(head))
            if not right[at] and widths[at] > max(NARROWEST, least[at])
        ]
        if not texts:
            return _paragraphs(head, rows, limit)
        widest = max(texts, key=widths.__getitem__)
        over = sum(widths) + gaps - limit
        widths[widest] = max(NARROWEST, least[widest], widths[widest] - over)
    lines: list[str] = []
    for row in [head, *rows]:
        cells = [
            textwrap.wrap(one, size, break_long_words=False) or [""]
            for one, size in zip(row, widths, strict=True)
        ]
        for at in range(max(len(one) for one in cells)):
            parts = [one[at] if at < len(one) else "" for one in cells]
            lines.append(
                "  ".join(
                    part.rjust(size) if number else part.ljust(size)
                    for part, size, number in zip(parts, widths, right, strict=True)
                ).rstrip()
            )
        if row is head:
            lines.append("-" * max(len(lines[0]), sum(widths) + 2 * (len(head) - 1)))
    return "\n".join(lines)


def _paragraphs(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int) -> str:
    lines: list[str] = []
    for row in rows:
        lines.append(row[0])
        for name, cell in zip(head[1:], row[1:], strict=True):
            if cell:
                text = f"{name}: {cell}"
                lines += textwrap.wrap(
                    text, limit, initial_indent="    ", subsequent_indent="      "
                )
    return "\n".join(lines)


def leaderboard(board: Leaderboard, limit: int | None) -> str:
    """Return a leaderboard that fits into `limit` columns: in blocks of metrics where it must."""
    whole = str(board)
    if limit is None:
        return whole
    *lines, foot = whole.splitlines()
    rows = lines[: len(lines) - len(board.without)]
    below = [textwrap.fill(one, limit) for one in (*board.without, foot)]
    if max(len(one) for one in rows) <= limit:
        return "\n".join([*rows, *below])
    columns: dict[str, list[str]] = {
        metric: [_with_interval(board, name, metric) for name in board.results]
        for metric in board.metrics
    }
    first = board.metrics[0]
    columns[f"against {board.best} ({first})"] = [
        board.verdict(name, first) for name in board.results
    ]
    columns["training s"] = [f"{one.fit_seconds:.1f}" for one in board.results.values()]
    # The order and the reason for it come first, then the other metrics.
    order = [first, f"against {board.best} ({first})", "training s", *board.metrics[1:]]
    names = list(board.results)
    blocks: list[str] = []
    while order:
        taken: list[str] = []
        while order and (not taken or _size(names, columns, [*taken, order[0]]) <= limit):
            taken.append(order.pop(0))
        cells = [[name, *(columns[one][at] for one in taken)] for at, name in enumerate(names)]
        blocks.append(aligned(["model", *taken], cells, [False] * (len(taken) + 1), None))
    return "\n\n".join([*blocks, "\n".join(below)])


def _size(names: Sequence[str], columns: dict[str, list[str]], taken: Sequence[str]) -> int:
    parts = [max(len(one) for one in ["model", *names])]
    parts += [max(len(text) for text in [one, *columns[one]]) for one in taken]
    return sum(parts) + 2 * (len(parts) - 1)


def _with_interval(board: Leaderboard, name: str, metric: str) -> str:
    report = board.results[name].report
    low, high = report.intervals[metric]
    value = f"{report.values[metric]:.4f}"
    return value if math.isnan(low) else f"{value} ±{(high - low) / 2:.4f}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 0.1 or value == 0 else f"{value:.4g}"
    return str(value)
