"""Moments as TOML writes them, in seconds since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime

from twofold.errors import ConfigError
from twofold.online.logs import LAST_MOMENT

Moment = datetime | date | float | None
"""A time as TOML writes it (without a zone it is UTC), or seconds since 1970."""


def seconds(moment: Moment, default: float) -> float:
    """Return a moment as seconds since 1970 in UTC; `default` for None.

    Example
    -------
    >>> seconds(date(1970, 1, 2), 0.0), seconds(None, 5.0)
    (86400.0, 5.0)
    """
    if moment is None:
        return default
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(moment, date):
        return datetime(moment.year, moment.month, moment.day, tzinfo=UTC).timestamp()
    if abs(moment) > LAST_MOMENT:
        raise ConfigError(f"a moment must be seconds since 1970, before the year 10000; got {moment!r}")  # fmt: skip
    return float(moment)


def written(moment: Moment) -> str | None:
    """Return a moment in UTC as ISO 8601 has it; None for None."""
    return None if moment is None else datetime.fromtimestamp(seconds(moment, 0.0), UTC).isoformat()
