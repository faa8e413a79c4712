"""What both networks of Covington et al. (2016) read: columns as rows of embedding tables, words, positions.

Everything is a block ``csr @ table`` or a dense column, in NumPy and in torch alike.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Column, kind_of
from twofold.data.entities import Levels
from twofold.data.file_order import drawn_within
from twofold.data.interactions import Histories, Interactions
from twofold.data.queries import Queries, telling
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, did_you_mean
from twofold.features.table import KINDS, Table, TableCode
from twofold.questions import TIME
from twofold.typing import F32, I32, I64, Bool


class Block(NamedTuple):
    """Columns of n rows: for each embedding table the weights of its rows, which sum to 1, or to less where a value is not known; and numbers."""

    fields: tuple[csr_array, ...]  # (n, rows of the table)
    dense: F32  # (n, width)


def dimension(rows: int, per_bit: float) -> int:
    """Return the size of the vectors of a table of `rows` rows: proportional to log2 (section 4.1).

    Example
    -------
    >>> dimension(2, 1.0), dimension(1000, 1.0), dimension(1000, 2.0)
    (2, 10, 20)
    """
    return max(1, int(np.ceil(per_bit * np.log2(rows + 1))))


def learn_columns(
    columns: Mapping[str, Column],
    wanted: Sequence[str] | None,
    min_count: int,
    rows: I64 | None = None,
) -> TableCode:
    """Return how those of `columns` that are wanted (None = all) and can be read are encoded, as told of `rows` (None = all).

    A number that is not told is the mean one.
    """
    names = [
        name
        for name, column in columns.items()
        if kind_of(column) in KINDS and (wanted is None or name in wanted)
    ]
    read = columns if rows is None else taken(columns, rows, names)
    return Table(min_count=min_count, centred=True).fit(read, names)


def check_names(owner: str, wanted: Sequence[str] | None, *sides: Mapping[str, Column]) -> None:
    """Refuse a named column that does not exist or cannot be read.

    Raises
    ------
    ConfigError
        With the nearest name, or the kinds that can be read.
    """
    known = {name: kind_of(column) for side in sides for name, column in side.items()}
    for name in wanted or ():
        if name not in known:
            raise ConfigError(
                f"{owner}.features got {name!r}, which is no feature or context column; {did_you_mean(name, known)}"
            )
        if known[name] not in KINDS:
            raise ConfigError(
                f"{owner}.features got {name!r}, which is a {known[name]} column; read are {', '.join(KINDS)}"
            )


def table_rows(code: TableCode) -> list[int]:
    """Return the number of rows of each embedding table; a level that training did not have has none."""
    return [rows - 1 for rows in code.tables.values()]


def encode_columns(code: TableCode, columns: Mapping[str, Column], n: int) -> Block:
    """Return the block of n rows; what is not in `columns`, and every unknown level, is zero."""
    fields: list[csr_array] = []
    dense: list[F32] = [np.zeros((n, 0), np.float32)]
    for one in code.codes:
        if one.name not in columns:
            fields += [csr_array((n, rows - 1), dtype=np.float32) for rows in one.tables.values()]
            dense.append(np.zeros((n, one.width), np.float32))
            continue
        read = replace(code, codes=(one,)).encode({one.name: columns[one.name]})
        for ids in read.fields:
            made = csr_array((ids.weights, ids.ids, ids.offsets), shape=(n, ids.n_rows))
            fields.append(csr_array(made[:, : ids.n_rows - 1]))
        dense.append(read.dense)
    return Block(tuple(fields), np.hstack(dense).astype(np.float32))


class Side(NamedTuple):
    """A block, and the row of it that each of n examples reads, (n,)."""

    block: Block
    rows: I64

    @classmethod
    def each(cls, block: Block) -> Side:
        """Return a block of which every example has a row of its own."""
        return cls(block, np.arange(len(block.dense)))


Sides: TypeAlias = tuple[Side, Side, Side]
"""What n examples of candidate generation read: watches, searches and age; columns of people; circumstances."""


def joined(*blocks: Block) -> Block:
    """Return blocks of the same rows side by side."""
    fields = tuple(one for block in blocks for one in block.fields)
    return Block(fields, np.hstack([block.dense for block in blocks]))


def mean_rows(starts: I64, stops: I64, ids: I32, width: int) -> csr_array:
    """Return rows (n, width) that average ids[start:stop]; an empty stretch is an empty row."""
    lengths = stops - starts
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    at = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
    share = (1.0 / np.maximum(lengths, 1)).astype(np.float32)
    return csr_array((np.repeat(share, lengths), ids[at], indptr), shape=(len(starts), width))


def thinned(rows: csr_array, share: float, rng: np.random.Generator) -> csr_array:
    """Return rows (n, m) of which a random `share` of the entries is 0, the others 1 / (1 - share) as large.

    Example
    -------
    >>> rows = csr_array(np.ones((1, 1000), np.float32))
    >>> left = thinned(rows, 0.5, np.random.default_rng(0)).toarray()
    >>> np.unique(left).tolist(), bool(0.45 < np.mean(left > 0) < 0.55)
    ([0.0, 2.0], True)
    """
    if not share:
        return rows
    weights = np.asarray(rows.data, np.float32)
    kept = rng.random(len(weights), dtype=np.float32) >= share
    data = np.where(kept, weights / np.float32(1 - share), np.float32(0))
    return csr_array((data, rows.indices, rows.indptr), shape=rows.shape)


def mean_of_two(before: tuple[I64, I64], after: tuple[I64, I64], ids: I32, width: int) -> csr_array:
    """Return rows (n, width) that average the ids of two stretches together."""
    if (after[0] == after[1]).all():
        return mean_rows(*before, ids, width)
    weight = [(stop - start).astype(np.float32) for start, stop in (before, after)]
    total = np.maximum(weight[0] + weight[1], 1)
    parts = [mean_rows(*one, ids, width) for one in (before, after)]
    for part, own in zip(parts, weight, strict=True):
        part.data *= np.repeat(own / total, np.diff(part.indptr))
    return csr_array(parts[0] + parts[1])


class Examples(NamedTuple):
    """n training examples: a label, and the stretches of the log that it is predicted from."""

    event: I64  # (n,) position of the label
    before: tuple[I64, I64]  # start and stop of the stretch before the label
    after: tuple[I64, I64]  # the same after it; empty unless labels are random


def examples_of(
    events: Interactions, labels: str, watches: int, most: int, rng: np.random.Generator
) -> Examples:
    """Return at most `most` examples a user, drawn without replacement, in the order of the log.

    ``future``: the last `watches` events before the label, and nothing else (Fig. 5b of the paper).
    ``random``: the `watches` events around the label, without it (Fig. 5a).
    """
    chosen = capped(events, most, rng)
    starts, stops = events.indptr[events.user[chosen]], events.indptr[events.user[chosen] + 1]
    if labels == "future":
        return Examples(chosen, (np.maximum(starts, chosen - watches), chosen), (chosen, chosen))
    first = np.maximum(starts, np.minimum(chosen - watches // 2, stops - watches - 1))
    last = np.minimum(stops, first + watches + 1)
    return Examples(chosen, (first, chosen), (chosen + 1, last))


def capped(events: Interactions, most: int, rng: np.random.Generator) -> I64:
    """Return the positions of at most `most` random events of each user, ascending."""
    place = np.arange(len(events)) - events.indptr[events.user]  # users are in order either way
    return np.sort(drawn_within(events.user, rng)[place < most])


def last_items(histories: Histories, watches: int, width: int) -> csr_array:
    """Return rows (n, width) that average the last `watches` items of each history."""
    stops = histories.indptr[1:]
    return mean_rows(
        np.maximum(histories.indptr[:-1], stops - watches), stops, histories.item, width
    )


def came_before(
    history: Histories, events: Interactions, item: I32, chosen: I64, watches: int, width: int
) -> csr_array:
    """Return rows (n, width) that average the last `watches` items that the user of each `chosen` event (n,) had before it.

    `history` is what each user of `events` did before all of them, `item` (events,) are rows of known items, -1 = unknown.
    """
    known = item != UNKNOWN
    passed = np.concatenate([[0], np.cumsum(known)]).astype(np.int64)
    since = Histories(passed[events.indptr], item[known], events.value[known])
    whole, user = history.joined(since), events.user[chosen]
    met = passed[chosen] - since.indptr[user]
    stop = whole.indptr[user] + history.lengths[user] + met
    return mean_rows(np.maximum(whole.indptr[user], stop - watches), stop, whole.item, width)


def example_age(time: I64 | None, events: I64) -> F32:
    """Return newest time - time of the events, as a share of the whole span, in [0, 1]; 0 without times."""
    if time is None:
        return np.zeros(len(events), np.float32)
    newest = time.max()
    return ((newest - time[events]) / max(newest - time.min(), 1)).astype(np.float32)


def powers(age: F32) -> F32:
    """Return x, x^2 and sqrt(x), shape (n, 3)."""
    return np.column_stack([age, age**2, np.sqrt(age)]).astype(np.float32)


def taken(
    columns: Mapping[str, Column], rows: I64 | I32, among: Container[str] | None = None
) -> dict[str, Column]:
    """Return columns at `rows`; those with a name `among` some alone, if given."""
    return {
        name: column.take(rows)
        for name, column in columns.items()
        if among is None or name in among
    }


def features_at(code: TableCode, columns: Mapping[str, Column], rows: I32) -> dict[str, Column]:
    """Return the columns that are read at `rows`; those of row -1 are missing."""
    read = {one.name: columns[one.name].with_missing_row() for one in code.codes}
    return {name: one.take(np.where(rows < 0, len(one) - 1, rows)) for name, one in read.items()}


def rows_of(matrix: csr_array, rows: I32) -> csr_array:
    """Return rows of a sparse matrix (m, width), m >= 1; row -1 is empty."""
    found = csr_array(matrix[np.maximum(rows, 0)])
    lengths = np.diff(found.indptr)
    known = np.repeat(rows >= 0, lengths)
    ends = np.concatenate([[0], np.cumsum(np.where(rows >= 0, lengths, 0))])
    return csr_array((found.data[known], found.indices[known], ends), shape=found.shape)


def check_said(
    queries: Queries,
    user_code: TableCode,
    declared: Mapping[str, Column],
    read: Levels,
    met: Sequence[str],
) -> Bool:
    """Return which questions (n,) say something in a feature or context column that is read.

    `declared` are the features of the training users, `read` and `met` the context columns that are read and that
    were there.

    Raises
    ------
    ConfigError
        If a column was not there in training.
    """
    people = [one.name for one in user_code.codes]
    for what, given, known in (
        ("context column", queries.context, {*read, *met}),
        ("user feature", queries.features, {*people, *declared}),
    ):
        for name in given:
            if name not in known and name != TIME:
                raise ConfigError(f"no {what} {name!r}; {did_you_mean(name, sorted(known))}")
    return telling(queries.features, user_code.levels, len(queries)) | telling(
        queries.context, read, len(queries)
    )
