"""Rows of delimited numbers from bytes: the reading of a log without words.

A cell that is not written in the plainest way stops the kernel, so that nothing is read that other
readers would read otherwise: integers without signs, zeros or spaces in front (a minus is allowed),
decimals without exponents, rows of exactly as many cells as there are columns.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from twofold.kernels._jit import kernel
from twofold.typing import F32, I32, I64

Bytes = NDArray[np.uint8]

SKIPPED, INTEGER, DECIMAL = 0, 1, 2
"""What a column holds; skipped ones may hold anything but quotes."""
PARTS = 16
"""Pieces of the text that are read side by side; does not change what is read."""
LINE, RETURN, MINUS, POINT, ZERO, NINE = 10, 13, 45, 46, 48, 57
"""Bytes with a meaning."""
MOST_DIGITS = 18
"""Integers of so many digits always fit into 64 bits."""
EXACT_DIGITS = 15
"""Decimals of so many digits are exact quotients of two float64."""


@kernel(fastmath=False)
def cut_at_lines(text: Bytes, cuts: I64) -> None:
    """Fill `cuts` (parts + 1,) with where the parts of `text`, which ends with a line break, begin and end."""
    n_parts = len(cuts) - 1
    cuts[0] = 0
    for part in range(1, n_parts):
        at = max(cuts[part - 1], len(text) * part // n_parts)
        while at > cuts[part - 1] and at < len(text) and text[at - 1] != LINE:
            at += 1
        cuts[part] = at
    cuts[n_parts] = len(text)


@kernel(parallel=True, fastmath=False)
def count_lines(text: Bytes, cuts: I64, counts: I64) -> None:
    """Fill `counts` (parts,) with the number of line breaks of each part."""
    for part in prange(len(counts)):
        n = 0
        for at in range(cuts[part], cuts[part + 1]):
            n += text[at] == LINE
        counts[part] = n


@kernel(parallel=True, fastmath=False)
def parse_rows(
    text: Bytes,
    cuts: I64,
    first_row: I64,
    delimiter: Bytes,
    quote: int,
    kinds: I32,
    place: I32,
    integers: I64,
    decimals: F32,
    good: Bytes,
) -> None:
    """Read the rows of each part of `text`.

    Column c is of ``kinds[c]`` and goes to row ``place[c]`` of `integers` (., n) or `decimals` (., n). Part p
    writes from column ``first_row[p]`` on, and sets ``good[p]`` to 1 where every cell is written plainly. A byte
    equal to `quote` is not plain; `delimiter` has one or two bytes.
    """
    for part in prange(len(good)):
        good[part] = _part(
            text, cuts[part], cuts[part + 1], first_row[part], delimiter, quote, kinds, place, integers, decimals
        )  # fmt: skip


@kernel(fastmath=False)
def _part(
    text: Bytes, at: int, end: int, row: int, delimiter: Bytes, quote: int, kinds: I32, place: I32,
    integers: I64, decimals: F32,
) -> int:  # fmt: skip
    width, first, step = len(kinds), delimiter[0], len(delimiter)
    second = delimiter[step - 1]
    while at < end:
        for column in range(width):
            kind = kinds[column]
            if kind == SKIPPED:
                while text[at] != LINE:
                    if text[at] == first and (step == 1 or text[at + 1] == second):
                        break
                    if text[at] == quote:
                        return 0
                    at += 1
            else:
                negative = text[at] == MINUS
                if negative:
                    at += 1
                begin, number = at, np.int64(0)
                while ZERO <= text[at] <= NINE:
                    number = number * 10 + (text[at] - ZERO)
                    at += 1
                digits = at - begin
                if kind == INTEGER:
                    if digits == 0 or digits > MOST_DIGITS:
                        return 0
                    if text[begin] == ZERO and (digits > 1 or negative):
                        return 0
                    integers[place[column], row] = -number if negative else number
                else:
                    scale = 1.0
                    if text[at] == POINT:
                        at += 1
                        while ZERO <= text[at] <= NINE:
                            number = number * 10 + (text[at] - ZERO)
                            scale *= 10.0
                            digits += 1
                            at += 1
                    if digits == 0 or digits > EXACT_DIGITS:
                        return 0
                    exact = number / scale
                    decimals[place[column], row] = -exact if negative else exact
            if column < width - 1:
                if text[at] != first or (step == 2 and text[at + 1] != second):
                    return 0
                at += step
            else:
                if text[at] == RETURN:
                    at += 1
                if text[at] != LINE:
                    return 0
                at += 1
        row += 1
    return 1
