"""Lists that were drawn, beside what a target would have listed: its chances, and a model of the clicks."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from twofold.errors import DataError
from twofold.online.list_policies import Greedy
from twofold.online.logged import places_of
from twofold.online.logs import Log
from twofold.online.off_policy import FOLDS
from twofold.online.outcomes import ClickThrough
from twofold.random import generator
from twofold.typing import F64, Rng

PRIOR = 10.0
"""Lists that the click rate of a place counts for in that of an item there."""


class Chooses(Protocol):
    """A policy: see `list_policies`."""

    def chances(self, scores: ArrayLike, above: ArrayLike) -> F64:
        """Return the chance of every candidate at the place below the rows `above`; shape (m,)."""
        ...


class Lists(NamedTuple):
    """Lists that can be estimated from, n of them by m places."""

    unit: np.ndarray  # (n,)
    items: np.ndarray  # (n, m) texts
    chance: F64  # (n, m) given the items above
    reward: F64  # (n, m)
    candidates: list[list[str] | None]
    target: pl.DataFrame  # n rows
    notes: list[str]


def lists_of(
    shown: Log, done: Log, target: pl.DataFrame, metric: ClickThrough, places: int
) -> Lists:
    """Return the lists that were drawn with known chances, are long enough, and have a target."""
    frame = shown.frame
    for column in ("items", "propensities"):
        if column not in frame.columns:
            raise DataError(f"exposures have no {column}: nothing can be estimated from lists whose chances were not logged; serve with explore")  # fmt: skip
    keys = ["unit", "request"] if "unit" in target.columns else ["request"]
    if "request" not in target.columns or not {"items", "propensities"} & set(target.columns):
        raise DataError("the target needs the columns request, and items or propensities")
    told = target.with_columns(pl.col(*keys).cast(pl.String))
    twice = told.select(keys).is_duplicated()
    if twice.any():
        raise DataError(f"the target names the request {told['request'][int(twice.arg_max() or 0)]!r} twice")  # fmt: skip
    told = told.select(*keys, *(pl.col(one).alias(f"target_{one}") for one in ("items", "scores", "propensities") if one in told.columns))  # fmt: skip
    drawn = frame["propensities"].is_not_null() & frame["request"].is_not_null()
    if not drawn.any():
        raise DataError("no list of the exposures was drawn with known chances: serve with explore, and log its propensities")  # fmt: skip
    long = frame["items"].list.len().fill_null(0) >= places
    joined = frame.select(keys).join(told, on=keys, how="left", maintain_order="left")
    known = joined[f"target_{'items' if 'items' in target.columns else 'propensities'}"].is_not_null()  # fmt: skip
    keep = drawn & long & known
    notes = [
        f"{int(mask.sum()):,} lists {what} were left out"
        for what, mask in (
            ("that were not drawn with known chances", ~drawn),
            (f"shorter than {places} places", drawn & ~long),
            ("of which the target says nothing", drawn & long & ~known),
        )
        if mask.any()
    ]
    if not keep.any():
        raise DataError(f"no list is left to estimate from: {'; '.join(notes)}")
    rows = places_of(frame, done.frame, metric, only=keep).filter(pl.col("place") < places)
    kept = frame.filter(keep)
    has = "candidates" in kept.columns
    return Lists(
        unit=kept["unit"].to_numpy(),
        items=rows["item"].to_numpy().reshape(-1, places),
        chance=rows["propensity"].to_numpy().reshape(-1, places).astype(np.float64),
        reward=rows["reward"].to_numpy().reshape(-1, places).astype(np.float64),
        candidates=kept["candidates"].to_list() if has else [None] * len(kept),
        target=joined.filter(keep),
        notes=notes,
    )


def chances_of(target: pl.DataFrame, places: int) -> F64:
    """Return the target's chances of the logged items; shape (n, m)."""
    given = target["target_propensities"].cast(pl.List(pl.Float64)).to_list()
    short = next((at for at, one in enumerate(given) if len(one) < places or None in one), None)
    if short is not None:
        raise DataError(f"the target has fewer than {places} propensities for the request {target['request'][short]!r}")  # fmt: skip
    return np.array([one[:places] for one in given], np.float64)


def chosen_by(
    log: Lists, policy: Chooses, code: np.ndarray, *, within: bool, rng: Rng
) -> tuple[F64, F64, F64]:
    """Return the target's chances of the logged items, and the model's reward of them and of the target; each (n, m)."""
    n, m = log.items.shape
    rankings = [list(map(str, one)) for one in log.target["target_items"].to_list()]
    scores: list[Any] = [None] * n
    if "target_scores" in log.target.columns:
        scores = log.target["target_scores"].to_list()
    chosen = _supported(log, rankings, scores, m if isinstance(policy, Greedy) else None, within=within)  # fmt: skip
    item_of: dict[str, int] = {}
    for row in log.items.tolist():
        for one in row:
            item_of.setdefault(one, len(item_of))
    logged = np.array([[item_of[one] for one in row] for row in log.items.tolist()], np.int64)
    fold = generator(rng).permutation(np.arange(code.max() + 1) % FOLDS)[code]
    rates, anybody = _rates(logged, log.reward, fold, len(item_of))
    q, f, g = np.zeros((n, m)), np.zeros((n, m)), np.zeros((n, m))
    for at, (items, score) in enumerate(chosen):
        f[at] = rates[fold[at], np.arange(m), logged[at]]
        row_of = {one: row for row, one in enumerate(items)}
        # Where nothing is said of scores the order is all there is.
        values = -np.arange(len(items), dtype=np.float64) if score is None else np.asarray(score, np.float64)  # fmt: skip
        known = np.array([item_of.get(one, -1) for one in items], np.int64)
        above: list[int] = []
        for place in range(m):
            if not items:
                break
            chances = policy.chances(values, above)
            worth = np.where(known >= 0, rates[fold[at], place, known], anybody[fold[at], place])
            g[at, place] = chances @ worth
            here = row_of.get(str(log.items[at, place]))
            if here is None or chances[here] == 0:
                break  # the target leaves this list here: its weight is 0 from here on
            q[at, place] = chances[here]
            above.append(here)
    return q, f, g


def _rates(logged: np.ndarray, reward: F64, fold: np.ndarray, items: int) -> tuple[F64, F64]:
    """Return click rates without the lists of a fold: of items at places (folds, m, items), of places (folds, m)."""
    m = logged.shape[1]
    rates, anybody = np.zeros((FOLDS, m, items)), np.zeros((FOLDS, m))
    for one in range(FOLDS):
        rest = fold != one
        for place in range(m):
            r, at = reward[rest, place], logged[rest, place]
            anybody[one, place] = r.mean() if len(r) else 0.0
            shown, clicked = np.bincount(at, minlength=items), np.bincount(at, r, minlength=items)
            rates[one, place] = (clicked + PRIOR * anybody[one, place]) / (shown + PRIOR)
    return rates, anybody


def _supported(
    log: Lists, rankings: list[list[str]], scores: list[Any], depth: int | None, *, within: bool
) -> list[tuple[list[str], Any]]:
    """Return what the target chooses from in each list, all of which could have been shown.

    Raises
    ------
    DataError
        If it would list what could not.
    """
    chosen: list[tuple[list[str], Any]] = []
    missing: dict[str, int] = {}
    lists = 0
    for items, score, possible in zip(rankings, scores, log.candidates, strict=True):
        if len(set(items)) != len(items):
            raise DataError(f"a list of the target names an item twice: {items[:10]}")
        if possible is None:
            if within:
                raise DataError("exposures have no candidates: the target cannot be kept to them")
            chosen.append((items, score))
            continue
        could = set(possible)
        if within:
            rows = [at for at, one in enumerate(items) if one in could]
            chosen.append(([items[at] for at in rows], None if score is None else [score[at] for at in rows]))  # fmt: skip
            continue
        outside = [one for one in items[:depth] if one not in could]
        lists += bool(outside)
        for one in outside:
            missing[one] = missing.get(one, 0) + 1
        chosen.append((items, score))
    if lists:
        worst = max(missing, key=missing.__getitem__)
        raise DataError(
            f"the log has no support for the target in {lists:,} of {len(rankings):,} lists: item {worst!r}, for one, was no "
            f"candidate in {missing[worst]:,} of them and the target lists it; explore among more candidates, or let the target "
            "choose within the logged ones"
        )
    return chosen
