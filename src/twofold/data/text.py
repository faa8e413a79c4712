"""Delimited text to a frame of integers and strings: what is written is kept as it is written.

Numbers and times stay strings until somebody says, or it is found, what a column holds; so neither
``007`` nor ``1.10`` loses a sign on the way.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from twofold.data.files import Source, as_utf8, western
from twofold.data.names import INTEGER, MISSING
from twofold.data.sniff import Layout, sniff
from twofold.errors import DataError

UNIT = "\x1f"
"""Stands for delimiters of several letters."""
BEYOND = "\x1fbeyond"
"""Name of the column after the last one."""
QUOTE = "quote cells that hold the delimiter"
"""What helps where a row has too many cells."""
SENTENCES = (
    "where each line is a sentence or a walk, make a dataset of the lists: "
    "tw.datasets.from_sequences(line.split() for line in open(path)).save('words')"
)
"""The same where spaces part the cells, which cannot be quoted."""
WHOLE_FLOAT = r"^-?(?:0|[1-9][0-9]*)\.0+$"
"""An integer as a column with missing cells is written by programs that know no missing integers."""


def read_text(content: bytes, what: str, ids: Sequence[str] = ()) -> pl.DataFrame:
    """Read delimited text; columns without a name are called column_1, column_2 ...

    Parameters
    ----------
    content
        UTF-8, UTF-16, or else Windows-1252.
    what
        The file's name, for messages.
    ids
        Columns that hold ids: where all are written as 17850.0 they are integers.

    Raises
    ------
    DataError
        If it is not text, has no rows, or a row has more cells than the header.
    """
    content = as_utf8(content, what)
    return read_layout(content, sniff(content, what), what, ids=ids)


def layout_of(source: Source, named: Sequence[str] = ()) -> tuple[Layout, bytes | Path]:
    """Return the layout of a text file, and its content, or its path where polars can read it there; see `sniff`."""
    head = source.head()
    plain = as_utf8(head, source.what)
    if plain == head and source.plain is not None:
        return sniff(plain, source.what, named), source.plain
    content = as_utf8(source.content(), source.what)
    return sniff(content, source.what, named), content


def read_layout(
    content: bytes | Path,
    layout: Layout,
    what: str,
    columns: Sequence[str] | None = None,
    ids: Sequence[str] = (),
    *,
    may_be_empty: bool = False,
) -> pl.DataFrame:
    """Read text of a known layout, or some of its columns; see `read_text`."""
    wanted = list(layout.names) if columns is None else list(columns)
    if layout.blocks:
        frame = _read_blocks(_bytes(content), layout).select(wanted)
    else:
        frame = _read_cells(content, layout, what, wanted)
    frame = frame.with_columns(
        tidy(one, is_id=one.name in ids or _is_key(one.name, layout)) for one in frame
    )
    if any(one.null_count() for one in frame):
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if not len(frame) and not may_be_empty:
        raise DataError(f"{what} has a header and no rows; a log needs at least one")
    kinds = dict(zip(layout.names, layout.kinds, strict=False))
    sequences = [name for name in frame.columns if kinds.get(name, "").endswith("_seq")]
    spread = [pl.col(one).cast(pl.String).str.split(" ") for one in sequences]
    empty = [
        one
        for one in frame.columns
        if len(frame) and one not in ids and re.match(r"^column_\d+$", one) and layout.has_header
    ]
    frame = frame.drop(one for one in empty if frame[one].null_count() == len(frame))
    return frame.with_columns(spread) if spread else frame


def _is_key(name: str, layout: Layout) -> bool:
    return not layout.has_header and name in layout.names[:2]


def _bytes(content: bytes | Path) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _read_cells(
    content: bytes | Path, layout: Layout, what: str, wanted: list[str]
) -> pl.DataFrame:
    """Return the wanted cells as strings.

    A column more is read, in which the cells too many of a row would stand: polars does not count those after what it reads.
    """
    delimiter = layout.delimiter
    if delimiter in {"::", " "}:
        content = _bytes(content)
        if delimiter == " ":
            content = re.sub(rb"(?m)^[ \t]+|[ \t]+$|[ \t]+(?=\r)", b"", content)
            content = re.sub(rb"[ \t]+", UNIT.encode(), content)
        else:
            content = content.replace(b"::", UNIT.encode())
        delimiter = UNIT
    options: dict[str, Any] = {
        "has_header": False,
        "separator": delimiter,
        "schema": dict.fromkeys((*layout.names, BEYOND), pl.String),
        "columns": [*sorted(map(layout.names.index, wanted)), len(layout.names)],
        "skip_lines": layout.skip,
        "comment_prefix": layout.comment,
        "null_values": list(MISSING),
        "quote_char": '"' if layout.quoted else None,
        "missing_columns": "insert",
    }
    try:
        read = _scan(content, options)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
    except pl.exceptions.PolarsError as error:
        read = None
        if "utf-8" in str(error):
            content = western(_bytes(content)).encode()
            with contextlib.suppress(pl.exceptions.PolarsError):
                read = _scan(content, options)
    if read is not None and read[BEYOND].null_count() == len(read):
        return read.select(wanted)
    return _read_slowly(_bytes(content), delimiter, layout, what).select(wanted)


def _scan(content: bytes | Path, options: dict[str, Any]) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(content) if isinstance(content, bytes) else content, **options)


def _read_slowly(content: bytes, delimiter: str, layout: Layout, what: str) -> pl.DataFrame:
    """Read row by row, for text with stray quotes, and to name the line that is not a row.

    Raises
    ------
    DataError
        If a row has more cells than there are columns, or a quote is never closed.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = western(content)
    width = len(layout.names)
    quoting = csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE
    lines = io.StringIO(text, newline="")
    for _ in range(layout.skip):
        lines.readline()
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    columns: list[list[str | None]] = [[] for _ in layout.names]
    try:
        for row in reader:
            if not row or (layout.comment and row[0].startswith(layout.comment)):
                continue
            if len(row) > width and any(row[width:]):
                written = layout.delimiter.join(row)[:80]
                raise DataError(
                    f"{what} has {len(row)} cells in line {layout.skip + reader.line_num:,} where the "
                    f"others have {width}: {written!r}; {SENTENCES if layout.delimiter == ' ' else QUOTE}"
                )
            for at, column in enumerate(columns):
                column.append(row[at] if at < len(row) and row[at] not in MISSING else None)
    except csv.Error as error:
        raise DataError(
            f"{what} has a cell without end near line {layout.skip + reader.line_num:,} ({error}); "
            "look for a quote that is never closed"
        ) from error
    return pl.DataFrame(
        dict(zip(layout.names, columns, strict=True)),
        schema=dict.fromkeys(layout.names, pl.String),
    )


def _read_blocks(content: bytes, layout: Layout) -> pl.DataFrame:
    """Read ``item:`` lines, each followed by rows user,value,time."""
    frame = pl.read_csv(
        io.BytesIO(content),
        has_header=False,
        schema=dict.fromkeys(layout.names[:3], pl.String),
        skip_lines=layout.skip,
        missing_columns="insert",
    )
    head = pl.col("user").str.ends_with(":")
    named = frame.with_columns(
        item=pl.when(head).then(pl.col("user").str.strip_suffix(":")).forward_fill()
    )
    return named.filter(~head)


def tidy(cells: pl.Series, *, is_id: bool = False) -> pl.Series:
    """Return a column of text as integers where every cell is one, else as strings; spaces around go.

    Where it `is_id`, integers that are written 17850.0 are integers too.
    """
    cells = cells.str.strip_chars()
    cells = cells.set(cells.is_in(list(MISSING)), None) if cells.is_in(["", "NA"]).any() else cells
    known = cells.drop_nulls()
    if not len(known):
        return cells
    if is_id and known.str.contains(WHOLE_FLOAT).any():
        whole = known.str.contains(WHOLE_FLOAT) | known.str.contains(INTEGER)
        if whole.all():
            cells = cells.str.replace(r"\.0+$", "")
            known = cells.drop_nulls()
    if not known.head(100).str.contains(INTEGER).all() or not known.str.contains(INTEGER).all():
        return cells
    made = cells.cast(pl.Int64, strict=False)
    return made if made.null_count() == cells.null_count() else cells
