"""Errors of predicted ratings, user by user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError
from twofold.evaluation.questions import Questions
from twofold.metrics.names import Metric
from twofold.models._base import FittedModel
from twofold.recommend import pair_scores
from twofold.typing import F64

BLOCK_EVENTS = 65_536
"""Ratings predicted at a time."""


def rating_errors(
    model: FittedModel,
    questions: Questions,
    metrics: tuple[Metric, ...],
    *,
    drop_unknown: bool = False,
) -> dict[str, tuple[F64, F64]]:
    """Return for rmse and mae each user's summed squared or absolute error, and of how many ratings.

    With `drop_unknown`, ratings of items that the model does not know are left out.

    Raises
    ------
    ConfigError
        If the model predicts no ratings, or the log has none.
    """
    wanted = [metric for metric in metrics if metric.family == "rating"]
    events = questions.users.interactions
    if not wanted:
        return {}
    if not model.predicts_values or not events.has_value:
        raise ConfigError(
            f"{wanted[0].name} needs a model that predicts ratings and a log that has them; "
            f"{type(model.estimator).__name__} on this log does not: leave it out"
        )
    items = model.items.ids.rows(questions.users.items.ids.ids)
    error = np.empty(len(events))
    for start in range(0, len(events), BLOCK_EVENTS):
        some = np.arange(start, min(start + BLOCK_EVENTS, len(events)), dtype=np.int64)
        part = events.take(some)
        asked = replace(questions.queries.take(part.user), time=part.time, context=part.context)
        predicted = pair_scores(model, asked, items[part.item])
        error[some] = np.abs(predicted.astype(np.float64) - part.value)
    n = len(questions.queries)
    used = items[events.item] != UNKNOWN if drop_unknown else np.ones(len(events), np.bool_)
    count = np.bincount(events.user[used], minlength=n).astype(np.float64)
    sums = {
        metric.name: np.bincount(
            events.user[used], (error**2 if metric.base == "rmse" else error)[used], n
        )
        for metric in wanted
    }
    return {name: (one.astype(np.float64), count) for name, one in sums.items()}
