"""A fitted model with further items in its catalogue, known by their content alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import polars as pl
from scipy.sparse import csr_array, vstack

from twofold.data.columns import Column, Kind, Vector, kind_of
from twofold.data.convert import column_from_values
from twofold.data.entities import Entities
from twofold.data.frames import as_frame, flatten
from twofold.data.interactions import Histories
from twofold.data.joined import joined
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN, Vocabulary, as_ids
from twofold.errors import DataError
from twofold.models._around import Around
from twofold.models._base import FittedModel
from twofold.models._told import check_names, not_integer, passed_over
from twofold.rank import Encoded
from twofold.similar import PlacesByContent
from twofold.typing import F32, Bool
from twofold.unseen import CONTENT, shown, tell, unknown

WORDS: frozenset[Kind] = frozenset({"text"})
LISTED: frozenset[Kind] = frozenset({"category", "tags", "bag"})


@dataclass(frozen=True, eq=False, kw_only=True)
class WithItems(Around):
    """A model and items that it was not trained on, placed by ``encode_items``.

    Added items in a history are passed over: nobody had them in training.
    """

    reads_content: ClassVar[bool] = True

    added: F32 | csr_array  # (j, d)
    likeness: F32 | csr_array  # (j, d')

    @property
    def item_vectors(self) -> F32 | csr_array:
        """The items, those that were added last; shape (n_items + j, d)."""
        return stacked(self.base.item_vectors, self.added)

    @property
    def similarity_vectors(self) -> F32 | csr_array:
        """The vectors whose cosine means likeness, shape (n_items + j, d')."""
        return stacked(self.base.similarity_vectors, self.likeness)

    def content_likeness(self) -> F32 | csr_array:
        """Return the vectors of all items as their content has them, shape (n_items + j, d')."""
        base: object = self.base
        apart = isinstance(base, PlacesByContent)
        own = base.content_likeness() if apart else self.base.similarity_vectors
        return stacked(own, self.likeness)

    def fold_in(self, histories: Histories) -> F32 | csr_array:
        """Map histories to vectors, shape (n, d); added items are passed over."""
        return self.base.fold_in(known_part(histories, len(self.base.items)))

    def encode(self, queries: Queries) -> Encoded:
        """Map queries as the model does."""
        history = known_part(queries.history, len(self.base.items))
        return self.base.encode(replace(queries, history=history))


def add_items(model: FittedModel, items: Any) -> FittedModel:
    """Return `model` with new items in its catalogue; see `FittedModel.with_items`."""
    model.check_content()
    if isinstance(items, Entities):
        given, names = items, list(items.features)
    else:
        frame = as_frame(items, "the new items")
        if any(name not in frame.columns for name in model.items.features):
            frame = flatten(frame, but=model.items.features)
        given, names = read_items(model, frame), [one for one in frame.columns if one != "item"]
    new = new_items(model, given)
    grown = model.place(new)
    tell([*passed_over(model, given, names), *remarks_on(grown, new)])
    return grown


def remarks_on(grown: FittedModel, new: Entities) -> list[str]:
    """Return what there is to say of new items of a catalogue: values that the model never learned, and items without any that it did."""
    said = unknown(CONTENT, new.features, grown.content_levels)
    nothing = np.flatnonzero(grown.knows_nothing_of(new)) if len(new) else []
    if len(nothing):
        one = shown(new.ids[int(nothing[0])])
        which = f"item {one}" if len(nothing) == 1 else f"{len(nothing):,} new items, such as {one}"
        said.append(
            f"nothing is known of {which} that the model could place it by: it stands where an item without "
            f"content does; give it {what_helps(new, grown.content_levels)}"
        )
    return said


def what_helps(new: Entities, read: Iterable[str]) -> str:
    """Say what new items could be placed by, where the features `read` are."""
    kinds = {kind_of(new.features[name]) for name in read if name in new.features}
    listed = [word for word, own in (("words", WORDS), ("levels", LISTED)) if own & kinds]
    ways = [f"{' or '.join(listed)} that training had"] if listed else []
    ways += ["a sound that can be heard"] if "sound" in kinds else []
    ways += ["the values that are missing"] if kinds - WORDS - LISTED - {"sound"} else []
    return ", or ".join(ways) or "what training had"


def nothing_known(grown: FittedModel, items: Entities) -> Bool:
    """Return which items of the catalogue stand where one without any content does, shape (len(items),)."""
    last = np.array([len(items)], np.int32)
    blank = {name: column.with_missing_row().take(last) for name, column in items.features.items()}
    bare = grown.encode_items(Entities(Vocabulary(items.ids.ids.head(1)), blank))
    vectors = grown.item_vectors[grown.items.ids.rows(items.ids.ids)]
    if isinstance(vectors, np.ndarray) and isinstance(bare, np.ndarray):
        return np.asarray(np.isclose(vectors, bare, rtol=1e-5, atol=1e-7).all(axis=1))
    away = abs(csr_array(vectors) - csr_array(bare)[np.zeros(len(items), np.int32)])
    return np.asarray(away.sum(axis=1)).ravel() == 0


def place_items(model: FittedModel, items: Entities) -> FittedModel:
    """Return `model` with new items in its catalogue; see `FittedModel.place`."""
    model.check_content()
    if not len(items):
        return model
    vectors = model.encode_items(items)
    if isinstance(vectors, np.ndarray):
        vectors = np.ascontiguousarray(vectors, np.float32)
    return placed(model, items, vectors, model.likeness_of(items, vectors))


def new_items(model: FittedModel, items: Entities) -> Entities:
    """Return those of the items that the model does not know."""
    return items.take(np.flatnonzero(model.items.ids.rows(items.ids.ids) == UNKNOWN))


def placed(
    model: FittedModel, new: Entities, vectors: F32 | csr_array, likeness: F32 | csr_array
) -> WithItems:
    """Return `model` with new items at vectors (len(new), d) and (len(new), d'); nobody has used them yet."""
    memory = model.memory
    longer = replace(
        memory,
        items=joined(memory.items, new),
        popularity=np.append(memory.popularity, np.zeros(len(new), np.float32)),
    )
    if isinstance(model, WithItems):
        added, alike = stacked(model.added, vectors), stacked(model.likeness, likeness)
        return replace(model, memory=longer, added=added, likeness=alike)
    return WithItems(
        estimator=model.estimator, memory=longer, base=model, added=vectors, likeness=likeness
    )


def read_items(model: FittedModel, frame: pl.DataFrame) -> Entities:
    """Read new items from a frame: the ids in ``item``, and the features with the kinds of training.

    Raises
    ------
    DataError
        If the ids or a feature that the model was trained with are missing.
    """
    trained = model.items.features
    if "item" not in frame.columns:
        raise DataError(
            f"new items bring their ids in a column 'item', whatever it was called in training; got {', '.join(frame.columns)}"
        )
    check_names(trained, [name for name in frame.columns if name != "item"])
    ids = like_known(as_ids(frame["item"], "item"), model.items.ids)
    if ids.null_count() or ids.n_unique() < len(ids):
        raise DataError(
            "each new item needs an id of its own in the column 'item'; one is missing or twice"
        )
    features = {name: told_as(name, frame[name], column) for name, column in trained.items()}
    return Entities(Vocabulary(ids), features)


def told_as(name: str, values: pl.Series, column: Column) -> Column:
    """Return values of a feature as the `column` of training has them; vectors of which none is known have its length."""
    if isinstance(column, Vector) and values.null_count() == len(values):
        return column.with_missing_row().take(np.full(len(values), len(column), np.int64))
    return column_from_values(name, values, kind_of(column), column)


def like_known(ids: pl.Series, known: Vocabulary) -> pl.Series:
    """Return new ids in the type of the `known` ones.

    Raises
    ------
    DataError
        If those are integers and a new one is not.
    """
    if not len(known) or not len(ids):
        return ids
    cast = ids.cast(pl.Int64 if known.is_integer else pl.String, strict=False)
    odd = ids.filter(cast.is_null() & ids.is_not_null())
    if len(odd):
        raise not_integer(odd[0], known)
    return cast


def known_part(histories: Histories, n_items: int) -> Histories:
    """Return the events whose item row is below `n_items`."""
    return events_where(histories, histories.item < n_items)


def events_where(histories: Histories, keep: Bool) -> Histories:
    """Return the events where `keep` (nnz,) holds."""
    if keep.all():
        return histories
    counts = np.concatenate([[0], np.cumsum(keep)])
    return histories.at(counts[histories.indptr].astype(np.int64), keep)


def stacked(above: F32 | csr_array, below: F32 | csr_array) -> F32 | csr_array:
    """Put two blocks of vectors one under the other; sparse if one is."""
    if isinstance(above, np.ndarray) and isinstance(below, np.ndarray):
        return np.concatenate([above, below])
    return csr_array(vstack([csr_array(above), csr_array(below)], format="csr"))
