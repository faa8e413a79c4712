"""What callers ask, in the rows of a model: who, what they did, what is said of them and when."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from twofold.data.columns import Column, Kind, Text, kind_of
from twofold.data.convert import column_from_values
from twofold.data.frames import as_frame, series_of
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.times import parse_times
from twofold.data.told import told
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, did_you_mean
from twofold.features.words import as_series
from twofold.rank import PairOfEncoders
from twofold.typing import I64, History, Ids

NO_KEYS: frozenset[str] = frozenset()
TIME = "time"
"""The name under which the time of a question is given among its context."""


def questions(
    model: PairOfEncoders,
    users: Ids | None,
    histories: Sequence[History] | None = None,
    context: Mapping[str, Sequence[Any]] | None = None,
    features: Mapping[str, Sequence[Any]] | None = None,
    text: Sequence[str] | None = None,
) -> tuple[Queries, pl.Series]:
    """Translate the caller's question into rows; also return the ids to print.

    Raises
    ------
    ConfigError
        If nobody is named and nothing is said of anybody, lengths differ, or words are given to a model
        that does not read them.
    """
    several(users)
    users = list(users) if isinstance(users, Iterator) else users
    context, features = by_column(context, "context"), by_column(features, "features")
    if isinstance(text, str):
        raise ConfigError(f"text must be a list of strings; got {text!r}: write [{text!r}]")
    if text is not None and not model.reads_text:
        raise ConfigError("this model does not read words; leave them out, or fit one that does")
    for what, columns in (("context column", context), ("user feature", features)):
        for name, column in columns.items():
            if isinstance(column, str) or not isinstance(column, Collection):
                raise ConfigError(
                    f"{what} {name!r} must be a list with one entry a person; got {column!r}: write [{column!r}]"
                )
    columns = {**context, **features}
    given = [one for one in (users, histories, text, *columns.values()) if one is not None]
    if not given:
        raise ConfigError("say for whom: users=[...] or histories=[[...]]; got neither")
    n = len(given[0])
    if any(len(one) != n for one in given):
        lengths = ", ".join(str(len(one)) for one in given)
        raise ConfigError(
            f"users, histories, text and columns must have one entry a person; got lengths {lengths}"
        )
    rows = np.full(n, UNKNOWN, np.int32) if users is None else model.users.ids.rows(users)
    context, time = said(model, context)
    own = Histories.empty(n)
    if histories is not None:
        own = told(model.items.ids, histories, model.memory.value_range, rates=model.predicts_values)  # fmt: skip
    queries = Queries(
        rows,
        own,
        np.full(n, histories is not None),
        time,
        query_columns(context, model.context_kinds),
        user_columns(features, model.users.features),
        None if text is None else Text(as_series(text)),
    )
    who = pl.Series("user", list(range(n)) if users is None else list(users), strict=False)
    return queries, who


def said(
    model: PairOfEncoders, context: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, Sequence[Any]], I64 | None]:
    """Part what was said of the circumstances into context columns and, where it is read, the time."""
    columns = dict(context)
    if TIME not in model.context_kinds or TIME not in columns:
        return columns, None
    return columns, parse_times(pl.Series(TIME, list(columns.pop(TIME)), strict=False), TIME)[0]


def query_columns(
    given: Mapping[str, Sequence[Any]],
    kinds: Mapping[str, Kind],
    like: Mapping[str, Column] = MappingProxyType({}),
) -> dict[str, Column]:
    """Read the caller's columns with the kinds that they had in training, where that is known."""
    raw = {
        name: series_of(name, list(one), "the questions", NO_KEYS) for name, one in given.items()
    }
    return {
        name: column_from_values(name, values, kinds.get(name), like.get(name))
        for name, values in raw.items()
    }


def user_columns(
    given: Mapping[str, Sequence[Any]], known: Mapping[str, Column]
) -> dict[str, Column]:
    """Read features of people as the `known` ones were read.

    Raises
    ------
    ConfigError
        If a name is none of the user features.
    """
    for name in given:
        if known and name not in known:
            raise ConfigError(f"no user feature {name!r}; {did_you_mean(name, known)}")
    return query_columns(given, {name: kind_of(one) for name, one in known.items()}, known)


def by_column(given: Any, what: str) -> Mapping[str, Sequence[Any]]:
    """Return columns by name, of a mapping or a frame.

    Raises
    ------
    DataError
        If it is neither.
    """
    if given is None or isinstance(given, Mapping):
        return given or {}
    return as_frame(given, what).to_dict(as_series=False)


def several(users: Ids | None) -> None:
    """Refuse a single id where a list of them is asked for.

    Raises
    ------
    ConfigError
        Saying how to write it.
    """
    if isinstance(users, str | int):
        raise ConfigError(
            f"users must be a list of ids; got the single id {users!r}: write [{users!r}]"
        )
