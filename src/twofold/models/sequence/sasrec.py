"""Self-attentive sequential recommendation (SASRec).

Kang & McAuley (2018), "Self-Attentive Sequential Recommendation", ICDM. With M the item vectors and P those of n places,

    x_t = sqrt(d) M_{s_t} + P_t,                                                       Eq. 1
    x = x + drop(SA(norm(x))),  x = x + drop(FFN(norm(x)))   in each of b blocks,      Eq. 2 to 5
    SA(x) = softmax(x W^Q (x W^K)' / sqrt(d)) x W^V  over the places up to t,
    r_i,t = M_i . norm(x_t),                                                           Eq. 6

learned by telling the item after each place from one drawn at random (Eq. 7), all places of a history at once.

Differs from the paper: queries, keys and values are all of norm(x), as the paper writes and its code does not; items are scaled by
sqrt(d) and a norm stands at the end, as in the authors' code; nothing is padded in front: the newest event stands at place n however
short the history, in training as in serving; attention can have several heads; the loss can be a softmax over all or sampled items,
and is by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.file_order import check_order
from twofold.data.interactions import Histories
from twofold.errors import ConfigError, DataError, need
from twofold.hyperparameters import Search, hyperparameters
from twofold.kernels.self_attention import encode_histories
from twofold.models._base import FittedModel, Memory, check_finite
from twofold.models.sequence._next_item import foresight, with_a_next_item
from twofold.random import generator
from twofold.typing import F32, I32, Rng

VECTORS = (
    "before_attention.weight",
    "before_attention.bias",
    "before_layers.weight",
    "before_layers.bias",
    "inner_bias",
    "outer_bias",
)
"""The vectors of a block, in the order in which the kernel reads them."""


@hyperparameters
class Binary:
    """-ln sigma(r_i) - sum_j ln(1 - sigma(r_j)): the next item against ones that the person never took (Eq. 7)."""

    kind: Literal["binary"] = "binary"
    """The tag in files."""
    negatives: PositiveInt = 1
    """Items drawn uniformly for each place; the paper has 1."""


@hyperparameters
class Softmax:
    """-ln softmax(r)_i over all items, or over sampled ones whose scores are lowered by ln Q."""

    kind: Literal["softmax"] = "softmax"
    """The tag in files."""
    samples: PositiveInt | None = 1024
    """Items drawn for a batch; None = all, as where there are no more items than that."""
    exponent: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Items are drawn in proportion to (1 + their count) to this power."""


AnyLoss: TypeAlias = Annotated[Binary | Softmax, Field(discriminator="kind")]


@hyperparameters
class SASRec:
    """Predict the next item from the last ones by causal self-attention.

    Values are not read: every event counts as one. Repeated items stay. Without times the order of the log counts.

    Example
    -------
    >>> from twofold.testing import planted_log
    >>> model = SASRec(factors=8, length=20, epochs=40, dropout=0.1).fit(planted_log(), rng=0)
    >>> odd = model.recommend(histories=[["i1", "i5", "i9"]], k=3)["item"].to_list()
    >>> all(int(one[1:]) % 2 for one in odd)
    True
    """

    factors: Annotated[PositiveInt, Search(32, 256, log=True)] = 64
    """d: size of all vectors, a multiple of `heads`; the paper has 50."""
    length: PositiveInt = 50
    """n: how many of the last events are read."""
    blocks: Annotated[PositiveInt, Search(1, 4)] = 2
    """b: attention and dense layers, one after the other."""
    heads: PositiveInt = 1
    """Parts of a vector that attend on their own; the paper has 1."""
    loss: AnyLoss = Field(default_factory=Softmax)
    """``Binary()`` as in the paper, or ``Softmax()``."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.7)] = 0.5
    """Share that is zeroed in training: of the first x, the attention weights, the hidden units of the feed-forward part, and what each part adds."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 1e-2, log=True)] = 0.001
    """Step size of Adam."""
    batch_size: PositiveInt | None = None
    """Histories a step; None = 32, or as many as leave a pass 40 steps where people are few. The paper has 128."""
    epochs: Annotated[PositiveInt, Search(10, 200)] = 30
    """Passes over the histories, at most."""
    patience: PositiveInt = 5
    """With validation: stop after so many passes without a better one."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedSASRec:
        """Train the network.

        Parameters
        ----------
        train
            The log; of each user the last ``length + 1`` events are learned from.
        validation
            Later events: the pass that ranks the first one of known people, and the last one of new people, best is kept.
        rng
            Seed or generator; the same seed gives the same model.

        Raises
        ------
        ConfigError
            If `factors` is no multiple of `heads`.
        DataError
            If the log is empty, or nobody has two events.
        MissingDependencyError
            If torch is not installed.
        NotConvergedError
            If training leaves the finite numbers.
        """
        if self.factors % self.heads:
            raise ConfigError(
                f"SASRec.factors got {self.factors}, which is no multiple of heads ({self.heads})"
            )
        random = generator(rng)
        memory = Memory.of(train)
        check_order(train.interactions, "SASRec")
        need("torch", "deep")
        # torch is imported only where something is trained.
        from twofold.models.sequence import _sasrec_training as training

        history = memory.history
        chosen = with_a_next_item(history.lengths, "SASRec")
        unread = FittedSASRec(
            estimator=self, memory=memory, weights={}, user_vectors=np.zeros((0, 0), np.float32)
        )
        weights, best = training.fit_network(
            self,
            history.take(chosen),
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
        check_finite("item_vectors", model.item_vectors, "lower learning_rate")
        return replace(model, user_vectors=model.fold_in(history))


class Packed(NamedTuple):
    """The weights of L blocks as the kernel reads them."""

    attention: F32  # (L, d, 3 d): queries, keys, values
    dense: F32  # (L, 2, d, d): inner, outer
    vectors: F32  # (L, 6, d): gain and shift before the attention, before the layers, biases inner and outer
    last: F32  # (2, d): gain and shift at the end


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedSASRec(FittedModel):
    """The network, and the vector of everybody.

    One more event costs a replay of the last `length` of them: all places move back by one.
    """

    weights: Mapping[str, F32]
    user_vectors: F32  # (n_users, d)
    best_epoch: int | None = None
    """Pass whose weights are kept, the last one without validation; a larger log can be learned for as long. None where an older release fitted."""

    def verify(self) -> None:
        """Refuse weights and vectors that do not belong to the users, the items and the blocks.

        Raises
        ------
        DataError
            Saying which.
        """
        model: SASRec = self.estimator
        d = model.factors
        wanted: dict[str, tuple[int, ...]] = {
            "items.weight": (len(self.items), d),
            "places.weight": (model.length, d),
            "last.weight": (d,),
            "last.bias": (d,),
        }
        for at in range(model.blocks):
            block = f"blocks.{at}"
            wanted[f"{block}.attention"] = (d, 3 * d)
            wanted |= {f"{block}.{name}": (d, d) for name in ("inner", "outer")}
            wanted |= {f"{block}.{name}": (d,) for name in VECTORS}
        found = {name: one.shape for name, one in self.weights.items()}
        if found != wanted or self.user_vectors.shape != (len(self.users), d):
            raise DataError(
                f"the weights {found} and user vectors {self.user_vectors.shape} are not those of "
                f"{len(self.users)} users and {len(self.items)} items; these are {wanted}"
            )

    @property
    def item_vectors(self) -> F32:
        """M, shape (n_items, d)."""
        return self.weights["items.weight"]

    @cached_property
    def packed(self) -> Packed:
        """The weights of the blocks, side by side."""
        w, blocks = self.weights, [f"blocks.{at}" for at in range(self.estimator.blocks)]
        return Packed(
            np.stack([w[f"{one}.attention"] for one in blocks]),
            np.stack([[w[f"{one}.inner"], w[f"{one}.outer"]] for one in blocks]),
            np.stack([[w[f"{one}.{name}"] for name in VECTORS] for one in blocks]),
            np.stack([w["last.weight"], w["last.bias"]]),
        )

    def fold_in(self, histories: Histories) -> F32:
        """Return the vector after each history, shape (n, d); of a longer one the last `length` events are read.

        An empty history is the zero vector. Costs at most ``length * blocks * (5 d^2 + 2 length d)`` products.
        """
        out = np.empty((len(histories), self.estimator.factors), np.float32)
        encode_histories(
            self.weights["items.weight"],
            self.weights["places.weight"],
            *self.packed,
            self.estimator.heads,
            histories.item,
            histories.indptr,
            out,
        )
        return out

    def lookup(self, users: I32) -> F32:
        """Return the vectors of known users after their last event of training, shape (n, d)."""
        return self.user_vectors[users]
