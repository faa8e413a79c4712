"""Checks of what users ask: ids, lists, filters, strangers, likeness, explanations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from twofold.data.dataset import Dataset
from twofold.data.queries import Queries
from twofold.errors import ConfigError, UnknownIdError
from twofold.explain import scores_of, whole
from twofold.models._base import FittedModel
from twofold.testing.logs import COLUMNS, Estimator, fitted, planted_log

FALLBACK = {"fallback:popularity"}
REASONS = ["item", "contribution", "score", "kind", "reason"]
"""The columns of an explanation."""


def check_ids_are_the_callers(estimator: Estimator) -> None:
    """Ids come back as they were given, best first, and nothing seen is recommended."""
    data = planted_log()
    model = fitted(estimator, data)
    lists = model.recommend(users=[100, 101], k=5)
    assert lists.columns == COLUMNS, f"columns are {lists.columns}, not {COLUMNS}"
    assert lists["user"].dtype == pl.Int64, f"user ids came back as {lists['user'].dtype}"
    assert lists["item"].dtype == pl.String, f"item ids came back as {lists['item'].dtype}"
    assert set(lists["source"]) == {"model"}, f"known users were answered by {set(lists['source'])}"
    log = data.frame("interactions")
    for who in (100, 101):
        mine = lists.filter(pl.col("user") == who)
        seen = set(log.filter(pl.col("user") == who)["item"])
        assert mine["rank"].to_list() == list(range(1, len(mine) + 1)), "ranks do not count from 1"
        assert not seen & set(mine["item"]), f"seen items were recommended to {who}"
        scores = mine["score"].to_numpy()
        assert (np.diff(scores) <= 0).all(), "scores do not fall"
        assert np.isfinite(scores).all(), "a score is not finite"
    asked, found = (model.recommend(users=[one], k=5)["item"].to_list() for one in (100, "100"))
    assert asked == found, "the string '100' did not find the user 100"


def check_ids_that_look_like_numbers(estimator: Estimator) -> None:
    """The strings '7', '07' and '007' stay three people, and three items."""
    people, things = ["7", "07", "007", "x7"], ["1", "01", "001", "y", "1.0"]
    log = [(u, i) for at, u in enumerate(people) for i in (things * 2)[at : at + 3]]
    events = {"u": [u for u, _ in log], "i": [i for _, i in log], "v": [5.0, 3.0, 1.0] * 4}
    titles = {"i": things, "title": [f"thing {at % 2}" for at in range(len(things))]}
    data = Dataset.from_frames(
        events, user="u", item="i", value="v", items=titles, item_features={"title": "text"}
    )
    model = fitted(estimator, data)
    lists = model.recommend(users=people, k=5)
    assert lists["user"].dtype == lists["item"].dtype == pl.String, "string ids became numbers"
    assert set(lists["user"]) <= set(people), f"users came back as {set(lists['user'])}"
    for who in people:
        mine = {i for u, i in log if u == who}
        offered = set(lists.filter(pl.col("user") == who)["item"])
        assert offered == set(things) - mine, f"{who!r} was offered {offered}"
    for one in things:
        likely = model.similar_items(one, k=5)["item"].to_list()
        assert sorted(likely) == sorted(set(things) - {one}), f"similar to {one!r}: {likely}"


def check_unknown_user_with_history(estimator: Estimator) -> None:
    """Somebody never seen is answered from a history; unknown items in it are passed over."""
    model = fitted(estimator)
    history = ["i0", "i2", "i4", "no such item"]
    lists = model.recommend(users=["stranger"], histories=[history], k=6)
    assert set(lists["user"]) == {"stranger"}, "the unknown user's id was changed"
    assert set(lists["source"]) == {"fold-in"}, f"the source is {set(lists['source'])}"
    assert not set(history) & set(lists["item"]), "an item of the history was recommended"
    plain = model.recommend(histories=[["i0", "i2", "i4"]], k=6)
    assert plain["item"].to_list() == lists["item"].to_list(), "an unknown item changed the answer"
    alone = model.recommend(histories=[[["i0"], ["i2"], ["no such item"], ["i4"]]], k=6)
    assert alone["item"].to_list() == plain["item"].to_list(), "baskets of one changed the answer"
    together = model.recommend(histories=[["i0", ["i2", "i4"]]], k=6)
    assert set(together["source"]) == {"fold-in"}, "a history with a basket was not folded in"
    assert not set(history) & set(together["item"]), "an item of a basket was recommended"


def check_unknown_user_without_history(estimator: Estimator) -> None:
    """Somebody of whom nothing is known gets the declared fallback."""
    model = fitted(estimator)
    for lists in (
        model.recommend(users=["x"], k=3),
        model.recommend(histories=[[]], k=3),
        model.recommend(histories=[["no such item"]], k=3),
    ):
        assert len(lists) == 3, f"{len(lists)} items came back, not 3"
        assert set(lists["source"]) == FALLBACK, f"the source is {set(lists['source'])}"


def check_unknown_items(estimator: Estimator) -> None:
    """An unknown item is an error where it is the question, and finite where it is predicted."""
    model = fitted(estimator)
    for ask in (
        lambda: model.similar_items("i999"),
        lambda: model.explain(user=100, item="i999"),
        lambda: model.explain(history=["i0"], item="i999"),
    ):
        assert "i999" in _said(ask, UnknownIdError), "the message does not name the unknown item"
    pairs = {"user": [100, 100, 555, 555], "item": ["i1", "i999", "i1", "i999"]}
    scores = model.predict(pairs)
    assert np.isfinite(scores["score"].to_numpy()).all(), "a predicted value is not finite"
    assert scores["source"].to_list()[0] == "model", "a known pair was not scored by the model"
    assert all(one.startswith("fallback") for one in scores["source"][1:]), (
        "an unknown pair does not say that it is a fallback"
    )


def _said(ask: Callable[[], Any], error: type[Exception]) -> str:
    """Return the sentence that a question is refused with."""
    try:
        ask()
    except error as refused:
        return str(refused)
    raise AssertionError(f"a question that cannot be answered raised no {error.__name__}")


def check_empty_questions(estimator: Estimator) -> None:
    """No user, nothing allowed, everything denied: an empty frame; a senseless k: an error."""
    model = fitted(estimator)
    everything = model.items.ids.ids.to_list()
    for lists in (
        model.recommend(users=[], k=3),
        model.recommend(histories=[], k=3),
        model.recommend(users=[100], deny=everything),
        model.recommend(users=["x"], deny=everything),
        model.recommend(users=[100], allow=[]),
        model.recommend(users=[100], allow=["no such item"]),
        model.recommend(histories=[everything]),
    ):
        assert not len(lists), "an impossible question was answered"
        assert lists.columns == COLUMNS, "the empty answer has other columns"
    empty = model.predict(
        {"user": pl.Series([], dtype=pl.Int64), "item": pl.Series([], dtype=pl.String)}
    )
    assert not len(empty), "the prediction of no pairs is not empty"
    for bad in (0, -1, 2.5, True, "3"):
        wrong: Any = bad
        _said(lambda k=wrong: model.recommend(users=[100], k=k), ConfigError)
        _said(lambda k=wrong: model.similar_items("i0", k=k), ConfigError)
    _said(model.recommend, ConfigError)
    _said(lambda: model.explain(item="i0"), ConfigError)


def check_long_lists(estimator: Estimator) -> None:
    """A list longer than the catalogue is the catalogue, each item once."""
    data = planted_log()
    model = fitted(estimator, data)
    everything = sorted(data.items.ids.ids)
    mine = set(data.frame("interactions").filter(pl.col("user") == 100)["item"])
    for lists, wanted in (
        (model.recommend(users=[100], k=10_000, exclude_seen=False), everything),
        (model.recommend(users=[100], k=10_000), sorted(set(everything) - mine)),
        (model.recommend(users=["x"], k=10_000), everything),
        (model.similar_items("i3", k=10_000), sorted(set(everything) - {"i3"})),
    ):
        assert sorted(lists["item"]) == wanted, "a long list is not every item once"


def check_allow_and_deny(estimator: Estimator) -> None:
    """Only what is allowed and not denied is recommended, in the order of the unfiltered list."""
    model = fitted(estimator)
    for who in (100, "x"):
        everything = model.recommend(users=[who], k=24)["item"].to_list()
        kept = everything[1::2]
        asked = model.recommend(users=[who], k=24, allow=[*kept, "no such item"])["item"].to_list()
        assert asked == kept, f"allow= gave {asked}, not {kept}"
        asked = model.recommend(users=[who], k=24, deny=[*kept, "no such item"])["item"].to_list()
        assert asked == everything[::2], f"deny= gave {asked}, not {everything[::2]}"
        both = model.recommend(users=[who], k=24, allow=kept, deny=kept[:1])["item"].to_list()
        assert both == kept[1:], "what is allowed and denied was recommended"


def check_similar_items(estimator: Estimator) -> None:
    """Similar items exclude the item itself, fall in score and are cosines."""
    similar = fitted(estimator).similar_items("i0", k=5)
    assert similar.columns == ["rank", "item", "score"], f"columns are {similar.columns}"
    assert "i0" not in set(similar["item"]), "an item is similar to itself"
    scores = similar["score"].to_numpy()
    assert (np.diff(scores) <= 0).all(), "scores do not fall"
    assert (np.abs(scores) <= 1 + 1e-5).all(), "a cosine is outside -1 ... 1"


def check_explanations_are_faithful(estimator: Estimator) -> None:
    """Removing the history item that is named first lowers the score by the number beside it."""
    model = fitted(estimator)
    history = ["i0", "i2", "i4", "i7"]
    why = model.explain(item="i6", history=history)
    assert why.columns == REASONS, f"columns are {why.columns}"
    if why["kind"][0] == "popularity":
        assert why["item"].to_list() == ["i6"], "a popularity answer names another item"
        return
    assert set(why["item"]) == set(history), "the explanation does not cover the history"
    first, gain = why["item"][0], why["contribution"][0]
    rest = [one for one in history if one != first]
    lost = why["score"][0] - model.explain(item="i6", history=rest)["score"][0]
    _same(first, lost, gain)
    # A user of the planted log likes half of the catalogue, and has liked other items of that half.
    for user, item in ((100, "i2"), (101, "i5")):
        why = model.explain(user=user, item=item)
        done = why.filter(why["kind"] == "history")
        first, gain = done["item"][0], float(done["contribution"][0])
        assert gain > 0, f"no item of {user}'s history raises the score of {item}, which they like"
        _same(first, float(why["score"][0]) - _without(model, user, first, item), gain)


def _without(model: FittedModel, user: int, left_out: str, item: str) -> float:
    """Return the score of `item` from the user's remembered history without one item."""
    row = model.users.ids.row(user)
    person = whole(model, Queries.known(np.array([row], np.int32)))
    own = person.history
    kept = own.item != model.items.ids.row(left_out)
    less = replace(person, history=own.at(np.array([0, kept.sum()], np.int64), kept))
    return float(scores_of(model, less, model.items.ids.row(item))[0])


def _same(item: str, lost: float, gain: float) -> None:
    assert abs(lost - gain) <= 1e-3 * max(1.0, abs(gain)), (
        f"removing {item} changed the score by {lost:g}, the explanation says {gain:g}"
    )


def check_batch_equals_single(estimator: Estimator) -> None:
    """An answer does not depend, bit for bit, on who else is asked for, nor on the order."""
    model = fitted(estimator)
    everybody = model.users.ids.ids.to_list()
    together = model.recommend(users=everybody[::-1], k=4)
    histories = [["i1"], [], ["i0", "i2", "i9"], ["i3", "i5"]] * 5
    folded = model.recommend(histories=histories, k=4)
    answers = ["item", "score", "source"]
    for one in everybody[:5]:
        alone = model.recommend(users=[one], k=4)
        again = together.filter(pl.col("user") == one)
        assert alone[answers].equals(again[answers]), f"user {one} got another list in a batch"
    for row, history in enumerate(histories[:4]):
        alone = model.recommend(histories=[history], k=4)
        again = folded.filter(pl.col("user") == row)
        assert alone[answers].equals(again[answers]), f"{history} got another list in a batch"
    pairs = {"user": [*everybody[:9], "x"], "item": [f"i{one}" for one in range(10)]}
    many = model.predict(pairs)["score"]
    for row in range(10):
        one = model.predict({name: column[row : row + 1] for name, column in pairs.items()})
        assert one["score"][0] == many[row], "a pair's value depends on the other pairs"
