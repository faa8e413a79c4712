"""What the fitted networks on words share: vectors of length 1, and people known by words that they say."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from twofold.data.columns import Bag, Text
from twofold.data.entities import Levels
from twofold.data.queries import Queries
from twofold.models._base import FittedModel
from twofold.models.mapping._dssm_columns import as_texts
from twofold.models.mapping._dssm_text import TextCode
from twofold.rank import FALLBACK, FOLD_IN, MODEL, Encoded, said_of
from twofold.typing import F32, I32


@dataclass(frozen=True, eq=False, kw_only=True)
class KnownByWords(FittedModel):
    """Vectors of length 1, so that their product is the cosine; zero where no known word is."""

    column: str
    """The item feature with the words."""
    asked: str | None
    """The user feature with the words of people, if they have one."""
    code: TextCode
    user_factors: F32  # (n_users, d)
    item_factors: F32  # (n_items, d)

    @property
    def item_vectors(self) -> F32:
        """The items, shape (n_items, d)."""
        return self.item_factors

    @property
    def feature_levels(self) -> Levels:
        """The words that were learned of people's feature, where it lists them and they are read whole."""
        if self.asked is None:
            return {}
        return {self.asked: self.code.listed(self.users.features[self.asked])}

    @property
    def content_levels(self) -> Levels:
        """The words that were learned of the items' feature, where it lists them and they are read whole."""
        return {self.column: self.code.listed(self.items.features[self.column])}

    def lookup(self, users: I32) -> F32:
        """Return the vectors of `users`, shape (n, d): of what is known of them."""
        return self.user_factors[users]

    def encode(self, queries: Queries) -> Encoded:
        """Map queries; those of whom nothing that is read is known fall back on popularity."""
        answer = super().encode(queries)
        found, source = np.asarray(answer.vectors), answer.source
        rows = np.flatnonzero(said_of(self, queries) & np.isin(source, (MODEL, FOLD_IN)))
        if len(rows):
            found[rows], source[rows] = self.beside(
                queries.take(rows), Encoded(found[rows], source[rows])
            )
        silent = ~found.any(axis=1)
        return Encoded(found, np.where(silent, np.uint8(FALLBACK), source).astype(np.uint8))

    def words_of(self, queries: Queries) -> list[Text | Bag]:
        """Return the columns of n texts that questions hold; a known word in a later one counts in place of those before it."""
        said: list[Text | Bag] = []
        if self.asked is not None and self.asked in queries.features:
            said.append(as_texts(self.asked, queries.features[self.asked]))
        if queries.text is not None:
            said.append(queries.text)
        return said

    @abstractmethod
    def beside(self, queries: Queries, answer: Encoded) -> Encoded:
        """Return what becomes of the `answer` for people with a history, given or remembered, who say words or have them said of them."""
