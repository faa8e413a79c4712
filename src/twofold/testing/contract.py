"""Checks of the two contracts: hyperparameters that are declared, and a frozen pair of encoders."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.errors import ConfigError
from twofold.hyperparameters import names, schema
from twofold.rank import SOURCES
from twofold.testing.logs import Estimator, dense, fitted, planted_log


def check_hyperparameters(estimator: Estimator) -> None:
    """Unknown names and wrong values are refused with what is allowed; all are documented and frozen."""
    cls: Any = type(estimator)
    assert dataclasses.is_dataclass(cls), (
        f"{cls.__name__} is not declared with @twofold.hyperparameters.hyperparameters"
    )
    said = refusal(cls, "no_such_thing", 1)
    assert "no_such_thing" in said, f"the message does not name the wrong hyperparameter: {said}"
    for name in names(cls):
        misspelt = refusal(cls, f"{name}_", 1)
        assert "did you mean" in misspelt, f"no suggestion for {name}_: {misspelt}"
        wrong = refusal(cls, name, object())
        assert name in wrong, f"a wrong {name} is refused without its name: {wrong}"
    described = schema(type(estimator)).get("properties", {})
    missing = [name for name in names(cls) if not described[name].get("description")]
    assert not missing, f"hyperparameters without a sentence under them: {missing}"
    first = (names(cls) or ["anything"])[0]
    try:
        setattr(estimator, first, 1)
    except (dataclasses.FrozenInstanceError, AttributeError):
        return
    raise AssertionError("the estimator can be changed after it was made")


def refusal(cls: Any, name: str, value: object) -> str:
    """Return the sentence with which a hyperparameter is refused."""
    try:
        cls(**{name: value})
    except ConfigError as error:
        assert "\n" not in str(error), f"{name}={value!r} is refused in more than one line"
        return str(error)
    raise AssertionError(f"{cls.__name__}({name}={value!r}) was accepted")


def check_fit_returns_a_model(estimator: Estimator) -> None:
    """What ``fit`` returns is frozen, remembers its training set, and encodes in float32."""
    data = planted_log()
    model = fitted(estimator, data)
    cls = type(model)
    assert dataclasses.is_dataclass(cls), f"{cls.__name__} is not a dataclass"
    try:
        setattr(model, dataclasses.fields(cls)[0].name, None)
    except dataclasses.FrozenInstanceError:
        pass
    else:
        raise AssertionError(
            f"{cls.__name__} is not frozen: declare it @dataclass(frozen=True, ...)"
        )
    assert model.estimator == estimator, "the model does not keep its estimator"
    assert model.memory.users.ids.ids.equals(data.users.ids.ids), (
        "the model remembers other users: give it memory=Memory.of(train)"
    )
    assert len(model.items) == data.n_items, "the model remembers other items"
    vectors = model.item_vectors
    assert vectors.dtype == np.float32, f"item_vectors are {vectors.dtype}, not float32"
    n, d = dense(vectors).shape
    assert n == data.n_items, f"item_vectors have {n} rows for {data.n_items} items"
    empty = Histories.empty(2)
    rows = np.arange(3, dtype=np.int32)
    for what, found, wanted in (
        ("fold_in of nobody", model.fold_in(Histories.empty(0)), (0, d)),
        ("fold_in of two empty histories", model.fold_in(empty), (2, d)),
        ("fold_in of three people", model.fold_in(model.memory.history.take(rows)), (3, d)),
        ("lookup of three people", model.lookup(rows), (3, d)),
        ("lookup of nobody", model.lookup(rows[:0]), (0, d)),
    ):
        shape = tuple(found.shape or ())
        assert shape == wanted, f"{what} has the shape {shape}, not {wanted}"
        assert found.dtype == np.float32, f"{what} is {found.dtype}, not float32"
        assert np.isfinite(dense(found)).all(), f"{what} is not finite"
    for what, vector in (
        ("unknown_user", model.unknown_user),
        ("unknown_item", model.unknown_item),
    ):
        assert vector.shape == (d,), f"{what} has the shape {vector.shape}, not ({d},)"


def check_scores_are_inner_products(estimator: Estimator) -> None:
    """What a list shows is the inner product of the two encoders; sources are declared names."""
    model = fitted(estimator)
    users = np.arange(3, dtype=np.int32)
    vectors, source = model.encode(Queries.known(users))
    product = dense(vectors @ model.item_vectors.T)
    ids = model.users.ids.ids.gather([0, 1, 2]).to_list()
    lists = model.recommend(users=ids, k=3, exclude_seen=False)
    assert set(lists["source"]) <= set(SOURCES), f"undeclared source in {set(lists['source'])}"
    assert product.shape == (3, len(model.items)), f"scores have the shape {product.shape}"
    assert (source < len(SOURCES)).all(), "an undeclared source code"
    best = np.sort(product, axis=1)[:, ::-1][:, :3]
    shown = lists["score"].to_numpy().reshape(3, 3)
    assert np.allclose(shown, best, rtol=1e-4, atol=1e-5), "the list is not the top of the products"


def check_folding_in_matches_the_user(estimator: Estimator) -> None:
    """A stranger with a user's own history is scored much like that user."""
    model = fitted(estimator)
    rows = np.arange(6, dtype=np.int32)
    known, _ = model.encode(Queries.known(rows))
    folded, _ = model.encode(Queries.of_histories(model.memory.history.take(rows)))
    left, right = (dense(one @ model.item_vectors.T) for one in (known, folded))
    if not (left.std(axis=1).all() and right.std(axis=1).all()):
        return
    agreement = float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(left, right, strict=True)]))
    assert agreement > 0.5, f"folding in correlates {agreement:.2f} with the learned users"
