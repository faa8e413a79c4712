"""Rank the questions of a held-out part in blocks, in bounded memory, and keep what the metrics need."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.evaluation.areas import auc_block
from twofold.evaluation.questions import Prefixes, Questions
from twofold.evaluation.slices import in_head, item_slices
from twofold.metrics import diversity, novelty, popularity_bias, ranking
from twofold.metrics.names import Metric
from twofold.models._base import FittedModel
from twofold.progress import track
from twofold.rank import rank, remembered
from twofold.typing import F64, I32


@dataclass
class Tally:
    """What the blocks add up to."""

    n: int
    """Number of questions."""
    listed: dict[int, np.ndarray]
    """For each cut-off, how often each item was listed, (n_items,)."""
    values: dict[str, F64] = field(default_factory=dict[str, F64])
    slices: dict[str, dict[str, F64]] = field(default_factory=dict[str, dict[str, F64]])
    source: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    n_hidden: int = 0
    """Targets that were seen before and are hidden: no list can name them."""

    def put(self, where: dict[str, F64], name: str, rows: slice, values: F64) -> None:
        """Store a block's values under a name."""
        where.setdefault(name, np.full(self.n, np.nan))[rows] = values


def rank_all(
    model: FittedModel, questions: Questions, metrics: tuple[Metric, ...], *, exclude_seen: bool
) -> Tally:
    """Rank for every question, block by block, and keep only what the metrics need."""
    names = [metric.name for metric in metrics if metric.family == "list"]
    cuts = sorted(
        {metric.k for metric in metrics if metric.k is not None and metric.family == "beyond"}
    )
    longest = max((metric.k or 0 for metric in metrics), default=0)
    n_items = len(model.items)
    first = questions.first
    allowed = np.arange(n_items) >= first if first else None
    tally = Tally(len(questions), {cut: np.zeros(n_items - first, np.int64) for cut in cuts})
    tally.source = np.zeros(tally.n, np.uint8)
    head = in_head(model)
    for rows in track(questions.blocks(), f"ranking with {type(model.estimator).__name__}"):
        block = questions.asked(rows)
        hidden = hidden_of(model, questions, block, rows, exclude_seen=exclude_seen)
        targets = questions.targets.take(rows.start, rows.stop)
        if exclude_seen:
            tally.n_hidden += int(targets.among(hidden, n_items).sum())
        if longest:
            found = rank(model, block, longest, exclude_seen=False, allowed=allowed, hidden=hidden)
            tally.source[rows] = found.source
            for name, values in ranking(found.items, targets.indptr, targets.item, names).items():
                tally.put(tally.values, name, rows, values)
            for label, some in item_slices(targets, head, model.n_trained).items():
                made = ranking(found.items, some.indptr, some.item, names)
                for name, values in made.items():
                    tally.put(tally.slices.setdefault(label, {}), name, rows, values)
            beyond(model, metrics, found.items, tally, rows, first)
        if any(metric.base == "auc" for metric in metrics):
            tally.put(tally.values, "auc", rows, auc_block(model, block, targets, hidden, first))
    return tally


def hidden_of(
    model: FittedModel, questions: Questions, block: Queries, rows: slice, *, exclude_seen: bool
) -> Histories:
    """Return the items that each query of a block is not to be offered."""
    if not exclude_seen:
        return Histories.empty(len(block))
    at = np.arange(rows.start, rows.stop)
    if isinstance(questions.hidden, Prefixes):
        return questions.hidden.take(at)
    seen = remembered(model, block)
    return seen if questions.hidden is None else seen.joined(questions.hidden.take(at))


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
        tally.put(tally.values, metric.name, rows, values)
