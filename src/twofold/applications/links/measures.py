"""What is known of two people: friends in common, walks between them, places that both visit.

Each function takes pairs of rows (p, 2) and returns one number a pair, float64. Sources: Liben-Nowell &
Kleinberg (2007), "The Link-Prediction Problem for Social Networks", JASIST 58(7), section 3, for those on
the graph; Scellato, Noulas & Mascolo (2011), "Exploiting Place Features in Link Prediction on
Location-Based Social Networks", KDD, for those on places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array

from twofold.applications.links.graph import Graph
from twofold.data.columns import Bag, Category
from twofold.data.dataset import Dataset
from twofold.kernels.row_products import row_products
from twofold.typing import F64, I32, I64

DECAY, STEPS = 0.85, 6
"""A random walk goes on with this chance, and is followed so far."""
LEAST = 1e-7
"""Chance below which walks are not told apart."""
HOUR, WEEK = 3600, 168
"""Seconds of an hour, hours of a week."""


def products(one: csr_array, other: csr_array, pairs: I32) -> F64:
    """Return the inner product of row a of `one` with row b of `other` for each pair (a, b)."""
    out = np.empty(len(pairs))
    left, right = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    row_products(*_parts(one), *_parts(other), left, right, out)
    return out


def _parts(matrix: csr_array) -> tuple[I64, I32, F64]:
    """Return ends, columns (ascending within each row) and values."""
    matrix.sort_indices()
    return (
        np.asarray(matrix.indptr, np.int64),
        np.asarray(matrix.indices, np.int32),
        np.asarray(matrix.data, np.float64),
    )


def scaled(matrix: csr_array, columns: F64) -> csr_array:
    """Return a matrix (n, m) with each column multiplied by its weight (m,)."""
    return csr_array(matrix @ diags_array(columns))


# ---- on the graph ---------------------------------------------------------------------------------


def common_neighbours(graph: Graph, pairs: I32) -> F64:
    """Return |N(a) and N(b)|, the number of friends in common."""
    return products(graph.matrix, graph.matrix, pairs)


def adamic_adar(graph: Graph, pairs: I32) -> F64:
    """Return the sum of 1 / log |N(c)| over the friends c in common: rare friends tell more."""
    weight = 1.0 / np.log(np.maximum(graph.degrees, 2))  # a friend in common has two friends
    return products(scaled(graph.matrix, weight), graph.matrix, pairs)


def jaccard(graph: Graph, pairs: I32) -> F64:
    """Return |N(a) and N(b)| / |N(a) or N(b)|; 0 where neither has a friend."""
    both = common_neighbours(graph, pairs)
    either = graph.degrees[pairs].sum(axis=1) - both
    return np.divide(both, either, out=np.zeros(len(pairs)), where=either > 0)


def degree_product(graph: Graph, pairs: I32) -> F64:
    """Return |N(a)| |N(b)|: preferential attachment."""
    return graph.degrees[pairs].prod(axis=1).astype(np.float64)


def degree_sum(graph: Graph, pairs: I32) -> F64:
    """Return |N(a)| + |N(b)|."""
    return graph.degrees[pairs].sum(axis=1).astype(np.float64)


def paths_of_three(graph: Graph, pairs: I32) -> F64:
    """Return the number of walks of three steps from a to b."""
    return graph.walks(pairs, np.ones(graph.n), np.array([0.0, 0.0, 1.0]))


def rooted_pagerank(graph: Graph, pairs: I32) -> F64:
    """Return how often random walks from a come to b and from b to a, the geometric mean of both.

    A walk goes on with chance ``DECAY`` and is followed for ``STEPS`` steps: the sum over t of
    DECAY^t (D^-1 A)^t_ab, times sqrt(deg a / deg b), which makes it the same both ways.
    """
    degrees = np.maximum(graph.degrees, 1).astype(np.float64)
    one_way = graph.walks(
        pairs, 1.0 / degrees, np.array([DECAY**step for step in range(1, STEPS + 1)])
    )
    return one_way * np.sqrt(degrees[pairs[:, 0]] / degrees[pairs[:, 1]])


GRAPH: Mapping[str, Callable[[Graph, I32], F64]] = {
    "common_neighbours": common_neighbours,
    "adamic_adar": adamic_adar,
    "jaccard": jaccard,
    "degree_product": degree_product,
    "degree_sum": degree_sum,
    "paths_of_three": paths_of_three,
    "rooted_pagerank": rooted_pagerank,
}
"""Measures on the graph by name."""


# ---- on what people do ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Places:
    """What people did: the items of each (places, artists, films), their kinds and hours."""

    visits: csr_array  # (n, m) 1 where somebody was at an item
    rarity: F64  # (m,) 1 / log(1 + visitors)
    kinds: csr_array | None  # (n, levels) unit rows: log(1 + visits) by category or tag of the item
    hours: csr_array | None  # (n, 168) unit rows: visits by hour of the week, UTC
    meetings: csr_array | None  # (n, keys) 1 where somebody was at an item within an hour

    @classmethod
    def of(cls, data: Dataset) -> Places:
        """Count what the log of `data` says of each person."""
        events = data.interactions
        n = data.n_users
        visits = _ones(n, events.user, events.item.astype(np.int64), data.n_items)
        visitors = np.bincount(visits.indices, minlength=data.n_items)
        hours = meetings = None
        if events.time is not None:
            hour = events.time // HOUR
            hours = _counts(n, events.user, hour % WEEK, WEEK)
            _, met = np.unique(
                np.column_stack([events.item.astype(np.int64), hour]), axis=0, return_inverse=True
            )
            meetings = _ones(n, events.user, met.ravel(), int(met.max(initial=-1)) + 1)
        kinds = None
        found = [one for one in data.items.features.values() if isinstance(one, Category | Bag)]
        if found and len(found[0].levels):
            of_item = _levels(found[0])
            counted = _counts(n, events.user, events.item.astype(np.int64), data.n_items)
            kinds = unit_rows(_logarithms(csr_array(counted @ of_item)))
        return cls(
            visits,
            1.0 / np.log1p(np.maximum(visitors, 1)),
            kinds,
            None if hours is None else unit_rows(hours),
            meetings,
        )

    def shared(self, pairs: I32) -> F64:
        """Return the number of items that both have."""
        return products(self.visits, self.visits, pairs)

    def shared_by_rarity(self, pairs: I32) -> F64:
        """Return the sum of 1 / log(1 + visitors) over the items that both have."""
        return products(scaled(self.visits, self.rarity), self.visits, pairs)

    def like_friends(self, graph: Graph, pairs: I32) -> F64:
        """Return how like the items of each are to those of the other's friends.

        The sum over the friends f of b of the cosine of a and f, by rarity, and the other way round.
        """
        own = unit_rows(scaled(self.visits, self.rarity))
        of_friends = csr_array(graph.matrix @ own)
        return products(own, of_friends, pairs) + products(of_friends, own, pairs)


def unit_rows(matrix: csr_array) -> csr_array:
    """Return a matrix with rows of length 1; rows of zeros stay."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return csr_array(diags_array(1.0 / np.where(lengths > 0, lengths, 1.0)) @ matrix)


def _logarithms(matrix: csr_array) -> csr_array:
    """Return log(1 + x) of every entry of a matrix (n, m)."""
    ends = (np.log1p(matrix.data), matrix.indices, matrix.indptr)
    return csr_array(ends, shape=matrix.shape)


def _counts(n: int, user: I32, column: I64, width: int) -> csr_array:
    made = csr_array((np.ones(len(user)), (user, column)), shape=(n, width))
    made.sum_duplicates()
    return made


def _ones(n: int, user: I32, column: I64, width: int) -> csr_array:
    made = _counts(n, user, column, width)
    made.data[:] = 1.0
    return made


def _levels(column: Category | Bag) -> csr_array:
    """Return 1 where an item (m,) has a level; shape (m, levels)."""
    if isinstance(column, Bag):
        made = csr_array(column.matrix(), dtype=np.float64)
        made.data[:] = 1.0
        return made
    has = np.flatnonzero(column.codes >= 0)
    shape = (len(column.codes), len(column.levels))
    return csr_array((np.ones(len(has)), (has, column.codes[has])), shape=shape)


# ---- features of a pair ---------------------------------------------------------------------------

FEATURES: Mapping[str, str] = {
    "common_neighbours": "log(1 + friends in common)",
    "adamic_adar": "log(1 + Adamic and Adar's sum)",
    "fewer_friends": "log(1 + friends) of the one who has fewer",
    "more_friends": "log(1 + friends) of the one who has more",
    "paths_of_three": "log(1 + walks of three steps)",
    "rooted_pagerank": "log of the chance that random walks join the two",
    "shared_by_rarity": "log(1 + items that both have, rare ones weighing more)",
    "like_friends": "log(1 + likeness of each one's items to those of the other's friends)",
    "fewer_items": "log(1 + items) of the one who has fewer",
    "more_items": "log(1 + items) of the one who has more",
    "kinds": "cosine of the kinds of their items, where items have a category or tags",
    "hours": "cosine of their hours of the week, where the log has times",
    "meetings": "log(1 + times at the same item within the same hour), where the log has times",
}
"""What `Friendship` knows of a pair, by name."""


def pair_features(graph: Graph, places: Places, pairs: I32) -> dict[str, F64]:
    """Return the `FEATURES` of each pair; those that the log cannot tell are left out."""
    friends = np.log1p(np.sort(graph.degrees[pairs], axis=1))
    items = np.log1p(np.sort(np.diff(places.visits.indptr)[pairs], axis=1))
    made = {
        "common_neighbours": np.log1p(common_neighbours(graph, pairs)),
        "adamic_adar": np.log1p(adamic_adar(graph, pairs)),
        "fewer_friends": friends[:, 0],
        "more_friends": friends[:, 1],
        "paths_of_three": np.log1p(paths_of_three(graph, pairs)),
        "rooted_pagerank": np.log(LEAST + rooted_pagerank(graph, pairs)),
        "shared_by_rarity": np.log1p(places.shared_by_rarity(pairs)),
        "like_friends": np.log1p(places.like_friends(graph, pairs)),
        "fewer_items": items[:, 0],
        "more_items": items[:, 1],
    }
    if places.kinds is not None:
        made["kinds"] = products(places.kinds, places.kinds, pairs)
    if places.hours is not None:
        made["hours"] = products(places.hours, places.hours, pairs)
    if places.meetings is not None:
        made["meetings"] = np.log1p(products(places.meetings, places.meetings, pairs))
    return made
