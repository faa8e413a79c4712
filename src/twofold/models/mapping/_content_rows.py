"""Columns of users or items as sparse rows of numbers, with what training saw remembered.

Words (text and bags) are weighted by tf-idf and scaled to length 1 a column; categories, tags, numbers, vectors
and times as `twofold.features.design` has them; a sound is the mean and the spread of every mel band over
time, centred and scaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Bag, Column, Kind, Text, kind_of
from twofold.data.entities import Levels
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.features.audio import LogMel
from twofold.features.design import READABLE, ColumnCode, side_by_side
from twofold.features.numbers import centre_and_scale, standardised
from twofold.features.sounds import Each, SoundFault, folders_of, of_each
from twofold.features.text import BagOfWords, WordCode
from twofold.models._scarce import say_scarce
from twofold.typing import F32, F64, Bool
from twofold.unseen import tell

OnError: TypeAlias = Literal["refuse", "skip"]
KINDS: tuple[Kind, ...] = (*READABLE, "text", "sound")
"""Kinds of columns that are read."""
WORDS: tuple[Kind, ...] = ("text", "bag")
"""Kinds of columns of which a vocabulary is kept."""


def chosen(
    owner: str,
    names: Sequence[str],
    columns: Mapping[str, Column],
    kinds: Sequence[Kind] = KINDS,
    side: str = "items",
) -> tuple[str, ...]:
    """Return the columns of the `side` to read: those that are named, or all of the `kinds`.

    Raises
    ------
    ConfigError
        If a name is not there, or its kind is not read.
    DataError
        If nothing is left.
    """
    for name in names:
        if name not in columns:
            raise ConfigError(
                f"{owner} got {name!r}, no such feature of the {side}; {did_you_mean(name, columns)}"
            )
        if kind_of(columns[name]) not in kinds:
            raise ConfigError(
                f"{owner} got {name!r}, which is a {kind_of(columns[name])}; allowed kinds: {', '.join(kinds)}"
            )
    found = tuple(names) or tuple(name for name, one in columns.items() if kind_of(one) in kinds)
    if not found:
        there = ", ".join(f"{name} ({kind_of(one)})" for name, one in columns.items())
        raise DataError(
            f"{owner} finds nothing to read: "
            + (
                f"the features of the {side} are {there}; "
                if there
                else f"the {side} have no features; "
            )
            + f"declare one of the kinds {', '.join(kinds)} with {side[:-1]}_features= "
            f"(on the command line --{side[:-1]}-feature NAME={kinds[0]})"
        )
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundCode:
    """How sounds were averaged in training."""

    settings: LogMel
    on_error: OnError
    centre: F32  # (2 * bands,)
    scale: F32  # (2 * bands,)
    folders: tuple[str, ...] | None = None
    """Where the sounds lie that were read; None = the model was saved before this was kept."""

    @classmethod
    def of(cls, column: Text, settings: LogMel, on_error: OnError) -> SoundCode:
        """Remember the centre and spread of the sounds of training.

        Raises
        ------
        DataError
            If a sound cannot be read and `on_error` is refuse, or none can.
        """
        found, sounds = averaged(column, settings, on_error, least=1)
        centre, scale = centre_and_scale(found)
        folders = folders_of(column.take(sounds.rows).values)
        return cls(
            settings=settings, on_error=on_error, centre=centre, scale=scale, folders=folders
        )

    def encode(self, column: Text) -> csr_array:
        """Return the features of sounds (n, 2 bands); a sound that is missing or left out has none."""
        found, sounds = averaged(column, self.settings, self.on_error)
        tell_left_out(sounds)
        return csr_array(standardised(found, self.centre, self.scale)[:, :-1])


def averaged(
    column: Text, settings: LogMel, on_error: OnError, least: int = 0
) -> tuple[F64, Each[F64]]:
    """Return the mean and the spread over time of every band, (n, 2 bands), NaN where there is no sound; and what was read."""
    out = np.full((len(column), 2 * settings.bands), np.nan)
    sounds = of_each(column, settings.average, on_error=on_error, least=least)
    if sounds.made:
        out[sounds.rows] = sounds.made
    return out, sounds


def tell_left_out(sounds: Each[Any]) -> None:
    """Warn of the files that were left out, if there are any."""
    if sounds.skipped:
        n, reason = len(sounds.skipped), sounds.skipped[0][1].rstrip(".")
        which = "the sound was left out:" if sounds.n == 1 else f"{n:,} of {sounds.n:,} sounds left out; the first:"  # fmt: skip
        tell([f"{which} {reason}"])


Code: TypeAlias = WordCode | ColumnCode | SoundCode


@dataclass(frozen=True, eq=False, kw_only=True)
class ContentCode:
    """The columns of training, side by side."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    codes: tuple[Code, ...]

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Column],
        names: Sequence[str],
        *,
        vocabulary: int,
        sound: LogMel,
        on_error: OnError,
    ) -> ContentCode:
        """Remember the words, levels and scales of the columns `names`."""

        def code_of(name: str) -> Code:
            match columns[name]:
                case Text(is_path=True) as column:
                    return SoundCode.of(column, sound, on_error)
                case Bag(is_tags=False) | Text() as column:
                    words = BagOfWords(max_words=vocabulary, weight="tfidf", unit_length=True)
                    try:
                        code = words.fit(column)
                    except DataError as error:
                        raise DataError(
                            f"no row of {name!r} holds a word; check the column, or leave it out by naming the others with content= "
                            "(on the command line --set content=NAME)"
                        ) from error
                    if isinstance(column, Text):
                        say_scarce(repr(name), code.texts_with, len(column))
                    return code
                case column:
                    return ColumnCode.of(name, column)

        kinds = tuple(kind_of(columns[name]) for name in names)
        return cls(names=tuple(names), kinds=kinds, codes=tuple(map(code_of, names)))

    @property
    def levels(self) -> Levels:
        """The values that were learned of each column; None of numbers, texts and sounds."""
        return {
            name: levels_of_code(code) if kind in ("category", "tags", "bag") else None
            for name, kind, code in zip(self.names, self.kinds, self.codes, strict=True)
        }

    def read(self, columns: Mapping[str, Column]) -> tuple[csr_array, Bool]:
        """Return the rows (n, width), and which of them hold anything (n,); a column that is not given is empty.

        Raises
        ------
        DataError
            If a column is of another kind than in training, or none of them is given.
        """
        given = [name for name in self.names if name in columns]
        if not given:
            raise DataError(
                f"none of the features of training is there; give at least one of {', '.join(self.names)}"
            )
        n = len(columns[given[0]])
        parts: list[csr_array] = []
        for name, kind, code in zip(self.names, self.kinds, self.codes, strict=True):
            if name not in columns:
                parts.append(csr_array((n, width_of_code(code)), dtype=np.float32))
                continue
            column = columns[name]
            if kind_of(column) != kind:
                raise DataError(
                    f"feature {name!r} was a {kind} in training and is a {kind_of(column)} now; "
                    "give it the same kind"
                )
            try:
                parts.append(rows_of(code, column))
            except SoundFault as error:
                raise SoundFault(f"feature {name!r}: {error.why}") from error
            except DataError as error:
                raise DataError(f"feature {name!r}: {error}") from error
        rows = side_by_side(parts)
        rows.eliminate_zeros()
        return rows, np.diff(rows.indptr) > 0


def rows_of(code: Code, column: Column) -> csr_array:
    """Return the rows of one column, (n, width)."""
    match code, column:
        case WordCode(), Bag() | Text():
            return code.encode(column).rows
        case SoundCode(), Text():
            return code.encode(column)
        case ColumnCode(), _:
            return code.encode(column)
        case _:
            raise DataError(f"a {kind_of(column)} column cannot be read here")


def levels_of_code(code: Code) -> Vocabulary | None:
    """Return the words or levels of one column, None where it has none."""
    match code:
        case WordCode():
            return code.words
        case ColumnCode():
            return code.levels
        case SoundCode():
            return None


def width_of_code(code: Code) -> int:
    """Return the number of features of one column."""
    return len(code.centre) if isinstance(code, SoundCode) else code.width
