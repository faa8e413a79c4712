"""The caller's ids and their dense row numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from twofold.errors import DataError, UnknownIdError, nearest
from twofold.typing import I32, I64, Id

UNKNOWN = -1
"""The row number of an id that is not in a vocabulary."""
WHOLE = re.compile(r"\s*([+-]?[0-9]{1,19})(?:\.0*)?\s*")
"""An integer as it may be written: 7, or 7.0 as in tables where something is missing."""


FEW = 1000
"""Ids that are looked up one by one, and ids of a vocabulary whose dictionary costs less than to join them."""
COMPOSABLE = r"[\p{M}\u{1100}-\u{11FF}\u{2126}\u{212A}\u{212B}]"
"""Accents, letters of Hangul, and three signs that are letters too: without them an id is composed (NFC)."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Unique ids in row order; all integers or all strings.

    Looking up is lenient about the type where it cannot be mistaken: the string ``"42"`` finds the
    integer 42 and the other way round, because files and web requests lose that difference.

    Example
    -------
    >>> words = Vocabulary.of(["b", "a", "b"])
    >>> words.rows(["a", "b", "zzz"]).tolist()
    [0, 1, -1]
    >>> words.ids[[1, 0]].to_list()
    ['b', 'a']
    """

    ids: pl.Series
    """Int64 or String, unique, without nulls."""

    @classmethod
    def of(cls, ids: Iterable[Id] | pl.Series, what: str = "id") -> Vocabulary:
        """Collect the distinct ids in sorted order."""
        return factorize(as_ids(ids, what))[0]

    @cached_property
    def is_integer(self) -> bool:
        """Whether the ids are integers."""
        return self.ids.dtype == pl.Int64

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Id:
        return self.ids[int(row)]

    @cached_property
    def _row_of(self) -> dict[Id, int]:
        return {one: row for row, one in enumerate(self.ids.to_list())}

    @property
    def _is_at_hand(self) -> bool:
        """Whether the dictionary is there, or as good as there."""
        return len(self) <= FEW or "_row_of" in self.__dict__

    @cached_property
    def _table(self) -> tuple[int, I32] | None:
        """Lookup table from integer ids, offset by the smallest, where they lie close together."""
        if not self.is_integer or not len(self):
            return None
        raw = self.ids.to_numpy()
        low, high = int(raw.min()), int(raw.max())
        if high - low > 8 * len(raw) + 1_000_000:
            return None
        table = np.full(high - low + 1, UNKNOWN, np.int32)
        table[raw - low] = np.arange(len(raw), dtype=np.int32)
        return low, table

    def rows(self, ids: Iterable[Id | None] | pl.Series) -> I32:
        """Return the row of every id, ``UNKNOWN`` (-1) where it is not known.

        Raises
        ------
        DataError
            If a column holds lists, structs or bytes.
        """
        if not isinstance(ids, pl.Series):
            listed = list(ids)
            if len(listed) < FEW:
                own, get = int if self.is_integer else str, self._row_of.get
                return np.array(
                    [get(one, UNKNOWN) if type(one) is own else self._row(one) for one in listed],
                    np.int32,
                )
            try:
                ids = as_ids(listed, "id")
            except DataError:  # of several kinds, which no column holds
                return np.array([self._row(one) for one in listed], np.int32)
        if ids.dtype.is_nested() or isinstance(ids.dtype, pl.Binary | pl.Object):
            raise _no_ids(f"column {ids.name!r}", ids.dtype)
        if not len(ids) or not len(self):
            return np.full(len(ids), UNKNOWN, np.int32)
        if ids.dtype.is_float() or ids.dtype == pl.Boolean:
            return np.array([self._row(one) for one in ids.to_list()], np.int32)
        if self.is_integer and is_text(ids.dtype):
            typed = ids.cast(pl.String).str.extract(f"^{WHOLE.pattern}$")
            ids = typed.cast(pl.Int64, strict=False)
        elif self.is_integer != ids.dtype.is_integer():
            ids = ids.cast(pl.Int64 if self.is_integer else pl.String, strict=False)
        few = len(ids) < FEW and ids.dtype == self.ids.dtype and self._is_at_hand
        if few and (len(ids) < FEW // 10 or self._table is None):
            return np.array([self._row_of.get(one, UNKNOWN) for one in ids.to_list()], np.int32)
        if self._table is not None:
            low, table = self._table
            raw = ids.cast(pl.Int64).fill_null(low - 1).to_numpy()
            inside = (raw >= low) & (raw < low + len(table))
            return np.where(inside, table[np.where(inside, raw - low, 0)], np.int32(UNKNOWN))
        known = pl.DataFrame({"id": self.ids, "row": np.arange(len(self), dtype=np.int32)})
        asked = pl.DataFrame({"id": ids.cast(self.ids.dtype)})
        found = asked.join(known, on="id", how="left", maintain_order="left")["row"]
        return found.fill_null(UNKNOWN).to_numpy()

    def _row(self, one: Any) -> int:
        if isinstance(one, bool | float | np.floating):
            if not _is_whole(one):
                return UNKNOWN
            one = int(one)
        key: Id | None = (one if isinstance(one, str) else str(one)) if one is not None else None
        if self.is_integer and key is not None:
            typed = WHOLE.fullmatch(key)
            key = int(typed[1]) if typed else None
        return self._row_of.get(key, UNKNOWN) if key is not None else UNKNOWN

    def row(self, one: Id, what: str = "item") -> int:
        """Return the row of one id.

        Raises
        ------
        UnknownIdError
            If it is not known; the message names the nearest known id.
        """
        row = self._row(one)
        if row == UNKNOWN:
            near = nearest(str(one), self.ids.head(100_000).cast(pl.String).to_list())
            some = ", ".join(map(repr, self.ids.head(3).to_list()))
            hint = f"did you mean {near!r}?" if near else f"known are {some or 'none'}"
            text = f"{what} {one!r} is not among the {len(self):,} known {what}s; {hint}"
            raise UnknownIdError(text, one)
        return row

    def written(self, one: Id) -> Id:
        """Return an id in the one form that it has as a text: where ids are integers, "2.0" and " 2" are "2".

        Example
        -------
        >>> Vocabulary.of([1, 2]).written("2.0"), Vocabulary.of(["a", "2"]).written("2.0")
        ('2', '2.0')
        """
        typed = WHOLE.fullmatch(one) if self.is_integer and isinstance(one, str) else None
        return one if typed is None else str(int(typed[1]))

    def take(self, rows: I32 | I64) -> Vocabulary:
        """Return the vocabulary of the ids at `rows`, in that order."""
        return Vocabulary(self.ids.gather(pl.Series(rows, dtype=pl.UInt32)))


def _is_whole(one: Any) -> bool:
    return not isinstance(one, bool) and float(one).is_integer()


def is_text(kind: pl.DataType) -> bool:
    """Say whether a column of this type holds strings."""
    return isinstance(kind, pl.String | pl.Categorical | pl.Enum)


def as_ids(ids: Iterable[Any] | pl.Series, what: str) -> pl.Series:
    """Check and normalise a column of ids to Int64 or String; nulls stay null.

    Raises
    ------
    DataError
        If integers and strings are mixed, or the values are neither.
    """
    if not isinstance(ids, pl.Series):
        listed = list(ids)
        kinds = {str if isinstance(one, str) else int for one in listed if one is not None}
        if len(kinds) > 1:
            first = next(one for one in listed if isinstance(one, str))
            other = next(one for one in listed if one is not None and not isinstance(one, str))
            text = f"{what} mixes {first!r} and {other!r}: use all strings or all integers"
            raise DataError(text)
        ids = pl.Series(what, listed, strict=False)
    kind = ids.dtype
    if kind == pl.Null:
        return ids.cast(pl.Int64)
    if kind == pl.Int32:
        return ids  # half the memory of a large log; a vocabulary holds Int64
    if kind.is_integer():
        if kind == pl.UInt64 or str(kind).endswith("128"):
            low, high = ids.min() or 0, ids.max() or 0
            if high >= 2**63 or low < -(2**63):  # type: ignore[operator]
                return ids.cast(pl.String)
        return ids.cast(pl.Int64)
    if is_text(kind):
        return ids.cast(pl.String)
    if kind.is_float():
        finite = ids.fill_nan(None)
        whole = finite.cast(pl.Int64, strict=False)
        bad = ((whole.cast(kind) != finite) | whole.is_null()) & finite.is_not_null()
        if bad.any():
            odd = ids.filter(bad)[0]
            raise DataError(f"{what} must hold integers or strings; got the number {odd!r}")
        exact = 2**24 if kind == pl.Float32 else 2**53
        if (whole.abs() > exact).any():
            raise DataError(
                f"{what} holds {whole.filter(whole.abs() > exact)[0]} as a float, which has lost digits; "
                "make it integers or strings where it is read"
            )
        return whole
    if isinstance(kind, pl.Decimal):  # as databases keep whole numbers
        whole = ids.cast(pl.Decimal(38, 0), strict=False)
        bad = ((whole != ids) | whole.is_null()) & ids.is_not_null()
        if bad.any():
            raise DataError(
                f"{what} must hold integers or strings; got the number {ids.filter(bad)[0]}"
            )
        short = whole.cast(pl.Int64, strict=False)
        return short if short.null_count() == ids.null_count() else whole.cast(pl.String)
    if kind == pl.Boolean or (kind.is_temporal() and kind != pl.Duration):
        return ids.cast(pl.String)
    raise _no_ids(what, kind)


def _no_ids(what: str, kind: pl.DataType) -> DataError:
    """Return what is said of a column whose values cannot be ids."""
    return DataError(f"{what} must hold integers or strings; got values of type {kind}")


def look_alikes(known: Vocabulary, what: str) -> list[str]:
    """Return the sentence about ids that are the same letters in different bytes, if there are any.

    Unicode writes é as one character (NFC) or as an e and an accent (NFD); files of several systems mix them.

    Example
    -------
    >>> look_alikes(Vocabulary.of(["Caf\u00e9", "Cafe\u0301", "Tee"]), "items")
    ["1 of the items looks like another and counts as a different one, such as 'Café': its letters are composed in one id and not in the other (Unicode NFC and NFD); write them in one form to join them"]
    """
    if known.is_integer:
        return []
    apart = known.ids.filter(known.ids.str.contains(COMPOSABLE))
    composed = apart.str.normalize("NFC")
    other = composed != apart
    same = other & pl.Series(known.rows(composed) != UNKNOWN) | composed.is_duplicated() & other
    n = int(same.sum())
    if not n:
        return []
    are = "looks like another and counts as a different one" if n == 1 else "look like others and count as different ones"  # fmt: skip
    return [
        f"{n:,} of the {what} {are}, such as {composed.filter(same)[0]!r}: its letters are "
        "composed in one id and not in the other (Unicode NFC and NFD); write them in one form to join them"
    ]


def factorize(ids: pl.Series) -> tuple[Vocabulary, I32]:
    """Return the sorted distinct ids and the row of every entry; `ids` has no nulls.

    Integer ids that lie close together take one pass over a table; other ids one hash pass.
    """
    if (ids.dtype == pl.Int64 or ids.dtype == pl.Int32) and len(ids):
        raw = ids.to_numpy()
        low, high = int(raw.min()), int(raw.max())
        if high - low <= 4 * len(raw) + 1_000_000:
            present = np.zeros(high - low + 1, np.bool_)
            present[raw - low] = True
            table = (np.cumsum(present, dtype=np.int32) - 1).astype(np.int32)
            unique = np.flatnonzero(present) + low
            return Vocabulary(pl.Series(unique.astype(np.int64))), table[raw - low]
    if ids.dtype == pl.Int32:
        ids = ids.cast(pl.Int64)
    unique = ids.unique().sort()
    vocabulary = Vocabulary(unique)
    return vocabulary, vocabulary.rows(ids)
