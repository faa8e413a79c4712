"""One version of a model, made ready to answer: its rows, its index, its popular items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.filters import allowed_items
from twofold.index.choice import Measured
from twofold.index.coded import Coded
from twofold.index.layered import NONE, Layered, Searches
from twofold.models._added import WithItems, known_part
from twofold.models._base import FittedModel
from twofold.rank import CONTENT, FALLBACK, FOLD_IN, MODEL, SOURCES, RanksItself, rank, recalled
from twofold.serve import asking
from twofold.serve.asking import Asked
from twofold.serve.histories import LiveHistories
from twofold.serve.schemas import Question
from twofold.serve.states import States
from twofold.serve.variants import Trace
from twofold.typing import F32, I32, I64, Id
from twofold.variety import rank_varied


class Answer(NamedTuple):
    """A list in the caller's ids."""

    items: list[Id]
    scores: list[float]
    sources: list[str]
    source: str
    trace: Trace | None = None
    """None where the list is simply the version's best."""
    notes: tuple[str, ...] = ()
    """What the asker should know of what was said."""


@dataclass
class Served:
    """A model that answers one question at a time, without frames.

    Not frozen: the codes of live items are translated to rows as they come.
    """

    version: int
    model: FittedModel
    ids: list[Id]
    index: Layered | None
    """None where lists are not products of dense vectors: the general way makes them."""
    by_popularity: I32
    """All rows by falling popularity."""
    popular: I32
    """The same without those that are withdrawn."""
    withdrawn: I32
    trained_until: int | None
    """Time of the last event of training; None where there are no times."""
    looks_up: bool
    """Whether a user without new events is a row of a table, and a history is folded in whoever tells it."""
    bounds: I64
    """Where the remembered history of each user begins and ends in `seen`, (n_users + 1,)."""
    seen: I32
    row_of_code: I32
    states: States
    """Of the people with new events, where the model is recurrent."""
    measured: Measured | None = None
    """What the choice of the index rests on; None = not chosen yet."""
    left_out: tuple[str, ...] = ()
    """What there is to say of added items that could not be read again, such as those whose sounds are gone."""

    @classmethod
    def of(
        cls,
        version: int,
        model: FittedModel,
        withdrawn: Sequence[Id] = (),
        before: Served | None = None,
    ) -> Served:
        """Make a model ready.

        `before` is the same model with fewer or other added items, or none: what the trained items need is taken from it.
        """
        banned = model.items.ids.rows(list(withdrawn))
        banned = banned[banned != UNKNOWN]
        inner = model.base if isinstance(model, WithItems) else model
        n_base = model.n_trained
        if before is None:
            order = np.argsort(-inner.memory.popularity[:n_base], kind="stable").astype(np.int32)
            base = trained_index(inner)
            ids = model.items.ids.ids.to_list()
        else:
            order = before.by_popularity[before.by_popularity < n_base]
            base = None if before.index is None else before.index.base
            ids = before.ids[:n_base] + model.items.ids.ids[n_base:].to_list()
        order = np.append(order, np.arange(n_base, len(ids), dtype=np.int32))
        index = None
        if base is not None:
            added = model.added if isinstance(model, WithItems) else None
            index = Layered.of(base, n_base, added if isinstance(added, np.ndarray) else None, banned)  # fmt: skip
        history = model.memory.history
        times = history.time
        # The tables of ids are made here, not in the first question.
        model.items.ids.rows(ids[:1])
        model.users.ids.rows(model.users.ids.ids[:1].to_list())
        return cls(
            version=version,
            model=model,
            ids=ids,
            index=index,
            by_popularity=order,
            popular=order[~np.isin(order, banned)],
            withdrawn=banned,
            trained_until=int(times.max()) if times is not None and len(times) else None,
            looks_up=type(inner).encode is FittedModel.encode and not model.context_kinds,
            # Plain arrays: a slice of `numpy.memmap` costs ten times as much.
            bounds=np.asarray(history.indptr),
            seen=np.asarray(history.item),
            row_of_code=np.zeros(0, np.int32),
            states=States() if before is None else before.states,
            measured=None if before is None else before.measured,
            left_out=() if before is None else before.left_out,
        )

    def searched_by(self, base: Searches, measured: Measured) -> Served:
        """Return the version with another index of the trained items, and why it is this one."""
        if self.index is None:
            return self
        return replace(self, index=replace(self.index, base=base), measured=measured)

    def index_report(self) -> dict[str, Any]:
        """Return which index answers, and what was measured of it."""
        if self.index is None:
            return {"kind": "general", "why": "the lists are not products of dense vectors"}
        if self.measured is None:
            return {"kind": "exact", "why": "it was not measured yet"}
        return self.measured.report()

    @property
    def name(self) -> str:
        """Class of the model."""
        return type(self.model.estimator).__name__

    # ---- questions --------------------------------------------------------------------------

    def asked(self, question: Question, live: LiveHistories) -> Asked:
        """Translate a question; what was done since training is part of it.

        Raises
        ------
        Refused
            If it is asked in the future.
        """
        return asking.translated(self, question, live)

    def rows_of(self, codes: I32, live: LiveHistories) -> I32:
        """Return the rows of live items, -1 where the model does not know one."""
        if len(self.row_of_code) < len(live.items):
            fresh = self.model.items.ids.rows(live.items[len(self.row_of_code) :])
            self.row_of_code = np.concatenate([self.row_of_code, fresh])
        return self.row_of_code[codes]

    # ---- lists ------------------------------------------------------------------------------

    def is_quick(self, question: Question) -> bool:
        """Say whether a question is answered in less time than handing it to another thread takes."""
        return (
            self.index is not None
            and question.allow is None
            and not question.where
            and not question.diversity
        )

    def answer(self, question: Question, live: LiveHistories) -> Answer:
        """Return the list of a question."""
        return self.of_asked(self.asked(question, live), question)

    def of_asked(self, asked: Asked, question: Question) -> Answer:
        """Return the list of a translated question.

        Raises
        ------
        ConfigError
            If `where` names a feature that does not exist.
        """
        k = min(question.k, len(self.ids))
        quick = self.is_quick(question)
        made = self.quick(asked, k, exclude_seen=question.exclude_seen) if quick else self.general(asked, question, k)  # fmt: skip
        return made._replace(notes=asked.notes) if asked.notes else made

    def quick(self, asked: Asked, k: int, *, exclude_seen: bool) -> Answer:
        """Make a list from the index."""
        queries = asked.queries
        hidden = asked.hidden
        if exclude_seen:
            seen = self.seen_in(queries)
            hidden = np.concatenate([seen, hidden]) if len(hidden) else seen
        vectors, code = self.vector_of(queries) if asked.vector is None else (asked.vector, FOLD_IN)
        if code == FALLBACK or self.index is None or not isinstance(vectors, np.ndarray):
            items = self.popular_without(hidden, k)
            return self.named(items, self.model.memory.popularity[items], FALLBACK)
        indptr = np.array([0, len(hidden)], np.int64)
        found, best = self.index.search(vectors, indptr, hidden, k)
        kept = found[0] >= 0
        return self.named(found[0][kept], best[0][kept], code)

    def seen_in(self, queries: Queries) -> I32:
        """Return the rows of the history that the answer of one question is made from: the one given, or the one remembered."""
        user = int(queries.user[0])
        if queries.has_history[0]:
            return queries.history.item
        return self.seen[self.bounds[user] : self.bounds[user + 1]] if user >= 0 else NONE

    def vector_of(self, queries: Queries) -> tuple[Any, int]:
        """Return the vector of one question and how it was made."""
        user = int(queries.user[0])
        if self.looks_up and queries.text is None and not queries.features:
            inner = self.model
            if isinstance(inner, WithItems):
                inner = inner.base
            if queries.has_history[0]:
                told = queries.history
                if inner is not self.model:
                    told = known_part(told, len(inner.items))
                if len(told.item):
                    return inner.told(queries.user, told), FOLD_IN
            elif user >= 0 and self.bounds[user + 1] > self.bounds[user]:
                return inner.lookup(queries.user), MODEL
        vectors, source = self.model.encode(recalled(self.model, queries))
        return vectors, int(source[0])

    def source_of(self, queries: Queries) -> str:
        """Return how the list of one question is made."""
        if isinstance(self.model, RanksItself):
            return SOURCES[int(rank(self.model, queries, 1).source[0])]
        return SOURCES[self.vector_of(queries)[1]]

    def popular_without(self, hidden: I32, k: int) -> I32:
        """Return the `k` most popular rows that are not hidden."""
        some = self.popular[: k + len(hidden)]
        return some[~np.isin(some, hidden)][:k]

    def general(self, asked: Asked, question: Question, k: int) -> Answer:
        """Make a list as `twofold.rank` does, for every kind of model, filter and variety."""
        allowed = allowed_items(self.model.items, question.allow, None, question.where)
        if len(self.withdrawn):
            allowed = np.ones(len(self.ids), np.bool_) if allowed is None else allowed
            allowed[self.withdrawn] = False
        n = len(asked.hidden)
        hidden = None
        if n:
            indptr = np.array([0, n], np.int64)
            hidden = Histories(indptr, asked.hidden, np.ones(n, np.float32))
        ranked = rank_varied(
            self.model,
            asked.queries,
            k,
            diversity=question.diversity,
            exclude_seen=question.exclude_seen,
            allowed=allowed,
            hidden=hidden,
        )
        items, scores = ranked.items, ranked.scores
        kept = items[0] >= 0
        return self.named(items[0][kept], scores[0][kept], int(ranked.source[0]))

    def named(self, items: I32, scores: F32, code: int) -> Answer:
        """Translate rows; items that were added are there by content."""
        n, how, ids = self.model.n_trained, SOURCES[code], self.ids
        rows = items.tolist()
        sources = [how if row < n else SOURCES[CONTENT] for row in rows]
        return Answer([ids[row] for row in rows], scores.tolist(), sources, how)

    def history_of(self, user: Id, live: LiveHistories) -> list[Id] | None:
        """Return the items that the lists of a user are made from; None where nothing is known but what the model remembers."""
        lately = live.of(user)
        row = int(self.model.users.ids.rows([user])[0])
        joined = None if lately is None else asking.joined(self, row, lately, live)
        if joined is not None and len(joined.item):
            return [self.ids[one] for one in joined.item.tolist()]
        return None

    def grown(
        self, model: FittedModel, withdrawn: Sequence[Id], left_out: Sequence[str] | None = None
    ) -> Served:
        """Return the version with its `model` as it is with other added items, and with items withdrawn.

        `left_out` is said of added items from now on; None = what was said before.
        """
        made = Served.of(self.version, model, withdrawn, before=self)
        return made if left_out is None else replace(made, left_out=tuple(left_out))


def trained_index(model: FittedModel) -> Coded | None:
    """Return the exact index of the items of a model, None where its lists are not products of dense vectors."""
    vectors = model.item_vectors
    if isinstance(model, RanksItself) or not isinstance(vectors, np.ndarray):
        return None
    nobody = model.encode(Queries.known(np.array([UNKNOWN], np.int32))).vectors
    return Coded.of(vectors, NONE) if isinstance(nobody, np.ndarray) else None


__all__ = ["FOLD_IN", "Answer", "Asked", "Served"]
