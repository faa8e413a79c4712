"""A fitted JNTM: states at serving, and friends.

The symbols are those of `twofold.models.sequence.jntm`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from twofold.data.columns import Kind, ragged, within
from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError
from twofold.models._base import FittedModel, Memory
from twofold.models.sequence import _jntm_friends as social
from twofold.models.sequence import _jntm_states as states
from twofold.models.sequence._jntm_states import State
from twofold.models.sequence._jntm_training import Parameters
from twofold.rank import FALLBACK, FOLD_IN, Encoded, sources
from twofold.recommend import known_people, lists_of_friends
from twofold.typing import F32, I32, I64, Bool, Ids

if TYPE_CHECKING:
    from twofold.models.sequence.jntm import JNTM


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedJNTM(FittedModel):
    """The vectors of users and places, what the recurrent states are made with, and everybody's states."""

    preferences: F32  # (n_users, d)  P
    network_vectors: F32
    """F, shape (n_users, d)."""
    context_vectors: F32
    """C, shape (n_users, d); no rows where no network was learned."""
    friend_ends: I64  # (n_users + 1,)
    friend_rows: I32  # the friends of every user
    inputs: F32  # (n_items, d)  U
    outputs: F32  # (n_items, D)  U'
    shared: F32  # (7 d + 5, d)
    visitors: F32  # (n_items, 2 d) mean P and F of those who went there
    cells: F32  # (n_users, d) long-term state after the last event of training
    heads: F32  # (n_users, d) that at the head of the last sub-trajectory
    shorts: F32  # (n_users, d) S after the last event
    best_epoch: int | None = None
    """Pass whose weights are kept, the last one without validation; a larger log can be learned for as long. None where an older release fitted."""

    @classmethod
    def of(
        cls,
        estimator: JNTM,
        memory: Memory,
        now: Parameters,
        friends: tuple[I64, I32],
        *,
        knows_network: bool,
    ) -> FittedJNTM:
        """Return the model of the parameters, with everybody's states after their last event."""
        seen = memory.history
        owner = np.repeat(np.arange(len(seen)), seen.lengths)
        both = np.hstack([now.preference, now.network])
        visitors = np.zeros((len(memory.popularity), both.shape[1]), np.float32)
        np.add.at(visitors, seen.item, both[owner])
        visitors /= np.maximum(memory.popularity, 1)[:, None]
        outputs = now.outputs
        if estimator.objective == "network":
            outputs = np.ascontiguousarray(visitors[:, estimator.factors :])
        begins = states.beginnings(seen, None if seen.time is None else estimator.gap)
        everybody = states.blank(np.arange(len(seen), dtype=np.int32), now.shared)
        after = states.moved(everybody, seen, begins, now.inputs, now.shared, visitors)
        return cls(
            estimator=estimator,
            memory=memory,
            preferences=now.preference,
            network_vectors=now.network,
            context_vectors=now.context if knows_network else now.context[:0],
            friend_ends=friends[0],
            friend_rows=friends[1],
            inputs=now.inputs,
            outputs=outputs,
            shared=now.shared,
            visitors=visitors,
            cells=after.cell,
            heads=after.head,
            shorts=after.short,
        )

    def verify(self) -> None:
        """Refuse arrays that do not belong to the users, the places and the parts in use.

        Raises
        ------
        DataError
            Saying which.
        """
        n, m, d = len(self.users), len(self.items), self.estimator.factors
        wanted = {
            **dict.fromkeys(("preferences", "network_vectors", "cells", "heads", "shorts"), (n, d)),
            "context_vectors": (n if len(self.context_vectors) else 0, d),
            "friend_ends": (n + 1,),
            "inputs": (m, d),
            "outputs": (m, self.estimator.layout()[1]),
            "shared": (7 * d + 5, d),
            "visitors": (m, 2 * d),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise DataError(
                    f"{name} has the shape {getattr(self, name).shape}; it must be {shape}"
                )
        ragged("friends", self.friend_ends, len(self.friend_rows))
        within("friends", self.friend_rows, n)

    @property
    def item_vectors(self) -> F32:
        """The places as outputs, shape (n_items, D)."""
        return self.outputs

    @property
    def gap(self) -> float | None:
        """Seconds after which a sub-trajectory begins; None where training knew none."""
        return None if self.memory.history.time is None else self.estimator.gap

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The time of the question, where it decides whether a sub-trajectory begins."""
        return {} if self.gap is None else {"time": "time"}

    # ---- states -----------------------------------------------------------------------------------

    def start(self, histories: Histories, users: I32 | None = None) -> State:
        """Return the states of n people after their histories; costs a step an event.

        Parameters
        ----------
        histories
            Oldest first. With times they are cut as in training; without, in a model that knows times, every
            event is a sub-trajectory.
        users : shape (n,)
            Rows of known users, whose own P and F are taken, -1 = never seen; None = nobody is known.
        """
        rows = np.full(len(histories), UNKNOWN, np.int32) if users is None else users
        known = self.memory.history.take(rows).lengths > 0
        empty = states.blank(np.where(known, rows, UNKNOWN).astype(np.int32), self.shared)
        return self._moved(empty, histories, states.beginnings(histories, self.gap))

    def remembered(self, users: I32) -> State:
        """Return the states of known users (rows, (n,)) after the last event of training; nothing is replayed."""
        own = self.memory.history
        end = own.indptr[users + 1]
        last = np.full(len(users), states.NO_TIME, np.int64)
        if own.time is not None:
            some = own.lengths[users] > 0
            last[some] = own.time[end[some] - 1]
        return State(
            user=users.astype(np.int32),
            cell=self.cells[users],
            head=self.heads[users],
            short=self.shorts[users],
            liked=np.zeros((len(users), self.visitors.shape[1]), np.float32),
            count=own.lengths[users],
            last=last,
        )

    def resumed(self, histories: Histories, users: I32) -> State:
        """Return the states of n people after their histories, as `start` does.

        Where a history goes on from what training remembers of its user only the rest is read.
        """
        own = self.memory.history.take(users)
        done = np.where(states.continues(own, histories), own.lengths, 0)
        begins = states.beginnings(histories, self.gap)
        fresh = self.start(Histories.empty(len(users)), users)
        some = np.flatnonzero(done)
        kept = self.remembered(users[some])
        put = {name: np.array(array) for name, array in vars(fresh).items()}
        for name, array in vars(kept).items():
            put[name][some] = array
        rest, events = states.without_first(histories, done)
        return self._moved(State(**put), rest, begins[events])

    def advance(self, state: State, items: I32, times: I64 | None = None) -> State:
        """Return the states of n people after one more event each; `state` itself stays as it is.

        Parameters
        ----------
        state
            Of n people, from `start`, `remembered` or `advance`.
        items : shape (n,)
            Rows of the places (``model.items.ids.rows([...])``); -1, an unknown place, changes nothing.
        times : shape (n,)
            Seconds since 1970 UTC; more than `gap` after the last event begins a sub-trajectory. None = the
            sub-trajectory goes on.

        Raises
        ------
        DataError
            If there are not n items or times, or an item is no row of the catalogue.
        """
        rows = np.asarray(items, np.int32)
        if rows.shape != (len(state),) or (times is not None and len(times) != len(state)):
            raise DataError(
                f"items have the shape {rows.shape}; give one item, and one time, for each of {len(state)}"
            )
        if len(rows) and not -1 <= rows.min() <= rows.max() < len(self.items):
            raise DataError(
                f"an item row is outside -1 ... {len(self.items) - 1}; see model.items.ids.rows"
            )
        there = rows != UNKNOWN
        time = None if times is None else np.asarray(times, np.int64)
        begins = state.count == 0
        if time is not None and self.gap is not None:
            begins |= (state.last != states.NO_TIME) & (time - state.last > self.gap)
        events = Histories(
            np.concatenate([[0], np.cumsum(there)]).astype(np.int64),
            rows[there],
            np.ones(int(there.sum()), np.float32),
            None if time is None else time[there],
        )
        return self._moved(state, events, begins[there])

    def encode_state(self, state: State, times: I64 | None = None) -> F32:
        """Return x = [P; F; S; h] of n people, shape (n, D), for questions at `times`, None = right after their last event."""
        d, known = self.estimator.factors, state.user != UNKNOWN
        parts, wide = self.estimator.layout()
        said = state.liked / np.maximum(state.count, 1)[:, None]
        safe = np.maximum(state.user, 0)
        own = np.hstack([self.preferences[safe], self.network_vectors[safe]])
        both = np.where(known[:, None], own, said)
        short, long = states.asked(state, times, self.gap, self.shared)
        out = np.empty((len(state), wide), np.float32)
        for at, part in zip(parts, (both[:, :d], both[:, d:], short, long), strict=True):
            if at >= 0:
                out[:, at : at + d] = part
        return out

    def lookup(self, users: I32) -> F32:
        """Return x of known users right after their last event, shape (n, D)."""
        return self.encode_state(self.remembered(users))

    def fold_in(self, histories: Histories) -> F32:
        """Return x of people known by a history alone, shape (n, D).

        P and F are means over the history of the mean P and F of those who went to each place.
        """
        return self.encode_state(self.start(histories))

    def encode(self, queries: Queries) -> Encoded:
        """Map each query to x at its time: known users with their own P and F, also where a history is told."""
        source = sources(self.memory.history, queries, said=False)
        out = np.zeros((len(queries), self.estimator.layout()[1]), np.float32)
        for code in np.setdiff1d(source, [FALLBACK]):
            rows = np.flatnonzero(source == code)
            users, time = queries.user[rows], None if queries.time is None else queries.time[rows]
            told = code == FOLD_IN
            now = (
                self.resumed(queries.history.take(rows), users) if told else self.remembered(users)
            )
            out[rows] = self.encode_state(now, time)
        return Encoded(out, source)

    def foresight(self, validation: Dataset) -> float:
        """Return how well the first later event of each known user is ranked: the mean of 1 / log2(1 + rank)."""
        events = validation.interactions
        user = self.users.ids.rows(validation.users.ids.ids)[events.user]
        item = self.items.ids.rows(validation.items.ids.ids)[events.item]
        known = np.flatnonzero((user != UNKNOWN) & (item != UNKNOWN))
        first = known[np.unique(user[known], return_index=True)[1]]
        if not len(first):
            return 0.0
        time = None if events.time is None else events.time[first]
        now = self.remembered(user[first].astype(np.int32))
        x = self.encode_state(now, time)
        own = np.einsum("nd,nd->n", x, self.outputs[item[first]])
        rank = 1 + (x @ self.outputs.T > own[:, None]).sum(axis=1)
        return float((1 / np.log2(1 + rank)).mean())

    def _moved(self, state: State, events: Histories, begins: Bool) -> State:
        return states.moved(state, events, begins, self.inputs, self.shared, self.visitors)

    # ---- friends ----------------------------------------------------------------------------------

    @property
    def learned_friendships(self) -> I32:
        """Pairs of user rows (m, 2) that F was learned from; none where no network was learned."""
        if not len(self.context_vectors):
            return np.zeros((0, 2), np.int32)
        owner = np.repeat(np.arange(len(self.users), dtype=np.int32), np.diff(self.friend_ends))
        return np.column_stack([owner, self.friend_rows])

    def link_scores(self, pairs: I32) -> F32:
        """Return C_j . F_i of each pair of user rows (p, 2), or its mean over both directions; shape (p,).

        The larger, the likelier an edge; its sigma is the chance that the likelihood speaks of.

        Raises
        ------
        ConfigError
            If no network was learned.
        DataError
            If a row is none of the users.
        """
        left, right = self._sides
        within("users of the pairs", np.asarray(pairs).ravel(), len(self.users))
        return np.einsum("nd,nd->n", left[pairs[:, 0]], right[pairs[:, 1]])

    def recommend_friends(self, users: Ids, k: int = 10) -> pl.DataFrame:
        """Return the `k` likeliest new friends of each user: ``user``, ``rank``, ``friend``, ``score``.

        Everybody but the user and the friends they have is a candidate; ties go to the lower row. The score is
        that of `link_scores`.

        Raises
        ------
        ConfigError
            If no network was learned, `k` is not a positive integer, or `users` is a single id.
        UnknownIdError
            If a user is not known.
        """
        rows = known_people(self.users.ids, users, k)
        friends = self.friend_ends, self.friend_rows
        found, best = social.likeliest(*self._sides, friends, rows, k)
        return lists_of_friends(self.users.ids, rows, found, best)

    @property
    def _sides(self) -> tuple[F32, F32]:
        if not len(self.context_vectors):
            raise ConfigError(
                "this model learned no network; fit JNTM with objective='joint' or 'network' on a dataset with "
                "links between its users"
            )
        directed = self.estimator.directed
        return social.sides(self.network_vectors, self.context_vectors, directed=directed)
