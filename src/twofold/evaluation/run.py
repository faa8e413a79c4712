"""Measure one fitted model on one held-out part, in blocks of users, in bounded memory."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.errors import ConfigError
from twofold.evaluation.areas import auc_block
from twofold.evaluation.questions import (
    CandidateItems,
    Questions,
    UnknownItems,
    ask,
    held_out,
    policies,
    with_held_out_items,
)
from twofold.evaluation.ratings import rating_errors
from twofold.evaluation.report import Report
from twofold.evaluation.slices import in_head, item_slices, sliced
from twofold.evaluation.uncertainty import bootstrap
from twofold.metrics import coverage, diversity, gini, novelty, parse, popularity_bias, ranking
from twofold.metrics.names import Metric
from twofold.models._base import FittedModel
from twofold.progress import track
from twofold.random import generator, kernel_seed
from twofold.rank import SOURCES, rank, remembered
from twofold.split import Split, check_leaks
from twofold.split.leaks import raise_for, remembered_targets
from twofold.typing import F64, I32, Rng

DEFAULT = ("ndcg@10", "recall@10", "map@10", "mrr@10", "hit@10", "coverage@10", "novelty@10")
"""Metrics where none are named."""
DEFAULT_RATING = ("rmse", "mae")
"""Added for models that predict ratings, on logs that have them."""
BLOCK_USERS = 4096
"""Users ranked at a time."""


def evaluate(
    model: FittedModel,
    split: Split,
    metrics: Sequence[str] | None = None,
    *,
    part: str = "test",
    exclude_seen: bool | None = None,
    unknown_items: UnknownItems = "count",
    candidates: CandidateItems = "all",
    relevant_from: float | None = None,
    confidence: float = 0.95,
    rng: Rng = 0,
) -> Report:
    """Measure a fitted model on a held-out part, ranking the whole catalogue for every user.

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
    exclude_seen
        Leave out what each user has used before; None = unless the split keeps repeats.
    unknown_items
        Targets that training never saw: ``count`` them as missed, ``drop`` them, or place all items of
        the part that training never saw by their ``content`` (`FittedModel.with_items`) before ranking.
        `Popularity` places them too, with the score 0.
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
        If a metric or setting does not exist, or nothing is left to measure.
    DataError
        If items are to be placed by content and the model does not read it.
    """
    policies(unknown_items, candidates)
    chosen = chosen_metrics(model, split, metrics)
    check_leaks(split)
    return measure(
        model,
        split,
        chosen,
        part=part,
        exclude_seen=exclude_seen,
        unknown_items=unknown_items,
        candidates=candidates,
        relevant_from=relevant_from,
        confidence=confidence,
        rng=rng,
    )


def chosen_metrics(
    model: FittedModel, split: Split, names: Sequence[str] | None
) -> tuple[Metric, ...]:
    """Read the names of metrics, or take the default ones; each counts once."""
    if isinstance(names, str):
        raise ConfigError(f"metrics must be a list of names; got {names!r}: write [{names!r}]")
    rates = model.predicts_values and split.test.interactions.has_value
    if names is None:
        names = DEFAULT + (DEFAULT_RATING if rates else ())
    metrics = tuple(dict.fromkeys(parse(name) for name in names))
    if not metrics:
        raise ConfigError("metrics is empty; name at least one, for example 'ndcg@10'")
    return metrics


@dataclass
class Tally:
    """What the blocks add up to."""

    n: int
    listed: dict[int, np.ndarray]
    """For each cut-off, how often each item was listed, (n_items,)."""
    per_user: dict[str, F64] = field(default_factory=dict[str, F64])
    slices: dict[str, dict[str, F64]] = field(default_factory=dict[str, dict[str, F64]])
    source: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    n_ratings: F64 = field(default_factory=lambda: np.zeros(0))
    """Held-out ratings of each user, (n,)."""

    def put(self, where: dict[str, F64], name: str, rows: slice, values: F64) -> None:
        """Store a block's values under a name."""
        where.setdefault(name, np.full(self.n, np.nan))[rows] = values


def measure(
    model: FittedModel,
    split: Split,
    metrics: tuple[Metric, ...],
    *,
    part: str,
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
    questions = ask(
        model, split, part, unknown_items=unknown_items, relevant_from=relevant_from, first=first
    )
    hide = not split.repeats if exclude_seen is None else exclude_seen
    tally = rank_all(model, questions, metrics, exclude_seen=hide)
    has_target = np.diff(questions.targets.indptr) > 0
    tally.per_user |= rating_errors(model, questions, metrics)
    values, intervals, weights = summed(tally, metrics, part, confidence, rng)
    return Report(
        model=type(model.estimator).__name__,
        split=split.kind,
        part=part,
        values=values,
        intervals=intervals,
        confidence=confidence,
        users=questions.users.users.ids.ids,
        totals={name: tally.per_user[name] for name in weights},
        weights=weights,
        n_users=int(has_target.sum()),
        n_without_target=int((~has_target).sum()),
        n_targets=len(questions.targets.item),
        n_unknown_targets=questions.n_unknown,
        sources={name: int((tally.source == code).sum()) for code, name in enumerate(SOURCES)},
        slices=sliced(model, questions, tally.per_user, tally.slices),
        settings={
            "exclude_seen": hide,
            "unknown_items": unknown_items,
            "relevant_from": relevant_from,
            **({"candidates": candidates} if candidates != "all" else {}),
        },
        seconds=time.perf_counter() - began,
        notes=split.notes,
    )


def summed(
    tally: Tally, metrics: tuple[Metric, ...], part: str, confidence: float, rng: Rng
) -> tuple[dict[str, float], dict[str, tuple[float, float]], dict[str, F64]]:
    """Return the value, the interval and the users' weights of every metric.

    Users for whom a metric is not defined (NaN) get the weight 0 and the value 0. All intervals come
    from the same resamples, so that none depends on which metrics were asked for.

    Raises
    ------
    ConfigError
        If a metric is defined for nobody, or `confidence` is not in (0, 1).
    """
    seed = kernel_seed(generator(rng))
    values: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    weights: dict[str, F64] = {}
    alike: list[tuple[F64, list[Metric]]] = []
    for metric in metrics:
        name = metric.name
        if metric.base in ("coverage", "gini"):
            function = coverage if metric.base == "coverage" else gini
            values[name] = function(tally.listed[metric.k or 0])
            intervals[name] = (float("nan"), float("nan"))
            continue
        total = tally.per_user[name]
        weight = np.isfinite(total).astype(np.float64)
        if metric.family == "rating":
            weight *= tally.n_ratings
        if not weight.any():
            raise ConfigError(
                f"nobody in the {part} part has anything to measure {name} on; "
                "lower relevant_from, or use unknown_items='count'"
            )
        np.nan_to_num(total, copy=False)
        for known, group in alike:
            if np.array_equal(known, weight):
                weight = known
                group.append(metric)
                break
        else:
            alike.append((weight, [metric]))
        weights[name] = weight
        values[name] = _root_of(metric, float(total.sum() / weight.sum()))
    for weight, group in alike:
        totals = np.stack([tally.per_user[metric.name] for metric in group])
        found = bootstrap(totals, weight, confidence=confidence, rng=generator(seed))
        for metric, (low, high) in zip(group, found.tolist(), strict=True):
            intervals[metric.name] = _root_of(metric, low), _root_of(metric, high)
    return values, {metric.name: intervals[metric.name] for metric in metrics}, weights


def _root_of(metric: Metric, value: float) -> float:
    return math.sqrt(max(value, 0.0)) if metric.base == "rmse" else value


def rank_all(
    model: FittedModel, questions: Questions, metrics: tuple[Metric, ...], *, exclude_seen: bool
) -> Tally:
    """Rank for every user, block by block, and keep only what the metrics need."""
    names = [metric.name for metric in metrics if metric.family == "list"]
    cuts = sorted(
        {metric.k for metric in metrics if metric.k is not None and metric.family == "beyond"}
    )
    longest = max((metric.k or 0 for metric in metrics), default=0)
    n_items = len(model.items)
    first = questions.first
    allowed = np.arange(n_items) >= first if first else None
    tally = Tally(
        len(questions.queries), {cut: np.zeros(n_items - first, np.int64) for cut in cuts}
    )
    tally.source = np.zeros(tally.n, np.uint8)
    tally.n_ratings = np.diff(questions.users.interactions.indptr).astype(np.float64)
    head = in_head(model)
    starts = range(0, tally.n, BLOCK_USERS)
    for start in track(starts, f"ranking with {type(model.estimator).__name__}"):
        rows = slice(start, min(start + BLOCK_USERS, tally.n))
        block = questions.queries.take(np.arange(rows.start, rows.stop))
        hidden = hidden_of(model, questions, block, rows, exclude_seen=exclude_seen)
        targets = questions.targets.take(rows.start, rows.stop)
        if longest:
            found = rank(model, block, longest, exclude_seen=False, allowed=allowed, hidden=hidden)
            tally.source[rows] = found.source
            for name, values in ranking(found.items, targets.indptr, targets.item, names).items():
                tally.put(tally.per_user, name, rows, values)
            for label, some in item_slices(targets, head, model.n_trained).items():
                made = ranking(found.items, some.indptr, some.item, names)
                for name, values in made.items():
                    tally.put(tally.slices.setdefault(label, {}), name, rows, values)
            beyond(model, metrics, found.items, tally, rows, first)
        if any(metric.base == "auc" for metric in metrics):
            tally.put(tally.per_user, "auc", rows, auc_block(model, block, targets, hidden, first))
    return tally


def hidden_of(
    model: FittedModel, questions: Questions, block: Queries, rows: slice, *, exclude_seen: bool
) -> Histories:
    """Return the items that each query of a block is not to be offered."""
    if not exclude_seen:
        return Histories.empty(len(block))
    seen = remembered(model, block)
    if questions.hidden is None:
        return seen
    return seen.joined(questions.hidden.take(np.arange(rows.start, rows.stop)))


def beyond(
    model: FittedModel,
    metrics: tuple[Metric, ...],
    lists: I32,
    tally: Tally,
    rows: slice,
    first: int,
) -> None:
    """Add a block's lists, of items from row `first` on, to the metrics beyond accuracy."""
    memory = model.memory
    for cut, listed in tally.listed.items():
        items = lists[:, :cut]
        listed += np.bincount(items[items >= first] - first, minlength=len(listed))
    for metric in metrics:
        cut = lists[:, : metric.k]
        match metric.base:
            case "novelty":
                values = novelty(cut, memory.popularity, len(memory.users))
            case "popularity_bias":
                values = popularity_bias(cut, memory.popularity)
            case "diversity":
                values = diversity(cut, model.similarity_vectors)
            case _:
                continue
        tally.put(tally.per_user, metric.name, rows, values)
