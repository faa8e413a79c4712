"""A fitted model around another one: whatever it does not change is the other one's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.sparse import csr_array

from twofold.data.columns import Column, Kind
from twofold.data.entities import Entities, Levels
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.models._base import FittedModel
from twofold.rank import Encoded
from twofold.typing import F32, I32


@dataclass(frozen=True, eq=False, kw_only=True)
class Around(FittedModel):
    """Hands every question on to `base`."""

    base: FittedModel

    def __post_init__(self) -> None:
        """Read of people what the model reads of them."""
        for name in (
            "reads_features",
            "reads_text",
            "keeps_runs",
            "predicts_values",
            "sparse_people",
        ):
            object.__setattr__(self, name, getattr(self.base, name))

    @property
    def item_vectors(self) -> F32 | csr_array:
        """The items, shape (n_items, d)."""
        return self.base.item_vectors

    def similarity_of(self, vectors: F32) -> F32:
        """Return the part of item vectors (j, d) whose cosine means likeness."""
        return self.base.similarity_of(vectors)

    @property
    def n_trained(self) -> int:
        """Number of items that the model was trained on."""
        return self.base.n_trained

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that the model reads."""
        return self.base.context_kinds

    @property
    def context_levels(self) -> Levels:
        """The values that the model learned of context columns."""
        return self.base.context_levels

    @property
    def feature_levels(self) -> Levels:
        """The values that the model learned of user features."""
        return self.base.feature_levels

    @property
    def content_levels(self) -> Levels:
        """The values that the model learned of item features."""
        return self.base.content_levels

    def moments_of(self, queries: Queries) -> Mapping[str, Column]:
        """Return the circumstances that the model makes of the time."""
        return self.base.moments_of(queries)

    def lookup(self, users: I32) -> F32 | csr_array:
        """Return the vectors of known users, shape (n, d)."""
        return self.base.lookup(users)

    def fold_in(self, histories: Histories) -> F32 | csr_array:
        """Map histories to vectors, shape (n, d)."""
        return self.base.fold_in(histories)

    def encode(self, queries: Queries) -> Encoded:
        """Map queries as the model does."""
        return self.base.encode(queries)

    def encode_features(self, queries: Queries) -> F32 | csr_array:
        """Map people known by features or words, shape (n, d)."""
        return self.base.encode_features(queries)

    def encode_items(self, items: Entities) -> F32 | csr_array:
        """Map content to vectors, shape (j, d)."""
        return self.base.encode_items(items)

    def likeness_of(self, items: Entities, vectors: F32 | csr_array) -> F32 | csr_array:
        """Return the vectors of new items whose cosine means likeness, shape (j, d')."""
        return self.base.likeness_of(items, vectors)

    def values(self, scores: F32) -> F32:
        """Turn scores into values on the caller's scale."""
        return self.base.values(scores)

    def pair_values(self, vectors: F32, items: F32) -> F32:
        """Return the value of each pair of rows, shape (n,)."""
        return self.base.pair_values(vectors, items)

    @property
    def unknown_user(self) -> F32:
        """The vector of somebody of whom nothing is known, shape (d,)."""
        return self.base.unknown_user

    @property
    def unknown_item(self) -> F32:
        """The vector of an item of which nothing is known, shape (d,)."""
        return self.base.unknown_item
