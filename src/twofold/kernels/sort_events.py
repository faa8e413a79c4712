"""The order of a log: by user, then time, then as read."""

from __future__ import annotations

import numpy as np

from twofold.typing import I32, I64


def order_by_user_and_time(user: I32, time: I64 | None, n_users: int) -> I64:
    """Return the stable order of events (n,) by user, then time where there are times."""
    del n_users
    keys = (user,) if time is None else (time, user)
    return np.lexsort(keys).astype(np.int64)
