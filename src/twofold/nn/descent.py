"""Whether training made weights better; without torch, so that the autoencoder of CDL is judged alike."""

from __future__ import annotations

import math

from twofold.errors import NotConvergedError

FAR = 100.0
"""Times the loss of untrained weights above which training made them worse."""


def check_descent(label: str, began: float, loss: float, when: str, advice: str) -> None:
    """Refuse a loss that is not finite, or far above `began`, that before the first step (0 = not known).

    Raises
    ------
    NotConvergedError
        Naming the model, and what to lower.

    Example
    -------
    >>> check_descent("CDL", 3.0, 2.0, "in epoch 1", "lower `learning_rate`")
    """
    if not math.isfinite(loss) or 0 < began * FAR < loss:
        raise NotConvergedError(
            f"{label} diverged: the loss was {began:.3g} before the first step and {loss:.3g} {when}; {advice}"
        )
