"""Values that are read and that may not mean what an event does."""

from __future__ import annotations

from twofold.typing import F32

RARE = 0.25
"""Share of the values from which those below 0 are a scale of their own, such as -10 to 10."""


def below_zero(values: F32) -> str | None:
    """Say how many of the values (n,) are negative where few are, as those of returns or of ratings that are missing.

    Example
    -------
    >>> below_zero(np.array([2, 1, 5, 3, -1], np.float32))
    '1 of 5 values lies below 0, the lowest -1, and its event counts like any other'
    >>> below_zero(np.array([-4, 8, -10], np.float32))
    """
    few = int((values < 0).sum())
    if not 0 < few <= RARE * len(values):
        return None
    verb, whose = ("lies", "its event counts") if few == 1 else ("lie", "their events count")
    return f"{few:,} of {len(values):,} values {verb} below 0, the lowest {values.min():g}, and {whose} like any other"
