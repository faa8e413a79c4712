"""Lists with variety: the candidates of a list in the order of maximal marginal relevance, for every model."""

from __future__ import annotations

from typing import Annotated, Protocol

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from scipy.sparse import csr_array

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError
from twofold.rank import PairOfEncoders, Ranked, rank
from twofold.typing import F32, I32, Bool

Diversity = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""Weight of variety in maximal marginal relevance, the paper's 1 - lambda."""
DEEPEST, SHALLOWEST = 5, 100
"""Variety is chosen among so many times the items asked for, and at least so many."""


class Comparable(PairOfEncoders, Protocol):
    """A model that also says which items are alike."""

    @property
    def similarity_vectors(self) -> F32 | csr_array:
        """The vectors whose cosine means likeness, shape (n_items, d')."""
        ...


def check_diversity(value: object) -> float:
    """Return the weight of variety.

    Raises
    ------
    ConfigError
        If it is no number from 0 to 1, in the words of the server.

    Example
    -------
    >>> check_diversity(0.5)
    0.5
    """
    try:
        return TypeAdapter(Diversity).validate_python(value)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"]
        raise ConfigError(
            f"diversity got {value!r}; {said[:1].lower()}{said[1:]}: "
            "Weight of variety in maximal marginal relevance; 0 keeps the order."
        ) from None


def rank_varied(
    model: Comparable,
    queries: Queries,
    k: int,
    *,
    diversity: float,
    exclude_seen: bool = True,
    allowed: Bool | None = None,
    hidden: Histories | None = None,
) -> Ranked:
    """Return lists as `twofold.rank.rank` does; above 0, `diversity` chooses them among longer ones, see `diversify`.

    The scores stay those of the model, so that they need not fall along a list.
    """
    depth = min(max(DEEPEST * k, SHALLOWEST), len(model.items)) if diversity else k
    found = rank(model, queries, depth, exclude_seen=exclude_seen, allowed=allowed, hidden=hidden)
    if not diversity:
        return found
    items, scores = diversify(found.items, found.scores, model.similarity_vectors, k, diversity)
    return Ranked(items, scores, found.source)


def diversify(
    items: I32, scores: F32, vectors: F32 | csr_array, k: int, diversity: float
) -> tuple[I32, F32]:
    """Choose `k` items of each row of candidates by maximal marginal relevance.

    Carbonell & Goldstein (1998), "The Use of MMR, Diversity-Based Reranking for Reordering Documents
    and Producing Summaries", SIGIR: the next item is the one with the highest
    lambda * relevance - (1 - lambda) * largest cosine to an item chosen before, lambda = 1 - diversity.

    Parameters
    ----------
    items, scores
        Shape (n, c), best first; -1 and -inf at the end.
    vectors
        Whose cosine means likeness, shape (m, d); a zero vector is like nothing.
    k, diversity
        List length; 0 = the order of the scores, 1 = variety alone.

    Notes
    -----
    The relevance is the score, moved to 0 ... 1 within each row: the paper's two terms are both
    cosines, the scores of a model have a scale of their own.
    """
    out, best = (np.full((len(items), k), fill) for fill in (UNKNOWN, -np.inf))
    for row in range(len(items)):
        n = int((items[row] != UNKNOWN).sum())
        if not n:
            continue
        own = vectors[items[row, :n]]
        dense = np.asarray(own if isinstance(own, np.ndarray) else own.toarray(), np.float64)
        length = np.sqrt(np.einsum("cd,cd->c", dense, dense))
        unit = dense / np.where(length > 0, length, 1)[:, None]  # (c, d)
        chosen = marginal(scores[row, :n].astype(np.float64), unit, min(k, n), diversity)
        out[row, : len(chosen)], best[row, : len(chosen)] = items[row, chosen], scores[row, chosen]
    return out.astype(np.int32), best.astype(np.float32)


def marginal(scores: np.ndarray, unit: np.ndarray, k: int, diversity: float) -> list[int]:
    """Return the places of `k` candidates in the order of MMR; scores (c,), vectors of length 1 or 0 (c, d)."""
    span = scores.max() - scores.min()
    relevance = (scores - scores.min()) / span if span > 0 else np.ones(len(scores))
    nearest = np.full(len(scores), -np.inf)
    left = np.ones(len(scores), np.bool_)
    chosen: list[int] = []
    for _ in range(k):
        penalty = diversity * nearest if chosen else 0.0
        worth = np.where(left, (1 - diversity) * relevance - penalty, -np.inf)
        best = int(worth.argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, np.einsum("cd,d->c", unit, unit[best]))
    return chosen
