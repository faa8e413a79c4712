"""Times of any usual writing to seconds since 1970 UTC; one column has one format."""

from __future__ import annotations

import calendar
import re
from typing import NamedTuple

import numpy as np
import polars as pl

from twofold.data.columns import NO_TIME
from twofold.data.names import MISSING, NUMBER
from twofold.data.vocabulary import is_text
from twofold.errors import DataError
from twofold.typing import F64, I64, Bool

UNITS: tuple[tuple[float, int, str], ...] = (
    (1e11, 1, "seconds"),
    (1e14, 1_000, "milliseconds"),
    (1e17, 1_000_000, "microseconds"),
    (np.inf, 1_000_000_000, "nanoseconds"),
)
"""Numbers below the limit are so many to the second: 10^11 seconds is the year 5138, 10^11 ms 1973."""
MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
CLOCK = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
)
ZONE = r"(?: ?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})(?: \(?[A-Z]{3,4}\)?)?)?"
MONTH = r"(?P<month>[A-Za-z]{3})[a-z]*"


MOST_AHEAD = 18 * 3_600
"""Seconds that local time is from UTC, at most; the widest in use is 14 hours."""


class Format(NamedTuple):
    """One way to write a time."""

    name: str
    pattern: str


FORMATS: tuple[Format, ...] = (
    Format("year-month-day", r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + CLOCK + ZONE),
    Format("day.month.year", r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})" + CLOCK + ZONE),
    Format("day or month first", r"(?P<first>\d{1,2})[-/](?P<second_part>\d{1,2})[-/](?P<year>\d{4})" + CLOCK + ZONE),
    Format("month day, year", r"(?P<month>\d{1,2}) (?P<day>\d{1,2}), (?P<year>\d{4})" + CLOCK + ZONE),
    Format("day month year in words", r"(?:[A-Za-z]{3,9},? )?(?P<day>\d{1,2})[- ]" + MONTH + r"[- ,]+(?P<year>\d{4})" + CLOCK + ZONE),
    Format("month day, year in words", r"(?:[A-Za-z]{3,9},? )?" + MONTH + r" (?P<day>\d{1,2}),? (?P<year>\d{4})" + CLOCK + ZONE),
    Format(
        "weekday month day time year",
        r"(?:[A-Za-z]{3} )?" + MONTH + r" +(?P<day>\d{1,2}) (?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})"
        r"(?: (?P<zone>Z|UTC|GMT|[+-]\d{4}))? (?P<year>\d{4})",
    ),
)  # fmt: skip
"""How written times may look; days and months in figures are told apart by the numbers above 12."""
QUICK = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.fZ",
)
"""Formats that polars reads in one pass."""
QUICK_LOOK = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z?)?$"


def parse_times(values: pl.Series, what: str) -> tuple[I64, list[str]]:
    """Read times as seconds since 1970 UTC, ``NO_TIME`` where missing; also say what was assumed.

    Parameters
    ----------
    values
        Dates, datetimes, epoch numbers (seconds, milli-, micro- or nanoseconds, by their size),
        numbers 20241231 or 20241231235959, or text: those numbers, ISO 8601, or one of ``FORMATS``.
        Without a zone a time is UTC.
    what
        The column, for messages.

    Raises
    ------
    DataError
        If a value cannot be read, formats are mixed, or day and month cannot be told apart.
    """
    kind = values.dtype
    if kind == pl.Null or not len(values):
        return np.full(len(values), NO_TIME, np.int64), []
    if is_text(kind):
        text = values.cast(pl.String).str.strip_chars()
        text = text.set(text.is_in(list(MISSING)), None)
        known = text.drop_nulls()
        if not len(known):
            return np.full(len(values), NO_TIME, np.int64), []
        if known.head(100).str.contains(NUMBER).all() and known.str.contains(NUMBER).all():
            whole = text.cast(pl.Int64, strict=False)
            exact = whole.null_count() == text.null_count()
            return _of_numbers(whole if exact else text.cast(pl.Float64), what)
        return _of_text(text, what)
    if kind == pl.Date or isinstance(kind, pl.Datetime):
        whole = values.cast(pl.Datetime("us")) if kind == pl.Date else values
        if getattr(kind, "time_zone", None) is not None:
            whole = whole.dt.convert_time_zone("UTC")
        return whole.dt.epoch("s").fill_null(NO_TIME).to_numpy().astype(np.int64), []
    if not kind.is_numeric():
        raise DataError(f"{what} must hold times; got values of type {kind}")
    return _of_numbers(values, what)


def without(what: str) -> str:
    """Say how the column `what` is left out, if it is the time of a log."""
    is_of_log = what.startswith("time column")
    return ', or read the log without times (time="", --time -)' if is_of_log else ""


def _of_numbers(values: pl.Series, what: str) -> tuple[I64, list[str]]:
    """Read epoch numbers and dates that are written as one number."""
    raw = values.fill_nan(None) if values.dtype.is_float() else values
    known = raw.drop_nulls()
    if not len(known):
        return np.full(len(values), NO_TIME, np.int64), []
    if known.dtype.is_integer():
        size = np.abs(known.to_numpy().astype(np.float64))
    else:
        size = np.abs(known.cast(pl.Float64).to_numpy())
        if np.isinf(size).any():
            raise DataError(f"{what} must hold times; got an infinite number: correct or remove it")
    low, high = float(size[size > 0].min(initial=np.inf)), float(size.max())
    if low > 19_000_000 and high < 1e14 and known.dtype.is_integer():
        dated = _of_digits(raw, known, what)
        if dated is not None:
            return dated
    at = int(np.searchsorted([limit for limit, _, _ in UNITS], high, side="right"))
    least = UNITS[at - 1][0] if at else 0.0
    _, per_second, unit = UNITS[at]
    if at and low < least:
        absolute = raw.cast(pl.Float64).abs().fill_null(0.0).to_numpy()
        row, seen = first_bad(raw, (absolute < least) & (absolute > 0))
        other, unlike = first_bad(raw, absolute >= least)
        raise DataError(
            f"{what} mixes formats: {seen!r} in row {row:,} does not read as {unit} and {unlike!r} in row "
            f"{other:,} does; use one"
        )
    notes = [f"{what} was read as {unit} since 1970"] if at else []
    if raw.dtype.is_integer():
        whole = raw.cast(pl.Int64, strict=False)
        whole = whole // per_second if at else whole
    else:
        whole = (raw.cast(pl.Float64) / per_second).floor().cast(pl.Int64, strict=False)
    if whole.null_count() > raw.null_count():
        row, seen = first_bad(raw, (whole.is_null() & raw.is_not_null()).to_numpy())
        raise DataError(
            f"{what} must hold times; got {seen!r} in row {row:,}, which no 64 bits hold: correct it"
        )
    if whole.null_count():
        whole = whole.fill_null(NO_TIME)
    return whole.to_numpy().astype(np.int64, copy=False), notes


def _of_digits(raw: pl.Series, known: pl.Series, what: str) -> tuple[I64, list[str]] | None:
    """Read numbers such as 20241231 and 20241231235959; None where they are no dates."""
    digits = known.cast(pl.Int64).to_numpy()
    clock = np.zeros(len(digits), np.int64)
    if digits.min() >= 19_000_101_000_000 and digits.max() <= 21_001_231_235_959:
        digits, clock = np.divmod(digits, 1_000_000)
    elif digits.min() < 19_000_101 or digits.max() > 21_001_231:
        return None
    year, rest = np.divmod(digits, 10_000)
    month, day = np.divmod(rest, 100)
    hour, rest = np.divmod(clock, 10_000)
    minute, second = np.divmod(rest, 100)
    made, good = seconds_of(year, month, day, hour, minute, second)
    if not good.all():
        return None
    whole = np.full(len(raw), NO_TIME, np.int64)
    whole[raw.is_not_null().to_numpy()] = made
    return whole, [f"{what} was read as dates that are written as one number"]


def _of_text(text: pl.Series, what: str) -> tuple[I64, list[str]]:
    """Read written times."""
    if bool(text.str.contains(QUICK_LOOK).all()):
        for form in QUICK:
            made = text.str.to_datetime(form, time_unit="us", strict=False)
            if made.null_count() == text.null_count():
                return made.dt.epoch("s").fill_null(NO_TIME).to_numpy().astype(np.int64), []
    unique = text.drop_nulls().unique(maintain_order=True)
    form, zoned = _format_of(unique, text, what)
    parts = unique.str.extract_groups(f"^{form.pattern}$").struct.unnest()
    cells = {name: parts[name] for name in parts.columns}
    notes: list[str] = []
    if "first" in cells:
        cells |= _days_and_months(cells, text, what, notes)
    if form.pattern.count(MONTH):
        cells["month"] = cells["month"].str.to_lowercase().replace_strict(MONTHS, default=None)
    numbers = {name: _integers(cells.get(name), len(unique)) for name in PARTS}
    hour = numbers["hour"]
    if "half" in cells:
        half = cells["half"].str.to_lowercase().to_list()
        late = np.array([one == "p" for one in half])
        named = np.array([one is not None for one in half])
        hour = np.where(named, hour % 12 + 12 * late, hour)
    made, good = seconds_of(
        numbers["year"], numbers["month"], numbers["day"], hour, numbers["minute"], numbers["second"]
    )  # fmt: skip
    if not good.all():
        odd = unique[int(np.flatnonzero(~good)[0])]
        row, seen = first_bad(text, (text == odd).fill_null(value=False).to_numpy())
        raise DataError(f"{what} must hold dates that exist; got {seen!r} in row {row:,}")
    if zoned:
        ahead = _offsets(cells["zone"])
        far = np.flatnonzero(np.abs(ahead) > MOST_AHEAD)
        if len(far):
            odd = unique[int(far[0])]
            row, seen = first_bad(text, (text == odd).fill_null(value=False).to_numpy())
            raise DataError(
                f"{what} must hold times within {MOST_AHEAD // 3_600} hours of UTC; got {seen!r} in row {row:,}"
            )
        made = made - ahead
        if len(several := np.unique(ahead)) > 1:
            named = " and ".join(f"{one / 3_600:+g}" for one in (several[0], several[-1]))
            notes.append(
                f"{what} has times of several zones ({named} hours from UTC) and was read in UTC: for local hours "
                "keep the minutes from UTC in a column of their own"
            )
    whole = text.replace_strict(unique, pl.Series(made), return_dtype=pl.Int64, default=None)
    return whole.fill_null(NO_TIME).to_numpy().astype(np.int64), notes


PARTS = ("year", "month", "day", "hour", "minute", "second")


def _format_of(unique: pl.Series, text: pl.Series, what: str) -> tuple[Format, bool]:
    """Return the one format of a column, and whether its times have zones."""
    figures = unique.str.contains(NUMBER)
    if figures[0]:
        row, seen = first_bad(text, text.is_not_null().to_numpy())
        odd = str(unique.filter(~figures)[0])
        at, _ = first_bad(text, (text == odd).fill_null(value=False).to_numpy())
        raise DataError(
            f"{what} mixes formats: {seen!r} in row {row:,} and {odd!r} in row {at:,}; use one"
        )
    first = str(unique[0])
    form = next((one for one in FORMATS if re.fullmatch(one.pattern, first)), None)
    if form is None:
        row, seen = first_bad(text, text.is_not_null().to_numpy())
        raise DataError(
            f"{what} must hold epoch numbers or dates such as 2024-12-31T23:59:59; got {seen!r} in row "
            f"{row:,}: write it so{without(what)}"
        )
    zone = re.fullmatch(form.pattern, first)
    zoned = zone is not None and zone.groupdict().get("zone") is not None
    matched = unique.str.contains(f"^{form.pattern}$")
    fits = matched
    if "?P<zone>" in form.pattern and matched.all():
        named = unique.str.extract(f"^{form.pattern}$", _group(form.pattern, "zone")).is_not_null()
        fits = named if zoned else ~named
    if not fits.all():
        odd = str(unique.filter(~fits)[0])
        at, _ = first_bad(text, (text == odd).fill_null(value=False).to_numpy())
        row, seen = first_bad(text, (text == first).fill_null(value=False).to_numpy())
        readable = re.match(NUMBER, odd) or any(re.fullmatch(one.pattern, odd) for one in FORMATS)
        if readable:
            raise DataError(
                f"{what} mixes formats: {seen!r} in row {row:,} and {odd!r} in row {at:,}; use one"
            )
        raise DataError(
            f"{what} must hold dates such as {seen!r} in row {row:,}; got {odd!r} in row {at:,}"
        )
    return form, zoned


def _group(pattern: str, name: str) -> int:
    return re.compile(pattern).groupindex[name]


def _days_and_months(
    cells: dict[str, pl.Series], text: pl.Series, what: str, notes: list[str]
) -> dict[str, pl.Series]:
    """Tell days from months in figures: a day is what is above 12 somewhere in the column."""
    one, two = cells["first"].cast(pl.Int64), cells["second_part"].cast(pl.Int64)
    day_first, month_first = bool((one > 12).any()), bool((two > 12).any())
    seen = next(str(value) for value in text if value is not None)
    if day_first == month_first:
        said = (
            "has days first and days second"
            if day_first
            else "does not tell days from months, none is above 12"
        )
        raise DataError(f"{what} {said} (as in {seen!r}); write dates as 2024-12-31{without(what)}")
    notes.append(f"{what} was read with the {'day' if day_first else 'month'} first, as in {seen}")
    return {"day": one, "month": two} if day_first else {"day": two, "month": one}


def _integers(cells: pl.Series | None, n: int) -> I64:
    if cells is None:
        return np.zeros(n, np.int64)
    return cells.cast(pl.Int64).fill_null(0).to_numpy().astype(np.int64)


def seconds_of(
    year: I64, month: I64, day: I64, hour: I64, minute: I64, second: I64
) -> tuple[I64, Bool]:
    """Return seconds since 1970 of calendar times, shape (n,), and which of them exist; second 60 counts."""
    good = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second <= 60)
    months = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    start, end = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    good &= day <= (end - start).astype(np.int64)
    days = start.astype(np.int64) + day - 1
    return days * 86_400 + hour * 3_600 + minute * 60 + second, np.asarray(good, np.bool_)


def _offsets(zones: pl.Series) -> I64:
    """Return how many seconds each zone is ahead of UTC; more than MOST_AHEAD where it is none."""
    found: dict[str, int] = {}
    for zone in zones.unique().to_list():
        digits = re.sub(r"\D", "", zone).ljust(4, "0")
        sign = -1 if zone.startswith("-") else 1
        named = zone in {"Z", "UTC", "GMT"}
        hours, minutes = (0, 0) if named else (int(digits[:2]), int(digits[2:]))
        found[zone] = sign * (hours * 3_600 + minutes * 60) if minutes < 60 else MOST_AHEAD + 1
    return np.array([found[one] for one in zones.to_list()], np.int64)


def first_bad(values: pl.Series, bad: Bool | F64) -> tuple[int, object]:
    """Return the row number and the value of the first row where `bad`."""
    row = int(np.flatnonzero(bad)[0])
    return row, values[row]
