"""The quick way to read a large log of plain numbers: bytes to columns, a piece of the file at a time.

It reads exactly what `text.read_layout` reads, or gives up; the tests hold the one to the other.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from twofold.data.names import INTEGER as WRITTEN_INTEGER
from twofold.data.roles import all_like
from twofold.data.sniff import Layout
from twofold.kernels import parse_rows as kernels
from twofold.typing import I64

SMALL = 4 << 20
"""Bytes below which compiled reading does not pay."""
PIECE = 32 << 20
"""Bytes that are read at a time."""
DECIMAL = r"^-?(?:[0-9]{1,15}|[0-9]{1,12}\.[0-9]{0,12})$"
NO_QUOTE = 256
"""No byte."""


def read_fast(
    content: bytes | Path,
    layout: Layout,
    found: Mapping[str, str | None],
    *,
    small: int = SMALL,
    piece: int = PIECE,
) -> pl.DataFrame | None:
    """Return the columns of a log, or None where a cell is not a plainly written number.

    Parameters
    ----------
    content, layout
        As `text.layout_of` returns them.
    found
        Role -> column. User, item and time must be integers, the value may be a decimal.
    small
        Bytes below which nothing is done.
    piece
        Bytes that are read at a time.

    Returns
    -------
    pl.DataFrame or None
        Ids Int32, or Int64 where they are larger; value Float32; time Int64.
    """
    size = content.stat().st_size if isinstance(content, Path) else len(content)
    if size < small or layout.blocks or layout.kinds or layout.comment is not None:
        return None
    sample = layout.sample_frame()
    kinds = np.full(len(layout.names), kernels.SKIPPED, np.int32)
    place = np.zeros(len(layout.names), np.int32)
    whole: list[str] = []
    value: str | None = None
    for role, name in found.items():
        if name is None:
            continue
        cells, at = sample[name], layout.names.index(name)
        pattern = DECIMAL if role == "value" else WRITTEN_INTEGER
        if kinds[at] != kernels.SKIPPED or cells.null_count() or not all_like(cells, pattern):
            return None
        if role == "value":
            kinds[at], value = kernels.DECIMAL, name
        else:
            kinds[at], place[at] = kernels.INTEGER, len(whole)
            whole.append(name)
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in whole}
    values: list[np.ndarray] = []
    delimiter = np.frombuffer(layout.delimiter.encode(), np.uint8)
    quote = ord('"') if layout.quoted else NO_QUOTE
    with _opened(content) as file:
        for _ in range(layout.skip):
            file.readline()
        buffer = np.empty(piece, np.uint8)
        held = 0
        while True:
            read = _fill(file, buffer, held)
            last = read < len(buffer)
            end = _end_of_lines(buffer, read, last=last)
            if end is None:
                return None
            made = _parse(
                buffer[:end], delimiter, quote, kinds, place, len(whole), int(value is not None)
            )
            if made is None:
                return None
            for name, numbers in zip(whole, made[0], strict=True):
                pieces[name].append(numbers if name == found.get("time") else narrow(numbers))
            values += [made[1][0]] if value is not None else []
            if last:
                break
            held = read - end
            buffer[:held] = buffer[end:read].copy()
    columns: dict[str, pl.Series] = {}
    for name in whole:
        columns[name] = pl.Series(name, np.concatenate(pieces.pop(name)))
    if value is not None:
        columns[value] = pl.Series(value, np.concatenate(values))
    return pl.DataFrame(columns)


def _opened(content: bytes | Path) -> IO[bytes]:
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


def _fill(file: IO[bytes], buffer: np.ndarray, held: int) -> int:
    """Read until the buffer is full or the file ends; return how far it is filled."""
    view = buffer.data
    while held < len(buffer):
        got = file.readinto(view[held:])  # type: ignore[attr-defined]
        if not got:
            break
        held += got
    return held


def _end_of_lines(buffer: np.ndarray, read: int, *, last: bool) -> int | None:
    """Return where the last whole line ends, ending the last line of the file; None without one."""
    if not last:
        tail = buffer[max(0, read - 65536) : read]
        at = np.flatnonzero(tail == kernels.LINE)
        return None if not len(at) else read - len(tail) + int(at[-1]) + 1
    while read and buffer[read - 1] in (kernels.LINE, kernels.RETURN):
        read -= 1
    if read:
        buffer[read] = kernels.LINE
        read += 1
    return read


def _parse(
    text: np.ndarray,
    delimiter: np.ndarray,
    quote: int,
    kinds: np.ndarray,
    place: np.ndarray,
    n_integers: int,
    n_decimals: int,
) -> tuple[I64, np.ndarray] | None:
    cuts = np.empty(kernels.PARTS + 1, np.int64)
    counts, good = np.zeros(kernels.PARTS, np.int64), np.zeros(kernels.PARTS, np.uint8)
    kernels.cut_at_lines(text, cuts)
    kernels.count_lines(text, cuts, counts)
    n = int(counts.sum())
    integers = np.empty((n_integers, n), np.int64)
    decimals = np.empty((n_decimals, n), np.float32)
    first = np.cumsum(counts) - counts
    kernels.parse_rows(
        text, cuts, first, delimiter, quote, kinds, place, integers, decimals, good
    )  # fmt: skip
    return (integers, decimals) if good.all() else None


def narrow(numbers: I64) -> np.ndarray:
    """Return integers as int32 where they fit."""
    if not len(numbers):
        return numbers.astype(np.int32)
    bounds = np.iinfo(np.int32)
    fits = numbers.min() >= bounds.min and numbers.max() <= bounds.max
    return numbers.astype(np.int32) if fits else numbers.copy()
