"""A simulated log of impressions whose click probabilities and watch times are known, and what a list or an order of it is worth."""

from __future__ import annotations

import numpy as np

import twofold as tw


def simulated(
    n: int, rng: np.random.Generator, among: int = 40_000
) -> tuple[tw.Dataset, np.ndarray, np.ndarray]:
    """Return n impressions of the first `among` people, whose click probability and mean watch time are known, and both of these."""
    n_users, n_items = 40_000, 100
    user, item = rng.integers(0, among, n), rng.integers(0, n_items, n)
    p, mean = chances(user, item)
    seconds = np.where(rng.random(n) < p, mean * rng.uniform(0.5, 1.5, n), 0)
    data = tw.Dataset.from_frames(
        {"u": user, "i": item, "s": seconds, "t": np.arange(n)}, user="u", item="i", value="s", time="t",
        users={"u": range(n_users), "taste": [str(one % 4) for one in range(n_users)]},
        user_features={"taste": "category"},
        items={"i": range(n_items), "kind": [str(one % 4) for one in range(n_items)]},
        item_features={"kind": "category"},
    )  # fmt: skip
    return data, p, mean


def chances(user: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of a click and the mean seconds after one."""
    logit = -3.4 + 0.8 * np.where(user % 4 == item % 4, 1.5, -0.5) + 0.3 * (item % 5 - 2)
    return 1 / (1 + np.exp(-logit)), 30.0 * (1 + item % 7)


def seconds_of(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Return the true expected seconds of an impression."""
    p, mean = chances(user, item)
    return p * mean


def gained(truth: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Return ndcg of lists (n, k) of items whose gains are `truth` (n, n_items); shape (n,)."""
    discount = 1 / np.log2(np.arange(2, lists.shape[1] + 2))
    ideal = -np.sort(-truth, axis=1)[:, : lists.shape[1]]
    return (np.take_along_axis(truth, lists, axis=1) @ discount) / (ideal @ discount)


def mispredicted(scores: np.ndarray, seconds: np.ndarray, user: np.ndarray) -> float:
    """Return the share of watch time, over pairs of one user, whose impression scores below one that was passed by."""
    order = np.lexsort((scores, user))
    watched, whose = seconds[order] > 0, user[order]
    passed = np.cumsum(~watched)
    first = np.searchsorted(whose, whose)
    last = np.searchsorted(whose, whose, side="right") - 1
    before = np.where(first > 0, passed[np.maximum(first - 1, 0)], 0)
    in_all = passed[last] - before
    above = passed[last] - passed  # passed by, with a higher score
    time_of = seconds[order].astype(np.float64)
    return float((time_of * above)[watched].sum() / (time_of * in_all)[watched].sum())
