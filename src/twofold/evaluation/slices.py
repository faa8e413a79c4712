"""Slices of an evaluation: new and old users, popular items, the others, and those never seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twofold.evaluation.questions import Questions, Targets
from twofold.evaluation.report import Slice
from twofold.metrics import parse
from twofold.models._base import FittedModel
from twofold.typing import F64, I64, Bool

HEAD = 0.2
"""Share of the catalogue, by training events, that is called the head."""


def in_head(model: FittedModel) -> Bool:
    """Say for each catalogue item whether it is in the head; shape (n_items,)."""
    order = np.argsort(-model.memory.popularity, kind="stable")
    head = np.zeros(len(order), np.bool_)
    head[order[: max(1, int(HEAD * len(order)))]] = True
    return head


def item_slices(targets: Targets, head: Bool, n_items: int) -> dict[str, Targets]:
    """Return the targets among popular items, among the rest, and among those never seen."""
    known = targets.item < n_items
    popular = head[np.minimum(targets.item, n_items - 1)] & known
    return {
        "head items": targets.where(popular),
        "tail items": targets.where(known & ~popular),
        "items never seen": targets.where(~known),
    }


def sliced(
    model: FittedModel,
    questions: Questions,
    values: Mapping[str, F64],
    by_items: Mapping[str, dict[str, F64]],
) -> tuple[Slice, ...]:
    """Return the list metrics of groups of users, by what the model knows of them, and of items.

    `values` holds the value of every metric for each question, (q,); `by_items` the same for the targets of
    each group of items, NaN where a question has none of them. Where users are asked more than once, a
    group is one of questions, by what is known when they are asked.
    """
    has_target = np.diff(questions.targets.indptr) > 0
    activity = questions.activity(model)
    known = activity > 0
    middle = int(np.median(activity[known])) if known.any() else 0
    who = "users" if questions.owner is None else "questions"
    groups = {
        f"{who} without history": ~known,
        f"{who} with 1 ... {middle:,} events": known & (activity <= middle),
        f"{who} with more than {middle:,} events": activity > middle,
    }
    shown = {name: one for name, one in values.items() if parse(name).family == "list"}
    found = [
        _slice(
            label,
            {name: one[mask & has_target] for name, one in shown.items()},
            questions.whose[mask & has_target],
        )
        for label, mask in groups.items()
    ]
    found += [_slice(label, by_name, questions.whose) for label, by_name in by_items.items()]
    return tuple(one for one in found if one.n_users)


def _slice(label: str, by_name: dict[str, F64], whose: I64) -> Slice:
    """Return the means over questions, `whose` (q,), and how many users they are of."""
    values: dict[str, float] = {}
    n = 0
    for name, one in by_name.items():
        finite = np.isfinite(one)
        n = len(np.unique(whose[finite]))
        if n:
            values[name] = float(one[finite].mean())
    return Slice(label, n, values)
