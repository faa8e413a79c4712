"""Measure one fitted model on one held-out part: what is asked, the values with their intervals, the report."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from twofold.errors import ConfigError
from twofold.evaluation.blocks import Tally, rank_all
from twofold.evaluation.questions import (
    CandidateItems,
    Questions,
    UnknownItems,
    held_out,
    policies,
    with_held_out_items,
)
from twofold.evaluation.ratings import rating_errors
from twofold.evaluation.report import Report
from twofold.evaluation.rolling import Ask, Asking, New, ask_along, by_user
from twofold.evaluation.slices import sliced
from twofold.evaluation.uncertainty import bootstrap
from twofold.expected import check_fitted, check_split
from twofold.metrics import coverage, gini, parse
from twofold.metrics.names import Metric
from twofold.models._base import FittedModel
from twofold.random import generator, kernel_seed
from twofold.rank import SOURCES
from twofold.split import Split, check_leaks
from twofold.split.leaks import raise_for, remembered_targets
from twofold.typing import F64, Rng
from twofold.unseen import tell

DEFAULT = ("ndcg@10", "recall@10", "map@10", "mrr@10", "hit@10", "coverage@10", "novelty@10")
"""Metrics where none are named."""
DEFAULT_RATING = ("rmse", "mae")
"""Added for models that predict ratings, on logs that have them."""


def evaluate(
    model: FittedModel,
    split: Split,
    metrics: Sequence[str] | None = None,
    *,
    part: str = "test",
    ask: Ask = "each user",
    up_to_date: bool | None = None,
    new: New | None = None,
    exclude_seen: bool | None = None,
    unknown_items: UnknownItems = "count",
    candidates: CandidateItems = "all",
    relevant_from: float | None = None,
    confidence: float = 0.95,
    rng: Rng = 0,
) -> Report:
    """Measure a fitted model on a held-out part, ranking the whole catalogue for every question.

    Columns of the questions most values of which the model never learned, and context columns that it reads and a
    part asked along its events lacks, are told in a warning and in the notes of the report.

    Parameters
    ----------
    model
        Fitted on ``split.train``.
    split
        The split; its leak check runs first.
    metrics
        Names such as ``ndcg@10``, ``recall@20``, ``auc``, ``rmse``; see docs/metrics.md.
    part
        ``test`` or ``validation``.
    ask
        ``each user`` once, for all that the part holds of them; or ``each event``: every held-out event is a
        question of its own with one target (next item, next place), asked with its time and context columns,
        and metrics are means over events; or ``each basket``: what a user took at one time is one question.
    up_to_date
        Whether a question tells all that its user did before it, in training and since, so that a model that
        folds histories in answers from that; False = models answer from what they remember of training.
        None = where events or baskets are asked for.
    new
        Ask only for items that are new to the user: never had ``before`` the question, or not in ``training``
        (before the part; Yang et al. 2017, "next new location"). What is not new is then hidden.
    exclude_seen
        Leave out what each user has used before; None = unless the split keeps repeats, or `new` is given.
    unknown_items
        Targets that training never saw: ``count`` them as missed, ``drop`` them, or place all items of
        the part that training never saw by their ``content`` (`FittedModel.with_items`) before ranking.
        `Popularity` and `MeanRating` place them too, with the score 0 or the mean.
    candidates
        ``all`` items are ranked, or with ``unknown_items="content"`` the ``new`` ones alone: items that
        training never saw are the only ones listed and the only targets (out-of-matrix prediction of Wang &
        Blei 2011, "Collaborative Topic Modeling for Recommending Scientific Articles", KDD, section 4).
    relevant_from
        The least value of a relevant event; None = every event is relevant.
    confidence
        Of the bootstrap intervals over users.
    rng
        Seed or generator of the bootstrap, and of the order that decides ties of new items.

    Raises
    ------
    LeakError
        If training knows something about the held-out part.
    ConfigError
        If `model` is not fitted, a metric or setting does not exist, or nothing is left to measure.
    DataError
        If `split` is none, or items are to be placed by content and the model does not read it.
    """
    check_fitted(model, "evaluate")
    check_split(split, "evaluate")
    policies(unknown_items, candidates)
    if not isinstance(exclude_seen, bool | None):
        raise ConfigError(f"exclude_seen must be True, False or None; got {exclude_seen!r}")
    asking = Asking(ask, up_to_date, new)
    chosen = chosen_metrics(model, split, metrics, asking)
    check_leaks(split)
    report = measure(
        model,
        split,
        chosen,
        part=part,
        asking=asking,
        exclude_seen=exclude_seen,
        unknown_items=unknown_items,
        candidates=candidates,
        relevant_from=relevant_from,
        confidence=confidence,
        rng=rng,
    )
    tell(report.notes[len(split.notes) :])
    return report


def chosen_metrics(
    model: FittedModel, split: Split, names: Sequence[str] | None, asking: Asking
) -> tuple[Metric, ...]:
    """Read the names of metrics, or take the default ones; each counts once.

    Raises
    ------
    ConfigError
        If one does not exist, or a rating error is asked for along the events.
    """
    if isinstance(names, str) or not isinstance(names, Sequence | None):
        raise ConfigError(f"metrics must be a list of names; got {names!r}: write [{names!r}]")
    rates = asking.plain and model.predicts_values and split.test.interactions.has_value
    if names is None:
        names = DEFAULT + (DEFAULT_RATING if rates else ())
    metrics = tuple(dict.fromkeys(parse(name) for name in names))
    if not metrics:
        raise ConfigError("metrics is empty; name at least one, for example 'ndcg@10'")
    rating = [metric.name for metric in metrics if metric.family == "rating"]
    if rating and not asking.plain:
        raise ConfigError(
            f"{rating[0]} is measured on all held-out ratings at once; leave ask, up_to_date and new out"
        )
    return metrics


def measure(
    model: FittedModel,
    split: Split,
    metrics: tuple[Metric, ...],
    *,
    part: str,
    asking: Asking,
    exclude_seen: bool | None,
    unknown_items: UnknownItems,
    candidates: CandidateItems,
    relevant_from: float | None,
    confidence: float,
    rng: Rng,
) -> Report:
    """Measure without checking the split again; see `evaluate`."""
    memory = model.memory
    raise_for(remembered_targets(memory.users, memory.items, memory.history, split, part))
    began = time.perf_counter()
    if unknown_items == "content":
        model = with_held_out_items(model, held_out(split, part), rng)
    first = model.n_trained if candidates == "new" else 0
    if candidates == "new" and first == len(model.items):
        raise ConfigError(
            f"the {part} part has no items that training never saw; use candidates='all', or split with "
            "tw.split.cold_items"
        )
    questions = ask_along(
        model, split, part, asking,
        unknown_items=unknown_items, relevant_from=relevant_from, first=first,
    )  # fmt: skip
    hide = asking.hides(split, exclude_seen=exclude_seen)
    tally = rank_all(model, questions, metrics, exclude_seen=hide)
    errors = rating_errors(model, questions, metrics, drop_unknown=unknown_items == "drop")
    values, intervals, totals, weights = summed(
        tally, questions, errors, metrics, part, confidence, rng
    )
    has_target = np.zeros(questions.users.n_users, np.bool_)
    has_target[questions.whose[np.diff(questions.targets.indptr) > 0]] = True
    return Report(
        model=type(model.estimator).__name__,
        split=split.kind,
        part=part,
        values=values,
        intervals=intervals,
        confidence=confidence,
        users=questions.users.users.ids.ids,
        totals=totals,
        weights=weights,
        n_users=int(has_target.sum()),
        n_without_target=int((~has_target).sum()),
        n_targets=len(questions.targets.item),
        n_unknown_targets=questions.n_unknown,
        n_hidden_targets=tally.n_hidden,
        sources={name: int((tally.source == code).sum()) for code, name in enumerate(SOURCES)},
        slices=sliced(model, questions, tally.values, tally.slices),
        settings={
            "exclude_seen": hide,
            "unknown_items": unknown_items,
            "relevant_from": relevant_from,
            **({"candidates": candidates} if candidates != "all" else {}),
            **asking.settings(len(questions)),
        },
        seconds=time.perf_counter() - began,
        notes=(*split.notes, *questions.remarks(model, part, along=asking.ask != "each user")),
    )


def summed(
    tally: Tally,
    questions: Questions,
    errors: dict[str, tuple[F64, F64]],
    metrics: tuple[Metric, ...],
    part: str,
    confidence: float,
    rng: Rng,
) -> tuple[dict[str, float], dict[str, tuple[float, float]], dict[str, F64], dict[str, F64]]:
    """Return the value, the interval, the users' totals and the users' weights of every metric.

    A user's weight is the number of their questions for which a metric is defined, or of their ratings; with
    the weight 0 the total is 0. `errors` holds the rating errors of each user, and of how many ratings. All intervals come from the same
    resamples of users, so that none depends on which metrics were asked for.

    Raises
    ------
    ConfigError
        If a metric is defined for nobody, or `confidence` is not in (0, 1).
    """
    seed = kernel_seed(generator(rng))
    values: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    sums: dict[str, F64] = {}
    weights: dict[str, F64] = {}
    alike: list[tuple[F64, list[Metric]]] = []
    n_users = questions.users.n_users
    for metric in metrics:
        name = metric.name
        if metric.base in ("coverage", "gini"):
            function = coverage if metric.base == "coverage" else gini
            values[name] = function(tally.listed[metric.k or 0])
            intervals[name] = (float("nan"), float("nan"))
            continue
        if metric.family == "rating":
            total, weight = errors[name]
        else:
            total, weight = by_user(tally.values[name], questions.whose, n_users)
        if not weight.any():
            hint = "lower relevant_from, or use unknown_items='count'"
            if metric.base == "auc":
                hint += "; auc needs an item that was not taken beside one that was"
            raise ConfigError(
                f"nobody in the {part} part has anything to measure {name} on; {hint}"
            )
        for known, group in alike:
            if np.array_equal(known, weight):
                weight = known
                group.append(metric)
                break
        else:
            alike.append((weight, [metric]))
        sums[name], weights[name] = total, weight
        values[name] = _root_of(metric, float(total.sum() / weight.sum()))
    for weight, group in alike:
        totals = np.stack([sums[metric.name] for metric in group])
        found = bootstrap(totals, weight, confidence=confidence, rng=generator(seed))
        for metric, (low, high) in zip(group, found.tolist(), strict=True):
            intervals[metric.name] = _root_of(metric, low), _root_of(metric, high)
    ordered = {metric.name: intervals[metric.name] for metric in metrics}
    return values, ordered, sums, weights


def _root_of(metric: Metric, value: float) -> float:
    return math.sqrt(max(value, 0.0)) if metric.base == "rmse" else value
