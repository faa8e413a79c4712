"""Sets of (user, item) pairs of logs that are kept in the order of the users."""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._jit import kernel
from twofold.typing import F64, I32, I64, U8, Bool

GROUPS = 64
"""Groups of users that share a buffer; does not change any value."""


@kernel(parallel=True, fastmath=False)
def number_within(indptr: I64, item: I32, number: I64, count: I64) -> None:
    """Number the distinct items of each user in ascending order.

    Parameters
    ----------
    indptr, item : shapes (n_users + 1,), (n,)
        The items of each user's events.
    number : shape (n,)
        Filled with the number of each event's item among the user's distinct ones, from 0.
    count : shape (n_users,)
        Filled with how many distinct items each user has.
    """
    for user in prange(len(count)):
        start, stop = indptr[user], indptr[user + 1]
        keys = np.empty(stop - start, np.int64)
        for at in range(stop - start):
            keys[at] = (np.int64(item[start + at]) << 32) | at
        keys = np.sort(keys)
        distinct = -1
        last = np.int64(-1)
        for at in range(stop - start):
            if (keys[at] >> 32) != last:
                last = keys[at] >> 32
                distinct += 1
            number[start + (keys[at] & 0xFFFFFFFF)] = distinct
        count[user] = distinct + 1


@kernel(parallel=True, fastmath=False)
def rank_within_runs(indptr: I64, key: F64, rank: I64) -> None:
    """Fill `rank` (n,) with the rank of each key in its run indptr[r] ... indptr[r + 1], from 0."""
    for run in prange(len(indptr) - 1):
        start, stop = indptr[run], indptr[run + 1]
        order = np.argsort(key[start:stop], kind="mergesort")
        for place in range(stop - start):
            rank[start + order[place]] = place


@kernel(parallel=True, fastmath=False)
def mark_shared(
    indptr: I64, item: I32, users: I32, items: I32, n_items: int, their_indptr: I64, their_item: I32,
    shared: Bool,
) -> None:  # fmt: skip
    """Say for each event of one log whether another log has its pair.

    Parameters
    ----------
    indptr, item : shapes (n_users + 1,), (n,)
        The events of the one log.
    users, items : shapes (n_users,), (own n_items,)
        Their rows in the other log, -1 where it does not know them.
    n_items
        Number of items of the other log.
    their_indptr, their_item
        The events of the other log.
    shared : shape (n,)
        Filled.
    """
    n = len(users)
    for group in prange(GROUPS):
        owner = np.full(n_items, -1, np.int32)
        for user in range(group * n // GROUPS, (group + 1) * n // GROUPS):
            other = users[user]
            if other >= 0:
                for at in range(their_indptr[other], their_indptr[other + 1]):
                    owner[their_item[at]] = user
            for at in range(indptr[user], indptr[user + 1]):
                row = items[item[at]]
                shared[at] = other >= 0 and row >= 0 and owner[row] == user


@kernel(parallel=True, fastmath=False)
def mark_same_time(
    indptr: I64, item: I32, time: I64, users: I32, items: I32, their_indptr: I64, their_item: I32,
    their_time: I64, shared: Bool,
) -> None:  # fmt: skip
    """Keep `shared` true only where the other log has the pair at the same time; see `mark_shared`.

    The other log's times ascend within a user.
    """
    for user in prange(len(users)):
        for at in range(indptr[user], indptr[user + 1]):
            if not shared[at]:
                continue
            begin, end = their_indptr[users[user]], their_indptr[users[user] + 1]
            place = begin + np.searchsorted(their_time[begin:end], time[at])
            found = False
            while place < end and their_time[place] == time[at] and not found:
                found = their_item[place] == items[item[at]]
                place += 1
            shared[at] = found


@kernel(parallel=True, fastmath=False)
def mark_repeated(indptr: I64, item: I32, n_items: int, part: U8, repeated: Bool) -> None:
    """Say for each event whether its pair occurs in an earlier part.

    Parameters
    ----------
    indptr, item : shapes (n_users + 1,), (n,)
        The log.
    n_items
        Number of items.
    part : shape (n,)
        The part of each event; earlier parts have smaller numbers.
    repeated : shape (n,)
        Filled.
    """
    n = len(indptr) - 1
    for group in prange(GROUPS):
        earliest = np.full(n_items, 255, np.uint8)
        for user in range(group * n // GROUPS, (group + 1) * n // GROUPS):
            for at in range(indptr[user], indptr[user + 1]):
                earliest[item[at]] = min(earliest[item[at]], part[at])
            for at in range(indptr[user], indptr[user + 1]):
                repeated[at] = earliest[item[at]] < part[at]
            for at in range(indptr[user], indptr[user + 1]):
                earliest[item[at]] = 255
