"""Values that are read and that may not mean what an event does."""

from __future__ import annotations

from twofold.typing import F32

MANY = 0.1
"""Share of zeros from which they are no rare rating."""
RARE = 0.25
"""Share of the values from which those below 0 are a scale of their own, such as -10 to 10."""


def odd_notes(values: F32) -> list[str]:
    """Return what there is to say of the values (n,) of a log."""
    return [odd for odd in (below_zero(values), passed_by(values)) if odd]


def odd_values(values: F32) -> list[str]:
    """Return what there is to say of the values (n,) of a log, with what to do, a sentence each."""
    said: list[str] = []
    if odd := below_zero(values):
        said.append(f"{odd}: leave returns and ratings that are missing out with min_value=0 (--min-value 0)")  # fmt: skip
    if odd := passed_by(values):
        least = values[values > 0].min()
        said.append(f"{odd}; leave them out with min_value={least:g} (--min-value {least:g}), or measure with relevant_from")  # fmt: skip
    return said


def below_zero(values: F32) -> str | None:
    """Say how many of the values (n,) are negative where few are, as those of returns or of ratings that are missing.

    Example
    -------
    >>> import numpy as np
    >>> below_zero(np.array([2, 1, 5, 3, -1], np.float32))
    '1 of 5 values lies below 0, the lowest -1, and its event counts like any other'
    >>> below_zero(np.array([-4, 8, -10], np.float32))
    """
    few = int((values < 0).sum())
    if not 0 < few <= RARE * len(values):
        return None
    verb, whose = ("lies", "its event counts") if few == 1 else ("lie", "their events count")
    return f"{few:,} of {len(values):,} values {verb} below 0, the lowest {values.min():g}, and {whose} like any other"


def passed_by(values: F32) -> str | None:
    """Say how many of the values (n,) are 0 where many are and the others lie above, as in a log of what was shown.

    Example
    -------
    >>> import numpy as np
    >>> passed_by(np.array([0, 31, 0, 4.5, 0], np.float32))
    '3 of 5 values are 0: if that says passed by or not rated, only YouTubeRanker reads it so, and others learn these events as taken'
    >>> passed_by(np.array([1, 5, 4], np.float32))
    """
    zeros = int((values == 0).sum())
    if not MANY * len(values) <= zeros < len(values) or not zeros or values.min() < 0:
        return None
    return (
        f"{zeros:,} of {len(values):,} values are 0: if that says passed by or not rated, only YouTubeRanker reads it so, "
        "and others learn these events as taken"
    )
