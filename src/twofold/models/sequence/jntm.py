"""The joint network and trajectory model (JNTM).

Yang, Sun, Zhao, Liu & Chang (2017), "A Neural Network Approach to Jointly Modeling Social Networks and Mobile
Trajectories", TOIS 35(4). With F_u the network vector of a user, C_u the context vector, and x_t the state from which
event t is predicted,

    P(edge i -> j) = sigma(C_j . F_i)
    P(l_t = l) = softmax over l of U'_l . x_t,    x_t = [P_u; F_u; S_t; h_t]
    L = sum ln P(edges) + ln P(not the drawn non-edges) + sum ln P(events)

P_u is what the user likes, S_t a recurrent state that begins anew in each sub-trajectory, h_t a gated state that has
read all places of the sub-trajectories before; `twofold.kernels.trajectories` has their formulas.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from twofold.data.dataset import Dataset
from twofold.data.file_order import check_order
from twofold.errors import ConfigError, DataError
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import Memory, check_finite
from twofold.models.sequence import _jntm_friends as social
from twofold.models.sequence import _jntm_training as training
from twofold.models.sequence._jntm_fitted import FittedJNTM
from twofold.progress import track
from twofold.random import generator
from twofold.typing import I64, Rng

__all__ = ["JNTM", "FittedJNTM"]

log = logging.getLogger(__name__)
ADVICE = "lower `learning_rate` or raise the penalties"


@hyperparameters
class JNTM:
    """Predict the next place from taste, friends, the last places and all places before; and friends with it.

    Places may come again. Values are not read. Without links only trajectories are learned; without times, or
    with ``gap=None``, a user's history is one trajectory.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2, 2, 3, 3], "i": list("ababcd"), "t": [0, 60, 0, 60, 0, 60]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", time="t", links={"a": [1], "b": [2]})
    >>> model = tw.models.JNTM(factors=4, epochs=40).fit(data, rng=0)
    >>> state = model.start(model.memory.history.take([2]))
    >>> state = model.advance(state, model.items.ids.rows(["a"]), np.array([120]))  # one event, one step
    >>> model.encode_state(state).shape
    (1, 16)
    >>> model.recommend_friends([3], k=1).columns
    ['user', 'rank', 'friend', 'score']
    """

    factors: Annotated[PositiveInt, Search(16, 128, log=True)] = 32
    """d: numbers in each vector and state; the vector of a place has d for each part in use."""
    objective: Literal["joint", "trajectories", "network"] = "joint"
    """Which likelihoods are climbed; with ``network`` a place is the mean network vector of its visitors."""
    preference: bool = True
    """Whether P_u is a part of the state."""
    friends: bool = True
    """Whether the network vector F_u is a part of the state; false keeps the two likelihoods apart."""
    short_term: bool = True
    """Whether the recurrent state S_t of the sub-trajectory is a part of the state."""
    long_term: bool = True
    """Whether the gated state h_t of the sub-trajectories before is a part of the state."""
    gap: NonNegativeFloat | None = 21_600.0
    """Seconds between two events of a user after which a sub-trajectory begins; None = never."""
    epochs: Annotated[PositiveInt, Search(5, 40)] = 20
    """Passes over the trajectories, at most."""
    network_passes: Annotated[NonNegativeInt, Search(1, 50, log=True)] = 10
    """Passes over the network before each pass over the trajectories: its weight in the sum; the paper has 50."""
    batch_size: PositiveInt = 32
    """Users whose gradients are added up for one step."""
    learning_rate: Annotated[PositiveFloat, Search(0.02, 0.5, log=True)] = 0.1
    """Step of AdaGrad, before it is divided by the root of the summed squares."""
    reg_user: Annotated[NonNegativeFloat, Search(0.01, 30, log=True)] = 3.0
    """L2 penalty on P and F: reg_user / 2 times their squared length, beside the summed -ln p of each pass that moves them, so that F's counts in the passes over the network too."""
    reg_item: Annotated[NonNegativeFloat, Search(0.3, 30, log=True)] = 1.5
    """L2 penalty on the vectors of places, in the same way."""
    reg_context: Annotated[NonNegativeFloat, Search(0.3, 30, log=True)] = 4.0
    """L2 penalty on C, in the same way."""
    negatives: Annotated[float, Field(gt=0, le=1), Search(0.01, 1, log=True)] = 1.0
    """Chance of each other place to be in the softmax of an event, drawn anew each time; 1 = all of them; the paper has 0.01."""
    strangers: Annotated[float, Field(gt=0, le=1), Search(0.001, 0.1, log=True)] = 0.003
    """Chance of each user who is no friend to stand for a non-edge, drawn anew in each pass; the paper has 0.01."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.8)] = 0.7
    """Chance of each number of S and h to be 0 where a place of training is predicted; the others are divided by what is left of 1."""
    state_clip: PositiveFloat = 15.0
    """Largest norm of the gradient of a recurrent state."""
    network_clip: PositiveFloat = 20.0
    """F is kept inside -network_clip ... network_clip."""
    init_scale: PositiveFloat = 0.3
    """Initial numbers are drawn evenly from -init_scale ... init_scale."""
    directed: bool = False
    """Whether a link counts from its first user to the second only; false makes friends of both."""
    patience: PositiveInt = 3
    """With validation: stop after so many passes without a better one."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedJNTM:
        """Climb both likelihoods in turn.

        Parameters
        ----------
        train
            The log, with ``links`` between its users; a link to oneself, or given again, counts for nothing.
        validation
            Later events of the same people: the pass that ranks the first one of each best is kept.
        rng
            Seed or generator; the same seed gives the same model for every number of threads.

        Raises
        ------
        DataError
            If the log is empty, or `objective` is ``network`` and there are no links between two users.
        NotConvergedError
            If training leaves the finite numbers.

        Notes
        -----
        Differs from the paper: of the released code's bugs none is kept: its backward pass reads the candidate where the state before is
        needed, and moves two biases by the gradient of a third. Gradients reach back over the whole history. The order of users is drawn anew
        in each pass. P, F, C and the places have L2 penalties (`reg_user`, `reg_context`, `reg_item`; that on F counts in each of the
        `network_passes` and in the pass over trajectories), and S and h have `dropout`, 0.7 by default, chosen on validation (0 turns it off).
        The paper's ``negatives=0.01``, ``strangers=0.01`` and ``network_passes=50`` are not the defaults. On validation, friends held out of
        the network are told better with ``strangers=0.003``, about eleven strangers beside four friends; in a network of other size or density
        set it so that strangers are a few times as many as friends. With 5 % of the places in the softmax a pass costs a third and the first
        passes get further, but from the twelfth the ranking gets worse again, and ends below that of the whole softmax (``negatives=1``, the
        default, as products of matrices); with a catalogue of many tens of thousands lower it.
        """
        memory, random = Memory.of(train), generator(rng)
        check_order(train.interactions, "JNTM")
        friends = social.friends_of(train.links, train.n_users, directed=self.directed)
        if self.objective == "network" and not len(friends[1]):
            raise DataError(
                "JNTM with objective='network' needs links between users, and there are none; give "
                "links= when the data are read, or use objective='trajectories'"
            )
        passes = self.network_passes if len(friends[1]) and self.objective != "trajectories" else 0
        data = training.Trajectories.of(memory.history, self.gap)
        parts, wide = self.layout()
        now = training.Parameters.drawn(
            train.n_users, train.n_items, self.factors, wide, self.init_scale, random
        )

        def made(at: training.Parameters) -> FittedJNTM:
            return FittedJNTM.of(self, memory, at, friends, knows_network=passes > 0)

        best, top, waited, kept = None, -np.inf, 0, self.epochs
        # One sum of squares for both likelihoods: F climbs their sum, not each by steps of its own length.
        sums, size = now.zeros(), self.batch_size
        for epoch in track(range(1, self.epochs + 1), "JNTM"):
            edges = events = 0.0
            for _ in range(passes):
                edges = training.network_pass(friends, size, self.pace, now, sums, random)
            if self.objective != "network":
                events = training.trajectory_epoch(data, size, parts, self.pace, now, sums, random)
            log.debug(
                "JNTM epoch %d/%d: -ln p %.4f of an event, %.4f of a user's edges",
                epoch, self.epochs, events, edges,
            )  # fmt: skip
            for name, array in now._asdict().items():
                check_finite(name, array, ADVICE)
            if validation is None:
                continue
            found = made(now).foresight(validation)
            waited = 0 if found > top else waited + 1
            if found > top:
                top, best, kept = found, now.copies(), epoch
            if waited == self.patience:
                break
        return replace(made(best or now), best_epoch=kept)

    @property
    def pace(self) -> training.Pace:
        """How steps are made."""
        return training.Pace(
            self.learning_rate, self.reg_user, self.reg_item, self.reg_context, self.negatives,
            self.strangers, self.state_clip, self.network_clip, self.dropout,
        )  # fmt: skip

    def layout(self) -> tuple[I64, int]:
        """Return where preference, friends, short and long term begin in a state, -1 = left out, and its length."""
        use = (self.preference, self.friends, self.short_term, self.long_term)
        if self.objective == "network":
            use = (False, True, False, False)
        if not any(use):
            raise ConfigError(
                "JNTM has no part left to predict places from: keep one of preference, friends, short_term, "
                "long_term, or set objective='network'"
            )
        places = np.cumsum([0, *use])[:-1] * self.factors
        return np.where(use, places, -1).astype(np.int64), sum(use) * self.factors
