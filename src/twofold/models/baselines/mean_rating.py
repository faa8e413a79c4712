"""Mean ratings: the first honest baseline where ratings are predicted.

Koren (2010), "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering", ACM TKDD 4(1),
section 2.1. With mu the mean of all ratings, R(i) those of an item and R(u) those of a user,

    b_i = sum over R(i) of (r_ui - mu) / (lambda_2 + |R(i)|)
    b_u = sum over R(u) of (r_ui - mu - b_i) / (lambda_3 + |R(u)|)

and the prediction is mu + b_u + b_i. lambda_2 = `item_damping`, lambda_3 = `user_damping`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import NonNegativeFloat

from twofold.data.dataset import Dataset
from twofold.data.interactions import Histories
from twofold.hyperparameters import Search, hyperparameters
from twofold.models._base import FittedModel, Memory
from twofold.models.factorization._ratings import clipped
from twofold.typing import F32, F64, I32, I64, Rng


@hyperparameters
class MeanRating:
    """Predict a rating as mu + b_u + b_i, means drawn towards mu where few ratings speak.

    Example
    -------
    >>> import twofold as tw
    >>> log = {"u": [1, 1, 2], "i": ["a", "b", "a"], "r": [5, 3, 4]}
    >>> data = tw.Dataset.from_frames(log, user="u", item="i", value="r")
    >>> model = MeanRating(item_damping=0, user_damping=0).fit(data)
    >>> model.predict({"user": [2], "item": ["b"]})["score"].to_list()
    [3.0]
    """

    item_damping: Annotated[NonNegativeFloat, Search(1.0, 50.0, log=True)] = 25.0
    """lambda_2: so many ratings of the mean mu are counted beside those of an item; 25 in the paper."""
    user_damping: Annotated[NonNegativeFloat, Search(1.0, 50.0, log=True)] = 10.0
    """lambda_3: so many ratings of the mean mu + b_i are counted beside those of a user; 10 in the paper."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedMeanRating:
        """Average.

        Parameters
        ----------
        train
            The ratings; a pair that occurs twice counts twice. Without values all are 1.
        validation, rng
            Not used.

        Raises
        ------
        DataError
            If the log is empty.
        """
        del validation, rng
        memory = Memory.of(train)
        events = train.interactions
        mean = float(events.value.mean(dtype=np.float64))
        left_over = events.value.astype(np.float64) - mean
        item_bias = damped_means(events.item, left_over, events.n_items, self.item_damping)
        user_bias = damped_means(
            events.user, left_over - item_bias[events.item], events.n_users, self.user_damping
        )
        return FittedMeanRating(
            estimator=self,
            memory=memory,
            mean=mean,
            user_bias=user_bias.astype(np.float32),
            item_bias=item_bias.astype(np.float32),
        )


def damped_means(group: I32 | I64, values: F64, n: int, damping: float) -> F64:
    """Return the sum of the `values` (m,) of each group over their number plus `damping`; shape (n,), 0 where there are none.

    Example
    -------
    >>> damped_means(np.array([0, 0, 2]), np.array([1.0, 3.0, 4.0]), 3, damping=2.0).tolist()
    [1.0, 0.0, 1.3333333333333333]
    """
    count = np.bincount(group, minlength=n) + damping
    return np.bincount(group, values, n) / np.where(count > 0, count, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedMeanRating(FittedModel):
    """A user is (1, mu + b_u) and an item (b_i, 1); lists are those of the best liked items."""

    predicts_values: ClassVar[bool] = True

    mean: float
    user_bias: F32  # (n_users,)
    item_bias: F32  # (n_items,)

    @property
    def item_vectors(self) -> F32:
        """The items as (b_i, 1), shape (n_items, 2)."""
        return np.stack([self.item_bias, np.ones_like(self.item_bias)], axis=1)

    def lookup(self, users: I32) -> F32:
        """Return the users as (1, mu + b_u), shape (n, 2)."""
        return self._people(self.user_bias[users])

    def fold_in(self, histories: Histories) -> F32:
        """Return people by the mean of what mu and b_i leave of their ratings, shape (n, 2)."""
        left_over = histories.value.astype(np.float64) - self.mean - self.item_bias[histories.item]
        n = len(histories)
        who = np.repeat(np.arange(n), np.diff(histories.indptr))
        return self._people(damped_means(who, left_over, n, self.estimator.user_damping))

    def _people(self, bias: F32 | F64) -> F32:
        return np.stack([np.ones_like(bias), self.mean + bias], axis=1).astype(np.float32)

    def values(self, scores: F32) -> F32:
        """Cut scores to the range of the training ratings."""
        return clipped(scores, self.memory.value_range)

    @property
    def unknown_user(self) -> F32:
        """Somebody without a bias."""
        return np.array([1.0, self.mean], np.float32)

    @property
    def unknown_item(self) -> F32:
        """An item without a bias."""
        return np.array([0.0, 1.0], np.float32)
