"""Which columns of a log hold the user, the item, the value and the time, where nobody says it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import polars as pl

from twofold.data.names import INTEGER, NUMBER, TIME, USUAL, near_usual, plain, usual
from twofold.errors import DataError, did_you_mean

ROLES = ("user", "item", "value", "time")
NAMELESS = re.compile(r"^column_\d+$")
"""The name of a column that has none."""
SECONDS = (4e8, 3e9)
"""A column whose numbers all lie between these (1982 and 2065) holds epoch seconds."""
SCALES = (1.0, 1e3, 1e6, 1e9)
"""Seconds, milliseconds, microseconds, nanoseconds."""
COORDINATE = r"^-?\d{1,3}\.\d{3,}$"
"""A degree of latitude or longitude, where two stand side by side."""
USUAL_VALUE = 1000.0
"""A column without a name whose middle number is larger is no rating and no count."""
WIDEST = 20
"""A table without a header that is wider than this is no log of a row an event."""


def roles(
    frame: pl.DataFrame,
    given: Mapping[str, str | None],
    what: str,
    *,
    context: Collection[str] = (),
) -> dict[str, str | None]:
    """Return the columns of user, item, value and time: as given, by usual names, or by what they hold.

    Parameters
    ----------
    frame
        The first rows of the log.
    given
        Role -> column name; None = look for it; the empty string = there is none.
    what
        The file's name, for messages.
    context
        Columns that are read as circumstances, which have no role where none was given.

    Raises
    ------
    DataError
        If a given column is missing, or the user or the item cannot be told.
    """
    columns = frame.columns
    for role, name in given.items():
        if name and name not in columns:
            raise DataError(
                f"{what} has no column {name!r} for the {role}; {did_you_mean(name, columns)}"
            )
    found: dict[str, str | None] = {role: name or None for role, name in given.items()}
    wanted = [role for role, name in given.items() if name is None]
    free = [one for one in columns if one not in found.values() and one not in context]
    texts = {name: as_cells(frame[name]) for name in free}
    if all(NAMELESS.match(one) for one in columns):
        guessed = by_content(texts) if wanted else {}
    else:
        guessed = by_name(texts)
    for role in wanted:
        found[role] = guessed.get(role)
    for role in ("user", "item"):
        if found.get(role) is None:
            wide = (
                "; with one column an item, first turn it into rows of user, item, value"
                if frame.width > WIDEST
                else ""
            )
            raise DataError(
                f"cannot tell which column of {what} holds the {role}: {', '.join(columns[:30])}"
                f"{' ...' if len(columns) > 30 else ''}; say {role}=... (on the command line --{role}){wide}"
            )
    return found


def unread_time(
    frame: pl.DataFrame, given: Mapping[str, str | None], found: Mapping[str, str | None]
) -> list[str]:
    """Return a note of a column that holds times and is not read, where nobody said which is the time and none has a usual name."""
    if given["time"] is not None or found["time"] is not None:
        return []
    free = (one for one in frame.columns if one not in found.values())
    name = next((one for one in free if fits("time", as_cells(frame[one]))), None)
    if name is None:
        return []
    return [
        f"the log is read without times, and its column {name} looks like them; "
        f'name it: time={name!r}, on the command line --time {name!r}; if it is none, time="" (--time -)'
    ]


def as_cells(values: pl.Series) -> pl.Series:
    """Return a column as it would be written, null where missing; lists and objects as nulls."""
    kind = values.dtype
    if isinstance(kind, pl.List | pl.Array | pl.Struct | pl.Object | pl.Binary):
        return pl.Series(values.name, [None] * len(values), dtype=pl.String)
    return values.cast(pl.String).str.strip_chars()


def by_name(texts: Mapping[str, pl.Series]) -> dict[str, str]:
    """Return the columns with usual names, the most usual first, or with names that end like them."""
    found: dict[str, str] = {}
    for role in ROLES:
        named = [name for name in texts if usual(name) == role and not NAMELESS.match(name)]
        named.sort(key=lambda one: (mostly_missing(texts[one]), USUAL[role].index(plain(one))))
        if not named:
            named = [
                name
                for name, cells in texts.items()
                if near_usual(name) == role and name not in found.values() and fits(role, cells)
            ]
            if len(named) > 1 and role != "time":
                named = []
        if named:
            found[role] = named[0]
    return found


def mostly_missing(cells: pl.Series) -> bool:
    """Say whether most cells hold nothing: the user id of a log of anonymous sessions, for example."""
    return 2 * cells.null_count() > len(cells)


def fits(role: str, cells: pl.Series) -> bool:
    """Say whether the cells of a column may be what `role` holds."""
    if role == "value":
        return all_like(cells, NUMBER)
    return role != "time" or all_like(cells, TIME) or is_epoch(cells)


def all_like(cells: pl.Series, pattern: str) -> bool:
    """Say whether every cell that holds something matches, and one does."""
    known = cells.drop_nulls()
    return len(known) > 0 and bool(known.str.contains(pattern).all())


def is_epoch(cells: pl.Series) -> bool:
    """Say whether all cells are numbers in the range of epoch seconds, milliseconds and so on."""
    if not all_like(cells, NUMBER):
        return False
    raw = cells.drop_nulls().cast(pl.Float64).to_numpy()
    low, high = SECONDS
    return any(bool(((raw > low * scale) & (raw < high * scale)).all()) for scale in SCALES)


def by_content(texts: Mapping[str, pl.Series]) -> dict[str, str]:
    """Return the columns of a log without a header.

    The time is the first written date, or else the last column in the range of epoch times; the user is
    the first column, and the item the next, that is neither a time nor one of two neighbours that look like
    latitude and longitude. A value is looked for after the item, unless the time stands before the item or there
    are such neighbours: the first numbers that are no time and are of
    the size of ratings and counts, with nothing but words between.
    """
    names = [name for name, cells in texts.items() if cells.null_count() < len(cells)]
    if len(names) > WIDEST:
        return {}
    found: dict[str, str] = {}
    dates = [name for name in names if all_like(texts[name], TIME)]
    epochs = [name for name in names[1:] if is_epoch(texts[name])]
    times = dates or epochs
    if times and (dates or len(names) - len(epochs) >= 1):
        chosen = times[0] if dates else times[-1]
        if len(names) > 2 or dates:
            found["time"] = chosen
    like = [all_like(texts[name], COORDINATE) for name in names]
    pairs = [at for at in range(len(names) - 1) if like[at] and like[at + 1]]
    degrees = {names[at] for pair in pairs for at in (pair, pair + 1)}
    keys = [
        name
        for name in names
        if name not in dates and name != found.get("time") and name not in degrees
    ]
    found |= dict(zip(("user", "item"), keys, strict=False))
    if "item" not in found:
        return found
    after = names[names.index(found["item"]) + 1 :]
    if found.get("time") not in (None, *after) or degrees.intersection(after):
        return found
    for name in after:
        if name == found.get("time") or not all_like(texts[name], NUMBER):
            if all_like(texts[name], NUMBER):
                break
            continue
        raw = texts[name].drop_nulls().cast(pl.Float64)
        middle = raw.abs().median()
        if isinstance(middle, float) and middle <= USUAL_VALUE:
            found["value"] = name
        break
    last = names[-1]
    in_order = len(names) == 4 and "time" not in found and found.get("value") == names[2]
    if in_order and all_like(texts[last], INTEGER) and texts[last].n_unique() > 1:
        found["time"] = last
    return found
