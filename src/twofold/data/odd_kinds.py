"""Columns that are read as another kind than nearly all of their cells look like."""

from __future__ import annotations

import warnings
from typing import Literal, NamedTuple

import polars as pl

from twofold.data.columns import Kind
from twofold.data.names import MISSING, NUMBER
from twofold.data.vocabulary import is_text
from twofold.data.written import split_tags
from twofold.errors import DataWarning

Owner = Literal["users", "items", "context"]
FEW = 10
"""Cells below which nothing is suspected."""
NEARLY = 0.95
"""Share of numbers from which the other cells look like mistakes, and not like names such as 12a."""
LOOKED_AT = 10_000
"""Cells in which sentences are looked for."""
SENTENCE = r"\S\s+\S+\s+\S|[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]{12}"
"""Three words; in scripts without spaces between words, as many letters."""
LONG_SENTENCE = (
    r"\S(?:\s+\S+){3}\s+\S|[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]{16}"
)
"""Five words, or as many letters."""
TAG = r"</?(?i:a|b|br|div|em|h[1-6]|i|img|li|ol|p|span|strong|table|td|tr|u|ul)(?:\s[^<>]*)?/?>"
"""A tag of HTML, as texts of the web have them."""
SHOWN = 40
"""Characters of a cell that are repeated."""


class Odd(NamedTuple):
    """What there is to say of a column, the kind that may be meant, and what to do."""

    note: str
    meant: Kind
    advice: str


def say_odd_kind(
    name: str,
    values: pl.Series,
    kind: Kind,
    owner: Owner,
    notes: list[str],
    *,
    guessed: bool,
    stacklevel: int,
) -> None:
    """Note, and warn of, a column that hardly is of the `kind` that it is read as; where that was declared, of sentences alone. Of text that is HTML, too."""
    if not is_text(values.dtype) or len(values) < FEW:
        return
    values = values.cast(pl.String)
    if kind == "text" and (tag := markup(values)):
        notes.append(
            f"{name!r} of the {owner} holds HTML, such as {tag}, of which names and links are read as words"
        )
        warnings.warn(
            f"{notes[-1]}; take it out before, such as by re.sub('<[^>]+>', ' ', text)",
            DataWarning,
            stacklevel=stacklevel,
        )
    odd = (stray_cell(values, kind) if guessed else None) or sentences(
        values, kind, told=not guessed
    )
    if odd is None:
        return
    one = owner.removesuffix("s")
    of = f"context column {name!r}" if owner == "context" else f"{name!r} of the {owner}"
    option, flag = ("context",) * 2 if owner == "context" else (f"{one}_features", f"{one}-feature")
    notes.append(f"{of} is read as {_a(kind)}: {odd.note}")
    warnings.warn(
        f"{notes[-1]}; {odd.advice}: {option}={{{name!r}: {odd.meant!r}}} "
        f"(on the command line --{flag} {name}={odd.meant})",
        DataWarning,
        stacklevel=stacklevel,
    )


def markup(values: pl.Series) -> str:
    """Return the first tag of HTML of a text most cells of which have some; or nothing.

    Example
    -------
    >>> markup(pl.Series(["<p>Tea</p>", "Cake<br/>", "1 < 2"]))
    '<p>'
    """
    cells = values.drop_nulls().head(LOOKED_AT)
    tags = cells.str.extract(TAG, 0).drop_nulls()
    return tags[0] if len(tags) and 2 * len(tags) >= len(cells) else ""


def stray_cell(values: pl.Series, kind: Kind) -> Odd | None:
    """Say which cells keep strings from being numbers or days, where nearly all of them are.

    Example
    -------
    >>> stray_cell(pl.Series(["1.5"] * 19 + ["unknown"]), "category").note
    "19 of 20 values are numbers, 'unknown' in row 19 is not"
    """
    if kind in ("number", "time"):
        return None
    text = values.str.strip_chars()
    given = ~text.is_in(MISSING).fill_null(value=True)
    number = text.str.contains(NUMBER).fill_null(value=False)
    if not text.str.contains(r"^[+-]?0[0-9]").any():  # 007 is a name
        decimal = text.filter(number).str.contains(r"[.eE]").any()
        # Integers as strings are names, with empty cells among them too.
        cells = values if decimal else values.set(~given, None)
        if odd := _others(cells, number, given, "numbers", "number"):
            return odd
    day = text.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$").fill_null(value=False)
    day &= text.str.to_date("%Y-%m-%d", strict=False).is_not_null()
    return _others(values, day, given, "days", "time")


def _others(
    values: pl.Series, good: pl.Series, given: pl.Series, what: str, meant: Kind
) -> Odd | None:
    """Say which of the values (n,) are not `good` (n,), where nearly all that are `given` (n,) are."""
    n, total = int(good.sum()), int(given.sum())
    if n < FEW or n < NEARLY * total:
        return None
    odd = (given & ~good).arg_true()
    odd = odd if len(odd) else (values.is_not_null() & ~good).arg_true()
    if not len(odd):
        return None
    row, others = int(odd[0]), len(odd) - 1
    note = f"{n:,} of {total:,} values are {what}, {_shown(values[row])} in row {row:,}"
    note += f" and {others:,} more are not" if others else " is not"
    cells = "such cells" if others else "that cell"
    return Odd(note, meant, f"declare a category if these are codes, else correct or empty {cells} and declare {_a(meant)}")  # fmt: skip


def sentences(values: pl.Series, kind: Kind, *, told: bool = False) -> Odd | None:
    """Say that tags, or levels of a bag, are sentences: most of the text lies in levels of several words that occur once.

    Where the kind was `told`, levels of three or four words are names.

    Example
    -------
    >>> told = pl.Series([f"once, the story of {name} and the sea" for name in "abcdefghij"])
    >>> sentences(told, "bag").note
    "it holds sentences, which are one level each, such as 'the story of a and the sea'"
    """
    if kind not in ("tags", "bag"):
        return None
    cells = values.drop_nulls().head(LOOKED_AT)
    if len(cells) < FEW or cells.str.contains(r"^\s*[\[{]").all():  # JSON
        return None
    levels = split_tags(cells).explode(empty_as_null=False, keep_nulls=False)
    found = levels.str.contains(LONG_SENTENCE if told else SENTENCE) & levels.is_unique()
    length = levels.str.len_chars()
    if 2 * length.filter(found).sum() <= length.sum():
        return None
    note = (
        f"it holds sentences, which are one level each, such as {_shown(levels.filter(found)[0])}"
    )
    return Odd(note, "text", "declare text to have its words")


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= SHOWN else f"{cell[: SHOWN - 1]}…")


def _a(kind: Kind) -> str:
    return kind if kind in ("tags", "text") else f"a {kind}"
