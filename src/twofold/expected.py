"""What is said where a log, a split or a model is wanted and something else is given.

Things are told by what they have, so that no module of the package has to be loaded for it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twofold.errors import ConfigError, DataError
from twofold.keeping import fitting


def check_log(given: object, owner: str) -> None:
    """Refuse what is no `Dataset`; `owner` is what needs one, such as ``IALS.fit``.

    Raises
    ------
    DataError
        Saying how to get one.
    """
    if hasattr(given, "interactions") and hasattr(given, "items"):
        return
    if is_split(given):
        how = "give a part of it, such as split.train"
    elif isinstance(given, str | Path):
        how = "read it first, with tw.Dataset.read or tw.datasets.load"
    else:
        how = "make one with tw.Dataset.from_frames(frame, user=..., item=...)"
    raise DataError(f"{owner} needs a Dataset; got {_kind(given)}: {how}")


def is_split(given: object) -> bool:
    """Say whether this is a `Split`."""
    return hasattr(given, "train") and hasattr(given, "test")


def check_split(given: object, owner: str) -> None:
    """Refuse what is no `Split`.

    Raises
    ------
    DataError
        Saying how to get one.
    """
    if not is_split(given):
        raise DataError(
            f"{owner} needs a Split; got {_kind(given)}: cut the log before fitting, as in split = tw.split.temporal(data)"
        )


def check_models(given: object, owner: str) -> None:
    """Refuse what is no mapping of names to estimators or fitted models.

    Raises
    ------
    ConfigError
        Naming the first fault.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{owner} needs models by name, as in {{'EASE': tw.models.EASE()}}; got {_kind(given)}"
        )
    for name, one in given.items():
        if isinstance(one, type):
            raise ConfigError(
                f"{owner} got the class {one.__name__} for {name!r}; write {one.__name__}()"
            )
        if not hasattr(one, "fit") and not hasattr(one, "estimator"):
            raise ConfigError(
                f"{owner} got {_kind(one)} for {name!r}; give an estimator such as tw.models.EASE(), or a fitted model"
            )


def check_fitted(given: object, owner: str) -> None:
    """Refuse what is no fitted model.

    Raises
    ------
    ConfigError
        Saying how to get one.
    """
    if not hasattr(given, "estimator"):
        how = "fit it first: fit returns the fitted model" if hasattr(given, "fit") else "fit an estimator such as tw.models.EASE()"  # fmt: skip
        raise ConfigError(f"{owner} needs a fitted model; got {_kind(given)}: {how}")


ANSWERS = ("recommend", "predict", "similar_items", "explain", "save", "with_items")
"""What fitted models alone can do."""


def unfitted(estimator: object, name: str) -> Any:
    """Say of an attribute that an estimator lacks, where a fitted model has it, how to get one.

    Raises
    ------
    AttributeError
        Always.
    """
    kind = type(estimator).__name__
    more = f"; it holds settings alone, and fit returns the fitted model: model = {kind}().fit(data)"  # fmt: skip
    raise AttributeError(f"{kind} has no {name!r}{more if name in ANSWERS else ''}")


def of_logs(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fit` with its log and its validation part checked first."""

    @functools.wraps(fit)
    def checked(self: object, train: Any, *given: Any, **named: Any) -> Any:
        owner = f"{type(self).__name__}.fit"
        check_log(train, owner)
        if named.get("validation") is not None:
            check_log(named["validation"], f"{owner}, for validation,")
        learned_from = {name: one for name, one in named.items() if name != "rng"}
        with fitting(self, (train, *given), learned_from):
            return fit(self, train, *given, **named)

    return checked


def fits_logs(cls: type) -> bool:
    """Say whether a class has a ``fit(self, train, ...)`` of its own."""
    own = vars(cls).get("fit")
    return own is not None and list(inspect.signature(own).parameters)[1:2] == ["train"]


def _kind(given: object) -> str:
    """Name what was given."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    name = type(given).__name__
    return "None" if given is None else f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
