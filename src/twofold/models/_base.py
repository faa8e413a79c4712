"""What every fitted model shares: ids, memory, encoding, and the verbs that users call.

A fitted model is a pair of encoders into one space: ``encode`` maps queries to vectors, and
``item_vectors`` holds the items; the score is their inner product. Biases are extra coordinates.
What follows is written once, below and in ``recommend``, ``similar``, ``explain``, ``persistence``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold import explain, persistence, recommend, similar
from twofold.data.columns import Column, Kind
from twofold.data.entities import Entities, Levels
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.errors import DataError, NotConvergedError
from twofold.hyperparameters import names
from twofold.models._memory import Memory as Memory
from twofold.models._printed import Printed
from twofold.rank import Encoded, assembled, said_of, sources
from twofold.typing import F32, I32, Bool, History, Id, Ids


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedModel(Printed, ABC):
    """A trained pair of encoders. Subclasses add arrays and say how vectors come about."""

    reads_features: ClassVar[bool] = False
    """Whether ``encode_features`` maps people who are known only by features."""
    reads_text: ClassVar[bool] = False
    """Whether ``encode_features`` maps people who are known only by words that they say."""
    keeps_runs: ClassVar[bool] = False
    """Whether it reads runs of a script without spaces as words, not the pairs of their letters, of what people say."""
    reads_content: ClassVar[bool] = False
    """Whether ``encode_items`` maps items that were never trained on."""
    predicts_values: ClassVar[bool] = False
    """Whether scores become values on the caller's scale (ratings)."""
    sparse_people: ClassVar[bool] = False
    """Whether vectors of people are sparse while those of items are not."""
    scores_within: ClassVar[str | None] = None
    """Item feature within whose levels alone scores can be compared; None = those of all items can."""

    estimator: Any
    """The hyperparameters that it was fitted with."""
    memory: Memory

    def verify(self) -> None:
        """Refuse vectors that do not belong to the users and items.

        Raises
        ------
        DataError
            Saying which.
        """
        vectors = {"item_vectors": (self.item_vectors, len(self.items))}
        for name, n in (("user_factors", len(self.users)), ("item_factors", len(self.items))):
            if name in names(self):
                vectors[name] = (getattr(self, name), n)
        for name, (array, n) in vectors.items():
            shape = array.shape or (0,)
            if len(shape) != 2 or shape[0] != n:
                raise DataError(f"{name} has the shape {shape}; it must have {n} rows")

    # ---- what a model's file supplies -------------------------------------------------------

    @property
    @abstractmethod
    def item_vectors(self) -> F32 | csr_array:
        """The items, shape (n_items, d)."""

    @abstractmethod
    def fold_in(self, histories: Histories) -> F32 | csr_array:
        """Map histories to vectors, shape (n, d), without changing the model."""

    def lookup(self, users: I32) -> F32 | csr_array:
        """Return the vectors of known users by row, shape (n, d); default: fold their histories in."""
        return self.fold_in(self.memory.history.take(users))

    def resume(self, users: I32, histories: Histories) -> F32 | csr_array:
        """Map people by histories that are told, shape (n, d), `users` their rows, -1 = never seen; default: fold them in."""
        del users
        return self.fold_in(histories)

    def encode_features(self, queries: Queries) -> F32 | csr_array:
        """Map people known by features or words, shape (n, d); see ``reads_features``, ``reads_text``."""
        raise NotImplementedError(type(self).__name__)

    def encode_items(self, items: Entities) -> F32 | csr_array:
        """Map items by their content alone, shape (len(items), d); see ``reads_content``."""
        raise NotImplementedError(type(self).__name__)

    def likeness_of(self, items: Entities, vectors: F32 | csr_array) -> F32 | csr_array:
        """Return the vectors of new items whose cosine means likeness, shape (len(items), d'); see ``similarity_vectors``.

        `vectors` (len(items), d) are those that `encode_items` says.
        """
        del items
        return self.similarity_of(vectors) if isinstance(vectors, np.ndarray) else vectors

    def similarity_of(self, vectors: F32) -> F32:
        """Return the part of item vectors (j, d) whose cosine means likeness, shape (j, d'); default: all of them."""
        return vectors

    @property
    def n_trained(self) -> int:
        """Number of items of the catalogue that the model was trained on; further ones were added by content."""
        return len(self.items)

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that are read, with the kinds they had in training; ``time`` among them where the time of the question is read."""
        return {}

    @property
    def context_levels(self) -> Levels:
        """The values that were learned of each context column that is read; None where any value is read (numbers, words)."""
        return dict.fromkeys(self.context_kinds)

    @property
    def feature_levels(self) -> Levels:
        """The same of each user feature that is read; default: all values of training, where the model reads features."""
        return self.users.levels if self.reads_features else {}

    @property
    def content_levels(self) -> Levels:
        """The same of each item feature that new items are placed by; default: as `feature_levels`."""
        return self.items.levels if self.reads_content else {}

    def moments_of(self, queries: Queries) -> Mapping[str, Column]:
        """Return the circumstances that the model makes of the time of questions, such as the hour; default: none."""
        del queries
        return {}

    def values(self, scores: F32) -> F32:
        """Turn scores into values on the caller's scale; the identity where a model has none."""
        return scores

    def pair_values(self, vectors: F32, items: F32) -> F32:
        """Return the value of each pair of rows of `vectors` and `items`, both (n, d); shape (n,)."""
        return self.values(np.einsum("nd,nd->n", vectors, items))

    @property
    def unknown_user(self) -> F32:
        """The vector of somebody of whom nothing is known, for ``predict``; shape (d,)."""
        return np.zeros(dimensions(self.item_vectors), np.float32)

    @property
    def unknown_item(self) -> F32:
        """The vector of an item of which nothing is known, for ``predict``; shape (d,)."""
        return np.zeros(dimensions(self.item_vectors), np.float32)

    @property
    def similarity_vectors(self) -> F32 | csr_array:
        """The vectors whose cosine means likeness, shape (n_items, d'); default: ``similarity_of`` the item vectors."""
        vectors = self.item_vectors
        return self.similarity_of(vectors) if isinstance(vectors, np.ndarray) else vectors

    # ---- encoding, once ---------------------------------------------------------------------

    def encode(self, queries: Queries) -> Encoded:
        """Map each query to a vector and say how: known user, folded-in history, features, or not at all."""
        source = sources(self.memory.history, queries, said=said_of(self, queries))
        if not len(source):
            return Encoded(self._nothing(0), source)
        parts: list[tuple[np.ndarray, F32 | csr_array]] = []
        for code in np.unique(source):
            rows = np.flatnonzero(source == code)
            match int(code):
                case 0:  # MODEL
                    parts.append((rows, self.lookup(queries.user[rows])))
                case 1:  # FOLD_IN
                    parts.append((rows, self.told(queries.user[rows], queries.history.take(rows))))
                case 2:  # CONTENT
                    parts.append((rows, self.encode_features(queries.take(rows))))
                case _:
                    parts.append((rows, self._nothing(len(rows))))
        return Encoded(assembled(parts), source)

    def told(self, users: I32, histories: Histories) -> F32 | csr_array:
        """Map people by histories in which values may be missing (NaN), shape (n, d); see ``resume``."""
        return self.resume(users, self._said(histories))

    @property
    def unsaid_value(self) -> float:
        """What an item of a history counts for where no value is given (NaN).

        1, as an event does; where values are ratings the highest of training, because who names an
        item without a rating says that they took it.
        """
        return self.memory.value_range[1] if self.predicts_values else 1.0

    def _said(self, histories: Histories) -> Histories:
        """Return histories in which every item has a value."""
        unsaid = np.isnan(histories.value)
        if not unsaid.any():
            return histories
        return replace(
            histories, value=np.where(unsaid, self.unsaid_value, histories.value).astype(np.float32)
        )

    def _nothing(self, n: int) -> F32 | csr_array:
        shape = (n, dimensions(self.item_vectors))
        sparse = self.sparse_people or not isinstance(self.item_vectors, np.ndarray)
        return csr_array(shape, dtype=np.float32) if sparse else np.zeros(shape, np.float32)

    # ---- what users call --------------------------------------------------------------------

    @property
    def users(self) -> Entities:
        """The users of the training set."""
        return self.memory.users

    @property
    def items(self) -> Entities:
        """The catalogue."""
        return self.memory.items

    def recommend(
        self,
        users: Ids | None = None,
        *,
        histories: Sequence[History] | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        allow: Iterable[Id] | None = None,
        deny: Iterable[Id] | None = None,
        where: Mapping[str, Any] | None = None,
        diversity: float = 0.0,
        context: Mapping[str, Sequence[Any]] | None = None,
        features: Mapping[str, Sequence[Any]] | None = None,
        text: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return the best `k` items of each user; see `twofold.recommend.recommend`."""
        return recommend.recommend(
            self, users, histories=histories, k=k, exclude_seen=exclude_seen, allow=allow, deny=deny, where=where, diversity=diversity,
            context=context, features=features, text=text,
        )  # fmt: skip

    def remarks(
        self,
        *,
        context: Mapping[str, Sequence[Any]] | None = None,
        features: Mapping[str, Sequence[Any]] | None = None,
    ) -> list[str]:
        """Return the sentences of which `recommend` would warn: what the model never learned or does not read of columns.

        Raises
        ------
        ConfigError
            If a circumstance made of the time can never be what is said.
        """
        return recommend.remarks_on(self, context, features)

    def with_items(self, items: Any) -> FittedModel:
        """Return the model with new items in its catalogue, placed by their content; nothing is retrained.

        Parameters
        ----------
        items
            A frame with the ids in ``item`` and the item features of training, or entities of a dataset.
            Items that the model knows already are passed over.

        Raises
        ------
        DataError
            If the model does not read content, or a feature is missing or of another kind.
        """
        from twofold.models._added import add_items  # builds on this module

        return add_items(self, items)

    def knows_nothing_of(self, items: Entities) -> Bool:
        """Return of which new items of the catalogue nothing is known that they could be placed by, shape (len(items),)."""
        from twofold.models._added import nothing_known  # builds on this module

        return nothing_known(self, items)

    def check_content(self) -> None:
        """Refuse new items where the model cannot place them by content.

        Raises
        ------
        DataError
            Saying so.
        """
        if not self.reads_content:
            raise DataError(
                f"{type(self.estimator).__name__} knows items by what people did with them and cannot place "
                "new ones by content; fit a model that reads content, or wait for interactions"
            )

    def place(self, items: Entities) -> FittedModel:
        """Return the model with items that it does not know, as `with_items` does, without a word about their values."""
        from twofold.models._added import place_items  # builds on this module

        return place_items(self, items)

    def predict(self, pairs: Any) -> pl.DataFrame:
        """Return the pairs (a frame with ``user`` and ``item``) with ``score`` and ``source``."""
        return recommend.predict(self, pairs)

    def similar_items(self, item: Id, k: int = 10) -> pl.DataFrame:
        """Return the `k` items most like `item`: rank, item, score (cosine)."""
        return similar.similar_items(self, item, k)

    def explain(
        self,
        user: Id | None = None,
        item: Id | None = None,
        *,
        history: History | None = None,
        text: str | None = None,
        features: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> pl.DataFrame:
        """Return why `item` is scored as it is: what is known of a person, by how much each part raises the score."""
        return explain.explain(
            self, user, item, history=history, text=text, features=features, context=context
        )

    def save(self, path: str | Path) -> Path:
        """Write the model as a folder, whole or not at all; see `twofold.load`."""
        return persistence.save(self, Path(path), kind="model")


def dimensions(vectors: F32 | csr_array) -> int:
    """Return d of vectors (n, d)."""
    return int((vectors.shape or (0, 0))[1])


def check_finite(name: str, array: np.ndarray, advice: str) -> None:
    """Refuse an array with a NaN or an infinity.

    Raises
    ------
    NotConvergedError
        Naming the array, the first bad row and the `advice`.
    """
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise NotConvergedError(f"{name} has a value that is not finite in row {row}; {advice}")
