"""The order of a log: by user, then time, then as read.

A counting sort by user, then a stable sort of each user's few events where their times do not ascend
already: O(n + sum n_u log n_u), and one pass where the log is in order.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import I32, I64


def order_by_user_and_time(user: I32, time: I64 | None, n_users: int) -> I64:
    """Return the stable order of events (n,) by user, then time where there are times.

    0 <= user < n_users. A missing time is the smallest number and comes first.
    """
    order = np.empty(len(user), np.int64)
    start = np.zeros(n_users + 1, np.int64)
    deal_by_user(user, start, order)
    if time is not None:
        sort_within_users(time, start, order)
    return order


@kernel(fastmath=False)
def deal_by_user(user: I32, start: I64, order: I64) -> None:
    """Fill `order` (n,) with the events user by user, and `start` (n_users + 1,) with where each begins."""
    n_users = len(start) - 1
    for at in range(len(user)):
        start[user[at] + 1] += 1
    for one in range(n_users):
        start[one + 1] += start[one]
    place = start[:n_users].copy()
    for at in range(len(user)):
        one = user[at]
        order[place[one]] = at
        place[one] += 1


@kernel(parallel=True, fastmath=False)
def sort_within_users(time: I64, start: I64, order: I64) -> None:
    """Sort each user's part of `order` by `time`, both (n,); equal times keep their order."""
    for one in prange(len(start) - 1):
        first, last = start[one], start[one + 1]
        ascending = True
        for at in range(first + 1, last):
            if time[order[at]] < time[order[at - 1]]:
                ascending = False
                break
        if ascending:
            continue
        events = order[first:last].copy()
        mine = np.empty(len(events), np.int64)
        for at in range(len(events)):
            mine[at] = time[events[at]]
        by_time = np.argsort(mine, kind="mergesort")
        for at in range(len(events)):
            order[first + at] = events[by_time[at]]
