"""What delimited text looks like: its delimiter, quotes, comments and header, found by looking."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import polars as pl

from twofold.data.files import HEAD_BYTES, decoded
from twofold.data.names import MISSING, is_number, is_time, usual
from twofold.errors import DataError

DELIMITERS = ("::", "\t", ",", ";", "|", " ")
"""In the order of preference among those that split the lines equally well; the space comes last."""
COMMENTS = ("#", "%", "//")
"""A first line that begins with one of these is no part of the table."""
LOOKED_AT = 200
"""Rows by which the delimiter is chosen."""
FAR = 0.1
"""What a delimiter loses by which the header has two cells more or fewer than the rows."""
SAMPLE_ROWS = 2000
"""Rows by which columns are told apart."""
TYPED_NAME = re.compile(r"^([^:]+):(token|token_seq|float|float_seq)$")
"""A header cell of atomic files: name:type."""
BLOCK = re.compile(r"^\d+:$")
"""A line that heads the block of one item, as in the Netflix prize."""


@dataclass(frozen=True)
class Layout:
    """What looking at the beginning of a text found."""

    delimiter: str
    names: tuple[str, ...]
    """Of all columns; ``column_1`` and so on where the file names none."""
    has_header: bool
    kinds: tuple[str, ...] = ()
    """Types of atomic files, or nothing."""
    skip: int = 0
    """Lines before the first row of data."""
    comment: str | None = None
    """How lines begin that are no part of the table."""
    quoted: bool = True
    blocks: bool = False
    """Whether lines ``item:`` head the rows of an item."""
    sample: tuple[tuple[str, ...], ...] = ()
    """The first rows, as wide as ``names``."""

    def sample_frame(self) -> pl.DataFrame:
        """Return the first rows as strings, null where a cell holds nothing."""
        frame = pl.DataFrame(
            list(self.sample), schema=dict.fromkeys(self.names, pl.String), orient="row"
        )
        return frame.with_columns(pl.all().replace(list(MISSING), None))


def sniff(content: bytes, what: str = "the text", named: Sequence[str] = ()) -> Layout:
    r"""Find the delimiter, quotes, comments and header of delimited text from its first rows.

    The delimiter is the one by which most rows have the same number of cells, then the one that makes
    most cells. There is a header where the first row has one of the columns that the caller `named`, or where
    no cell of it is a number or a time, and one has a usual name or stands above numbers or times only.

    Raises
    ------
    DataError
        If there is no row.

    Example
    -------
    >>> found = sniff(b"user;item;stars\n1;a;5\n2;b;4\n")
    >>> found.delimiter, found.names, found.has_header
    (';', ('user', 'item', 'stars'), True)
    >>> sniff(b"1::10::5::978300760\n").delimiter
    '::'
    """
    lines = decoded(content[:HEAD_BYTES]).replace("\r\n", "\n").split("\n")
    if len(content) >= HEAD_BYTES and len(lines) > 1:
        lines.pop()
    skip, comment, remarks = 0, None, list[str]()
    while skip < len(lines) and (
        not lines[skip].strip() or lines[skip].lstrip().startswith(COMMENTS)
    ):
        if text := lines[skip].strip():
            comment = comment or next(mark for mark in COMMENTS if text.startswith(mark))
            remarks.append(text.lstrip("#%/").strip())
        skip += 1
    lines = lines[skip:]
    if comment is not None:
        lines = [one for one in lines if not one.startswith(comment)]
    if not any(one.strip() for one in lines):
        raise DataError(f"{what} is empty; at least one row is needed")
    if BLOCK.match(lines[0]) and len(lines) > 1 and lines[1].count(",") == 2:
        return _blocks(lines, skip)
    delimiter, quoted = best_delimiter(lines)
    rows = split(lines, delimiter, quoted=quoted, n=SAMPLE_ROWS + 1)
    width = Counter(len(row) for row in rows[1:] or rows).most_common(1)[0][0]
    first = rows[0]
    typed = [TYPED_NAME.match(cell) for cell in first]
    names: Sequence[str] | None = None
    kinds: tuple[str, ...] = ()
    if all(typed):
        parts = [one.groups() for one in typed if one]
        names, kinds = [name for name, _ in parts], tuple(kind for _, kind in parts)
    elif any(one and one in named for one in first) or is_header(first, rows[1:], width):
        names = first
    elif remarks and len(said := split(remarks[-1:], delimiter, quoted=quoted)[0]) == width:
        names = said if is_header(said, rows, width) else None
        rows = [[], *rows] if names else rows
    heading = names is first or bool(kinds)
    skip += _physical_lines(lines, delimiter, quoted=quoted) if heading else 0
    data = rows[1:] if names else rows
    made = complete_names(names, data, width)
    if names and len(made) > len(names) and made[0] == "column_1":
        check_row_numbers([row[0] for row in data if len(row) == width], len(names), what)
    sample = [tuple((*row, *[""] * len(made))[: len(made)]) for row in data[:SAMPLE_ROWS]]
    return Layout(
        delimiter,
        made,
        has_header=names is not None,
        kinds=kinds,
        skip=skip,
        comment=comment,
        quoted=quoted,
        sample=tuple(sample),
    )


def _blocks(lines: list[str], skip: int) -> Layout:
    """Return the layout of ``item:`` lines, each followed by rows user,value,time."""
    rows: list[tuple[str, ...]] = []
    item = ""
    for line in islice(lines, SAMPLE_ROWS):
        if BLOCK.match(line):
            item = line[:-1]
        elif line.strip():
            rows.append((*(one.strip() for one in line.split(",")[:3]), item))
    names = ("user", "value", "time", "item")
    return Layout(
        ",", names, has_header=False, skip=skip, quoted=False, blocks=True, sample=tuple(rows)
    )


def best_delimiter(lines: list[str]) -> tuple[str, bool]:
    """Return the delimiter, and whether cells are quoted."""
    found: list[tuple[float, bool, int, int, str, bool]] = []
    for at, one in enumerate(DELIMITERS):
        tried = [(*evenness(lines, one, quoted=quoted), quoted) for quoted in quotings(lines, one)]
        even, width, quoted = max(tried, key=lambda seen: (seen[0], seen[2]))
        if width > 1:
            found.append((even, one != " ", width, -at, one, quoted))
    if not found:
        return ",", True
    best = max(found)
    return best[4], best[5]


def evenness(lines: list[str], delimiter: str, *, quoted: bool) -> tuple[float, int]:
    """Return how alike the first rows are, and the most frequent number of cells.

    That is the share of rows with this number, less `FAR` where the header's is far from it.
    """
    rows = split(lines, delimiter, quoted=quoted, n=LOOKED_AT)
    body = rows[1:] or rows  # a header may be shorter or longer than the rows
    width, n = Counter(len(row) for row in body).most_common(1)[0]
    far = FAR if abs(len(rows[0]) - width) > 1 else 0.0
    return round(n / len(body) - far, 2), width


def quotings(lines: list[str], delimiter: str) -> tuple[bool, ...]:
    """Return whether cells may be quoted with this delimiter, the likelier first.

    Comma and semicolon: yes, unless the quotes in the text do not pair. Tab and bar: where a cell begins
    and ends with a quote.
    """
    if delimiter in {"::", " "}:
        return (False,)
    if delimiter in {",", ";"}:
        return (True, False) if any('"' in one for one in lines[:LOOKED_AT]) else (True,)
    whole = re.compile(rf'(?:^|{re.escape(delimiter)})"(?:[^"]|"")*"(?:{re.escape(delimiter)}|$)')
    return (any(whole.search(one) for one in lines[:SAMPLE_ROWS]),)


def split(
    lines: list[str], delimiter: str, *, quoted: bool, n: int | None = None
) -> list[list[str]]:
    """Return the cells of the first `n` rows, without the spaces around them; blank lines are no rows."""
    if delimiter == " ":
        parted = (line.split() for line in lines)
    elif delimiter == "::":
        parted = (line.split("::") for line in lines)
    else:
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        parted = csv.reader(_ended(lines), delimiter=delimiter, quoting=quoting)
    rows: list[list[str]] = []
    try:
        for row in parted:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
            if len(rows) == n:
                break
    except csv.Error:  # a cell without end: the rows before it are looked at
        pass
    return rows or [[""]]


def _ended(lines: list[str]) -> list[str]:
    return [line + "\n" for line in lines]


def _physical_lines(lines: list[str], delimiter: str, *, quoted: bool) -> int:
    """Return how many lines the first row takes; a quoted name may hold line breaks."""
    if delimiter in {"::", " "} or not quoted:
        return 1
    reader = csv.reader(_ended(lines), delimiter=delimiter)
    next(reader)
    return reader.line_num


def is_header(first: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Say whether `first` names the columns of `rows`."""
    if not any(first) or any(is_number(one) or is_time(one) for one in first):
        return False
    if abs(len(first) - width) > 1 and rows:
        return any(usual(one) for one in first)
    if any(usual(one) for one in first):
        return True
    for at, name in enumerate(first):
        below = [row[at] for row in rows if at < len(row) and row[at] not in MISSING]
        if (
            name
            and name not in MISSING
            and below
            and all(is_number(one.replace(",", ".", 1)) or is_time(one) for one in below)
        ):
            return True
    return False


def check_row_numbers(cells: Sequence[str], width: int, what: str) -> None:
    """Refuse rows one cell wider than a header of `width` names, whose first `cells` are no numbers or names of rows.

    Raises
    ------
    DataError
        Naming a cell that is there twice.
    """
    again = [one for one, n in Counter(cells).items() if n > 1]
    if again:
        raise DataError(
            f"{what} has {width} names in its header and {width + 1} cells in its rows, whose first cells are no numbers of rows "
            f"({again[0]!r} is there twice); name every column"
        )


def complete_names(
    names: Sequence[str] | None, rows: Sequence[Sequence[str]], width: int
) -> tuple[str, ...]:
    """Return one distinct name a column.

    Where the rows are one cell wider than the header, that cell is a delimiter at the end of the line,
    or else the number of the row, which comes first.
    """
    if names is None:
        return tuple(f"column_{at + 1}" for at in range(width))
    listed = list(names)
    if rows and width == len(listed) + 1:
        ends = all(len(row) < width or not row[-1] for row in rows)
        listed = [*listed, ""] if ends else ["", *listed]
    made: list[str] = []
    for at, name in enumerate(listed):
        plain = name or f"column_{at + 1}"
        again, n = plain, 1
        while again in made:
            n += 1
            again = f"{plain}_{n}"
        made.append(again)
    return tuple(made)
