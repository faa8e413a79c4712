"""Friends of users in JNTM: the odds of pairs, and the likeliest friends that are not known yet."""

from __future__ import annotations

import numpy as np

from twofold.data.entities import Links
from twofold.index.exact import top_k
from twofold.rank import BLOCK_BYTES
from twofold.typing import F32, I32, I64


def friends_of(links: Links, n_users: int, *, directed: bool) -> tuple[I64, I32]:
    """Return the distinct friends of every user without the user, ascending: ends (n_users + 1,) and rows."""
    source, target = links.source, links.target
    if not directed:
        source, target = np.concatenate([source, target]), np.concatenate([target, source])
    apart = source != target
    pair = np.unique(source[apart].astype(np.int64) * n_users + target[apart])
    owner, friend = np.divmod(pair, max(n_users, 1))
    ends = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n_users))])
    return ends.astype(np.int64), friend.astype(np.int32)


def sides(network: F32, context: F32, *, directed: bool) -> tuple[F32, F32]:
    """Return vectors of users whose product is C_j . F_i, or its mean over both directions; (n, d) or (n, 2 d)."""
    if directed:
        return network, context
    half = np.float32(0.5)
    return np.hstack([half * network, half * context]), np.hstack([context, network])


def likeliest(
    left: F32, right: F32, friends: tuple[I64, I32], users: I32, k: int
) -> tuple[I32, F32]:
    """Return the `k` users with the largest product, friends and oneself left out, and the products; (n, k).

    left, right (n_users, d) are from `sides`; friend -1 and -inf where candidates ran out. Ties go to the lower row.
    """
    ends, known = friends
    k = min(k, len(left))
    found, best = np.empty((len(users), k), np.int32), np.empty((len(users), k), np.float32)
    step = max(1, BLOCK_BYTES // (4 * max(len(left), 1)))
    for start in range(0, len(users), step):
        some = users[start : start + step]
        hidden = [np.append(known[ends[one] : ends[one + 1]], one) for one in some]
        at = np.concatenate([[0], np.cumsum([len(one) for one in hidden])]).astype(np.int64)
        flat = np.concatenate(hidden).astype(np.int32)
        none = np.zeros(0, np.int32)
        rows = slice(start, start + len(some))
        found[rows], best[rows] = top_k(left[some] @ right.T, at, flat, none, k)
    return found, best
