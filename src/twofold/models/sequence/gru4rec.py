"""Recurrent networks over sessions (GRU4Rec).

Hidasi, Karatzoglou, Baltrunas & Tikk (2016), "Session-based Recommendations with Recurrent Neural Networks", ICLR;
Hidasi & Karatzoglou (2018), "Recurrent Neural Networks with Top-k Gains for Session-based Recommendations", CIKM.
With x_t the item of step t, as a one-hot vector or embedded, and the update gate z and reset gate r,

    z = s(W_z x_t + U_z h_t-1),  r = s(W_r x_t + U_r h_t-1),                   Eq. 2, 4
    h' = tanh(W x_t + U (r * h_t-1)),  h_t = (1 - z) h_t-1 + z h',             Eq. 1, 3
    r_i = v_i . h_t + b_i   for every item i,

learned on sessions that run side by side: step t of a batch continues step t - 1 of the same lanes, h is carried, and set
to 0 where a new session begins. Negatives are the other items of the batch, and further ones in proportion to supp_i^alpha.

Differs from the papers: gradients reach one step back, as in the authors' code; all items are negatives where these are no more than
`samples`, so that the softmax is exact; a negative that is the row's own item is left out; ln Q is that of batch and sample together,
ln(B p_i + S q_i); long sessions begin rather early in a pass, so that few lanes outlast the others, and one of more than 1,024 events,
and more than a lane has in all, is trained in pieces, each from h = 0; there is one layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.file_order import check_order
from twofold.data.interactions import Histories
from twofold.data.sequences import trajectories
from twofold.errors import DataError, need
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels import recurrent
from twofold.kernels.dense import add_products
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.sequence._gru4rec_parts import GRU as GRU
from twofold.models.sequence._gru4rec_parts import LSTM as LSTM
from twofold.models.sequence._gru4rec_parts import RNN as RNN
from twofold.models.sequence._gru4rec_parts import TOP1 as TOP1
from twofold.models.sequence._gru4rec_parts import AnyCell, AnyLoss
from twofold.models.sequence._gru4rec_parts import BPRLoss as BPRLoss
from twofold.models.sequence._gru4rec_parts import BPRMax as BPRMax
from twofold.models.sequence._gru4rec_parts import CrossEntropy as CrossEntropy
from twofold.models.sequence._gru4rec_parts import TOP1Max as TOP1Max
from twofold.models.sequence._next_item import foresight, last_of_each, with_a_next_item
from twofold.nn.optimisers import Adagrad, Optimiser
from twofold.random import generator
from twofold.typing import F32, I32, I64, Rng

RUN = {"rnn": recurrent.run_rnn, "lstm": recurrent.run_lstm, "gru": recurrent.run_gru}
"""The kernel of each cell."""


@hyperparameters
class GRU4Rec:
    """Predict the next item of a session with a recurrent network.

    Values are not read: every event counts as one. Repeated items stay. Without times the order of the log counts.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> model = GRU4Rec(factors=8, epochs=20).fit(planted_log(), rng=0)
    >>> state = model.start(model.memory.history.take([0]))
    >>> state = model.advance(state, model.items.ids.rows(["i3"]))  # one event, one step
    >>> model.encode_state(state).shape
    (1, 9)
    """

    factors: Annotated[PositiveInt, Search(32, 256, log=True)] = 64
    """H: units of the cell and size of the item vectors; the papers have 100 and 1000."""
    cell: AnyCell = Field(default_factory=GRU)
    """``RNN()`` (tanh), ``LSTM()`` or ``GRU()``."""
    embedding: Literal["shared", "separate", "one-hot"] = "shared"
    """What x is: the vectors that items are scored with, vectors of its own, or one-hot as in 2016."""
    loss: AnyLoss = Field(default_factory=CrossEntropy)
    """``CrossEntropy()``, ``BPRLoss()``, ``TOP1()``, ``BPRMax()`` or ``TOP1Max()``."""
    samples: NonNegativeInt | None = 2048
    """Negatives a batch beside its own items; None = all items are negatives."""
    samples_exponent: Annotated[float, Field(ge=0, le=1), Search(0.0, 1.0)] = 0.75
    """alpha: items are sampled in proportion to supp_i^alpha."""
    dropout_embedding: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.0
    """Share of x that is zeroed in training; of a one-hot x, share of the events that are not read."""
    dropout_hidden: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.0
    """Share of h that is zeroed in training before items are scored."""
    optimiser: Optimiser = Field(default_factory=lambda: Adagrad(learning_rate=0.1))
    """``Adagrad(learning_rate=..., momentum=...)`` as the papers, ``Adam()`` or ``SGD()``."""
    batch_size: PositiveInt = 128
    """Sessions side by side."""
    gap: PositiveFloat | None = None
    """Seconds without an event after which a new session begins; None = never."""
    session: str | None = None
    """Context column: where its entry changes a new session begins. Without `gap` and this a history is one session."""
    epochs: Annotated[PositiveInt, Search(5, 40)] = 10
    """Passes over the sessions, at most."""
    patience: PositiveInt = 3
    """With validation: stop after so many passes without a better one."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedGRU4Rec:
        """Train the network.

        Parameters
        ----------
        train
            The log; each user's history is a session, or several with `gap` or `session`.
        validation
            Later events: the pass that ranks the first one of known people, and the last one of new people, best is kept.
        rng
            Seed or generator; the same seed gives the same model.

        Raises
        ------
        DataError
            If the log is empty, no session has two events, or `gap` is given and there are no times.
        ConfigError
            If there is no column `session`.
        MissingDependencyError
            If torch is not installed.
        NotConvergedError
            If training leaves the finite numbers.
        """
        random = generator(rng)
        memory = Memory.of(train)
        check_order(train.interactions, "GRU4Rec")
        need("torch", "deep")
        # torch is imported only where something is trained.
        from twofold.models.sequence import _gru4rec_training as training

        sessions = trajectories(train.interactions, gap=self.gap, session=self.session)
        chosen = with_a_next_item(sessions.lengths, "GRU4Rec")
        unread = FittedGRU4Rec(
            estimator=self, memory=memory, weights={}, states=np.zeros((0, 0), np.float32)
        )
        weights, best = training.fit_network(
            self,
            memory.history.item,
            sessions.indptr[chosen],
            sessions.lengths[chosen] - 1,
            train.n_items,
            lambda of: foresight(
                memory,
                validation,
                lambda asked: replace(unread, weights=of()).fold_in(asked),
                lambda: of()["items.weight"],
            ),
            random,
        )
        model = replace(unread, weights=weights, best_epoch=best)
        check_finite("item_vectors", model.item_vectors, "lower the learning rate of `optimiser`")
        newest = last_of_each(memory.history, sessions)
        return replace(model, states=model.start(newest).rows)


@dataclass(frozen=True, eq=False)
class State:
    """What the events of n people have left: h, for the LSTM h and c side by side, shape (n, H or 2 H), read-only."""

    rows: F32

    def __post_init__(self) -> None:
        """Freeze the array."""
        self.rows.flags.writeable = False

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedGRU4Rec(FittedModel):
    """The cell, the items, and the state of everybody; (h, 1) . (v_i, b_i) is the score."""

    weights: Mapping[str, F32]
    states: F32  # (n_users, H or 2 H), after the last event of training
    best_epoch: int | None = None
    """Pass whose weights are kept, the last one without validation; a larger log can be learned for as long. None where an older release fitted."""

    def verify(self) -> None:
        """Refuse weights and states that do not belong to the users, the items and the cell.

        Raises
        ------
        DataError
            Saying which.
        """
        model: GRU4Rec = self.estimator
        h, n = model.factors, len(self.items)
        gates, states = {"rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}[model.cell.kind]
        wanted = {
            "items.weight": (n, h + 1),
            "cell.recurrent": (h, gates * h),
            "cell.bias": (gates * h,),
        }
        match model.embedding:
            case "shared":
                wanted["cell.inputs"] = (h, gates * h)
            case "separate":
                wanted |= {"inputs.weight": (n, h), "cell.inputs": (h, gates * h)}
            case "one-hot":
                wanted["inputs.weight"] = (n, gates * h)
        found = {name: one.shape for name, one in self.weights.items()}
        if found != wanted or self.states.shape != (len(self.users), states * h):
            raise DataError(
                f"the weights {found} and states {self.states.shape} are not those of {len(self.users)} "
                f"users and {n} items with {h} units; these are {wanted}"
            )

    @property
    def item_vectors(self) -> F32:
        """v_i, and b_i as one more coordinate; shape (n_items, H + 1)."""
        return self.weights["items.weight"]

    def similarity_of(self, vectors: F32) -> F32:
        """Return v_i alone, shape (j, H)."""
        return vectors[:, :-1]

    @property
    def unknown_user(self) -> F32:
        """The vector of somebody who has done nothing: h = 0, so that an item's score is its bias; shape (H + 1,)."""
        return np.append(np.zeros(self.estimator.factors), 1).astype(np.float32)

    @cached_property
    def inputs(self) -> F32:
        """W x + b of every item, shape (n_items, gates H): the part of a step that does not depend on the state."""
        model: GRU4Rec = self.estimator
        if model.embedding == "one-hot":
            return self.weights["inputs.weight"] + self.weights["cell.bias"]
        own = model.embedding == "separate"
        x = self.weights["inputs.weight"] if own else self.item_vectors[:, : model.factors]
        out = np.repeat(self.weights["cell.bias"][None], len(x), axis=0)
        add_products(np.ascontiguousarray(x), self.weights["cell.inputs"], out)
        return out

    def start(self, histories: Histories) -> State:
        """Return the state of n people after their histories; an empty one leaves h = 0.

        With `gap` only the events after the last pause count, where the histories have times. Costs a step an event; a history
        may be longer than any in training.
        """
        gap = self.estimator.gap
        if gap is not None and histories.time is not None:
            histories = last_of_each(histories, trajectories(histories, gap=gap))
        size = self.estimator.factors * (2 if self.estimator.cell.kind == "lstm" else 1)
        rows = np.zeros((len(histories), size), np.float32)
        self._run(histories.item, histories.indptr, rows)
        return State(rows)

    def remembered(self, users: I32) -> State:
        """Return the state of known users (rows, (n,)) after the last event of training; nothing is replayed."""
        return State(self.states[users])

    def advance(self, state: State, items: I32) -> State:
        """Return the state of n people after one more event each; `state` itself stays as it is.

        The event belongs to the session of the state; after a pause begin with `start` anew.

        Parameters
        ----------
        state
            Of n people, from `start`, `remembered` or `advance`.
        items : shape (n,)
            Rows of the items (``model.items.ids.rows([...])``); -1, an unknown item, changes nothing.

        Raises
        ------
        DataError
            If there are not n items, or one is no row of the catalogue.
        """
        rows = np.asarray(items, np.int32)
        if rows.shape != (len(state),):
            raise DataError(f"items have the shape {rows.shape}; one item for each of {len(state)}")
        if len(rows) and not -1 <= rows.min() <= rows.max() < len(self.items):
            raise DataError(
                f"an item row is outside -1 ... {len(self.items) - 1}; see model.items.ids.rows"
            )
        after = state.rows.copy()
        self._run(rows, np.arange(len(rows) + 1, dtype=np.int64), after)
        return State(after)

    def follow(
        self, state: State | None, user: int, items: I32, times: I64, last: int | None
    ) -> State | None:
        """Return the state of one person after n more events, which begin anew after the last pause of `gap`; a step an event.

        Parameters
        ----------
        state
            Of one person; None = as training left `user`, a row, -1 = somebody new.
        user
            The row.
        items, times : shape (n,)
            Rows of the items, and seconds; times are read where the model has a `gap`.
        last
            Time of the event before these; None where there is none.

        Returns
        -------
        State | None
            None where sessions are cut by a column, which events do not tell: fold the history in.
        """
        model: GRU4Rec = self.estimator
        if model.session is not None:
            return None
        begins = 0
        if model.gap is not None and len(items):
            pauses = np.flatnonzero(np.diff(times, prepend=times[0] if last is None else last) > model.gap)  # fmt: skip
            if len(pauses):
                begins, state, user = int(pauses[-1]), None, -1
        if state is None:
            known = user >= 0
            state = self.remembered(np.array([user], np.int32)) if known else self.start(Histories.empty(1))  # fmt: skip
        after = state.rows.copy()
        rows = np.ascontiguousarray(items[begins:], np.int32)
        self._run(rows, np.array([0, len(rows)], np.int64), after)
        return State(after)

    def encode_state(self, state: State) -> F32:
        """Return the vectors of n people, shape (n, H + 1): what `fold_in` of all their events would be."""
        h = self.estimator.factors
        out = np.ones((len(state), h + 1), np.float32)
        out[:, :h] = state.rows[:, :h]
        return out

    def fold_in(self, histories: Histories) -> F32:
        """Return (h, 1) after each history, shape (n, H + 1)."""
        return self.encode_state(self.start(histories))

    def lookup(self, users: I32) -> F32:
        """Return (h, 1) of known users, shape (n, H + 1)."""
        return self.encode_state(self.remembered(users))

    def _run(self, items: I32, indptr: np.ndarray, rows: F32) -> None:
        run = RUN[self.estimator.cell.kind]
        run(self.inputs, self.weights["cell.recurrent"], items, indptr, rows)
