"""Texts that hold several values: tags with a sign between them, and lists as programs write them into one cell."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence
from typing import Any, cast

import polars as pl

from twofold.data.vocabulary import Vocabulary, is_text

SEPARATORS = ("|", ";", ",")
"""What may stand between the tags of one string; the first that occurs anywhere in the column."""
LIST = r"^\s*\[[\s\S]*\]\s*$"
"""What a cell that was written as a list looks like."""
_NUMBERS = re.compile(r"\[\s*[-+0-9.eE]+(?:\s+[-+0-9.eE]+)*\s*\]")
_BETWEEN = re.compile(r"(['\"])\s+(?=['\"])")
"""Between two texts of a NumPy array, which stand beside each other without a comma."""


def separators(known: Vocabulary | None) -> Sequence[str]:
    """Return the signs that may separate levels: those that stand in none of the `known` ones.

    Example
    -------
    >>> separators(Vocabulary.of(["rock, pop", "jazz"]))
    ['|', ';']
    """
    if known is None or known.is_integer:
        return SEPARATORS
    return [one for one in SEPARATORS if not known.ids.str.contains(one, literal=True).any()]


def split_tags(text: pl.Series, known: Vocabulary | None = None) -> pl.Series:
    """Split strings at the first of the `separators` that occurs in the column."""
    signs = separators(known)
    found = [one for one in signs if text.str.contains(one, literal=True).any()]
    parts = text.fill_null("").str.split(found[0] if found else "\0")
    return parts.list.eval(pl.element().str.strip_chars()).list.eval(
        pl.element().filter(pl.element() != "")
    )


def as_list(cell: str) -> list[Any] | None:
    """Return the list that a text was written from, by JSON, Python or NumPy; None where it was not.

    Example
    -------
    >>> as_list('["tea", "cake"]'), as_list("['tea' 'cake']"), as_list("[live]")
    (['tea', 'cake'], ['tea', 'cake'], None)
    """
    text = cell.strip()
    if not text.startswith("[") or not text.endswith("]"):
        return None
    if _NUMBERS.fullmatch(text) and "," not in text:
        text = re.sub(r"\.(?=\s|\])", ".0", re.sub(r"\s+", ",", text[1:-1].strip()))
        text = f"[{text}]"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes in somebody's text
                found = ast.literal_eval(_BETWEEN.sub(r"\1, ", text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return cast("list[Any]", found) if isinstance(found, list) else None


def unwritten(values: pl.Series, known: Vocabulary | None = None) -> pl.Series:
    """Return a column of text in which lists were written as lists; a cell that is no list is the tags that stand in it.

    Another column, and one in which no list was written, is returned as it is.

    Example
    -------
    >>> unwritten(pl.Series("tags", ['["x", "y"]', "x", None])).to_list()
    [['x', 'y'], ['x'], []]
    """
    if not is_text(values.dtype):
        return values
    text = values.cast(pl.String)
    alike = text.str.contains(LIST).fill_null(value=False)
    if not alike.any():
        return values
    found = {row: as_list(text[row]) for row in alike.arg_true().to_list()}
    if all(one is None for one in found.values()):
        return values
    rows: list[list[Any]] = split_tags(text, known).to_list()
    for row, one in found.items():
        rows[row] = rows[row] if one is None else one
    return of_lists(values.name, rows)


def of_lists(name: str, rows: list[list[Any]]) -> pl.Series:
    """Return lists as a column: of integers, of numbers, of texts, or of objects where a list holds more than those."""
    kinds = {type(one) for row in rows for one in row if one is not None}
    if kinds & {list, tuple, dict, set}:
        return pl.Series(name, rows, dtype=pl.Object)
    if kinds and kinds <= {int}:
        whole = all(one is None or abs(one) < 2**63 for row in rows for one in row)
        if whole:
            return pl.Series(name, rows, dtype=pl.List(pl.Int64))
    if kinds and kinds <= {int, float}:
        return pl.Series(name, rows, dtype=pl.List(pl.Float64), strict=False)
    texts = [[one if one is None else _spelled(one) for one in row] for row in rows]
    return pl.Series(name, texts, dtype=pl.List(pl.String))


def _spelled(one: Any) -> str:
    return str(one).lower() if isinstance(one, bool) else str(one)
