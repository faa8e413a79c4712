"""Friendships that are held out, and pairs of strangers beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twofold.applications.links.graph import Graph, strangers
from twofold.data.dataset import Dataset
from twofold.data.entities import Links
from twofold.data.frames import as_frame
from twofold.data.links import read_links
from twofold.errors import ConfigError, DataError
from twofold.random import generator
from twofold.typing import I32, Bool, Rng

FOLDS = 5
"""Parts of the known friendships that are hidden in turn, to learn from."""
MOST_NEGATIVES = 1000
"""Largest number of pairs of strangers a friendship."""


@dataclass(frozen=True, eq=False)
class LinkSplit:
    """A dataset that knows some friendships, and pairs to tell apart that it does not know."""

    train: Dataset
    """The log as it was, with the known friendships alone."""
    known: Graph
    """The known friendships."""
    pairs: I32
    """Pairs of user rows of `train`, shape (n, 2): the held-out friendships, then strangers."""
    is_link: Bool
    """Which of the pairs are friendships; shape (n,)."""
    notes: tuple[str, ...] = ()
    """What was left out, one sentence each."""

    @property
    def links(self) -> I32:
        """The held-out friendships; shape (m, 2)."""
        return self.pairs[self.is_link]

    @property
    def negatives(self) -> int:
        """Pairs of strangers a friendship."""
        return int((~self.is_link).sum() // max(int(self.is_link.sum()), 1))

    def __str__(self) -> str:
        """Say how large it is."""
        return (
            f"{len(self.links):,} held-out friendships and {int((~self.is_link).sum()):,} pairs of strangers; "
            f"{len(self.known):,} known friendships of {self.known.n:,} people"
        )

    __repr__ = __str__


def split(
    data: Dataset,
    *,
    test: float = 0.2,
    later: Any = None,
    negatives: int = 1,
    rng: Rng = None,
) -> LinkSplit:
    """Hold friendships out, and draw pairs of strangers once.

    Parameters
    ----------
    data
        A dataset with links. A friendship that one side says is one; see docs/applications.md.
    test
        Share of the friendships to hold out at random, between 0 and 1; not used with `later`.
    later
        Friendships of a later day: a frame whose first two columns are user ids. Those that `data`
        does not have are held out, and all of `data` is known.
    negatives
        Pairs of strangers for each held-out friendship, 1 ... 1,000: 1 is the balanced test of papers,
        100 is nearer to what a recommendation of friends meets. Every pair that is friends neither
        now nor later is equally likely.
    rng
        Seed or generator.

    Raises
    ------
    ConfigError
        If `test` or `negatives` is out of range.
    DataError
        If there are no friendships, too few to hold one out, or nothing new in `later`.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": list("abcdef"), "i": [1, 1, 1, 2, 2, 2]}
    >>> friends = {"one": list("abde"), "other": list("bcef")}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", links=friends)
    >>> print(split(data, test=0.25, rng=0))
    1 held-out friendships and 1 pairs of strangers; 3 known friendships of 6 people
    """
    if isinstance(negatives, bool) or not isinstance(negatives, int | np.integer) or not 1 <= negatives <= MOST_NEGATIVES:  # fmt: skip
        raise ConfigError(
            f"negatives must be an integer 1 ... {MOST_NEGATIVES:,}; got {negatives!r}"
        )
    random = generator(rng)
    graph = Graph.of_dataset(data)
    notes: list[str] = []
    if later is None:
        held = _at_random(graph, test, random)
        known, everything = graph.without(held), graph
    else:
        after = read_links(as_frame(later, "the later links"), data.users.ids, notes)
        everything = Graph.of(data.n_users, np.column_stack([after.source, after.target]))
        held = everything.pairs[~graph.has(everything.pairs)]
        known = graph
        if not len(held):
            raise DataError(
                f"the later links hold no friendship of known users that is new ({len(everything):,} "
                "were read); check the columns and the ids"
            )
    apart = strangers(data.n_users, int(negatives) * len(held), (graph, everything), random)
    return LinkSplit(
        train=replace(data, links=directed(known)),
        known=known,
        pairs=np.concatenate([held, apart]),
        is_link=np.arange(len(held) + len(apart)) < len(held),
        notes=tuple(notes),
    )


def directed(graph: Graph) -> Links:
    """Return the friendships as the links of a dataset, in both directions."""
    source = np.repeat(np.arange(graph.n, dtype=np.int32), graph.degrees)
    return Links(source, graph.neighbours)


def _at_random(graph: Graph, test: float, rng: np.random.Generator) -> I32:
    if isinstance(test, bool) or not isinstance(test, float | int) or not 0 < test < 1:
        raise ConfigError(f"test must be a share between 0 and 1; got {test!r}")
    if len(graph) < 2:
        raise DataError("one friendship is too few to hold one out; at least two are needed")
    count = min(max(1, round(test * len(graph))), len(graph) - 1)
    return graph.pairs[np.sort(rng.choice(len(graph), count, replace=False))]


def lessons(graph: Graph, rng: np.random.Generator) -> Iterator[tuple[Graph, I32, Bool]]:
    """Hide each part of the known friendships in turn: the rest, pairs, and which of them are hidden friendships.

    As many pairs of strangers come with each part. Pairs of whom one keeps no friend at all are
    passed over: hiding makes such people, and would teach that having no friends makes friends.

    Raises
    ------
    DataError
        If nothing is left to learn from.
    """
    room = graph.n * (graph.n - 1) // 2 - len(graph)
    if not room:
        raise DataError(
            f"all {graph.n:,} people are friends of each other: nobody is left to learn from as a stranger, or to "
            "recommend; give more people"
        )
    order = rng.permutation(len(graph))
    learnt = False
    for part in range(min(FOLDS, len(graph))):
        hidden = graph.pairs[np.sort(order[part :: min(FOLDS, len(graph))])]
        rest = graph.without(hidden)
        apart = strangers(graph.n, min(len(hidden), room), (graph,), rng)
        pairs = np.concatenate([hidden, apart])
        is_link = np.arange(len(pairs)) < len(hidden)
        fair = (rest.degrees[pairs] > 0).all(axis=1)
        if is_link[fair].any() and not is_link[fair].all():
            learnt = True
            yield rest, pairs[fair], is_link[fair]
    if not learnt:
        raise DataError(
            f"{len(graph):,} known friendship{'s are' if len(graph) > 1 else ' is'} too few to learn from: hiding one "
            "leaves people without any; give more of them, or take a score that learns nothing, such as "
            "links.Neighbourhood() (on the command line --by adamic_adar)"
        )
