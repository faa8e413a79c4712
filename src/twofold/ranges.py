"""What a search may draw of an estimator: its own hyperparameters and those of the parts that it holds.

A part is an optimiser, a network, or another estimator as a table. Its hyperparameters are named after it:
``optimiser.learning_rate``, ``factorization.factors``, ``candidates.0.factors``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError, did_you_mean
from twofold.hyperparameters import Search, names, search_space, tag_of, values
from twofold.models._parts import class_key, estimator_of

MODEL = "model"
"""The key of a table that says which model it is."""


@runtime_checkable
class SaysUnread(Protocol):
    """An estimator that knows which of its hyperparameters it does not read as the others are."""

    def unread(self, train: Dataset | None = None) -> tuple[str, ...]:
        """Return their names, on a training set where one is given."""
        ...


@dataclass(frozen=True, slots=True)
class Open:
    """A hyperparameter that can be searched."""

    search: Search
    value: Any
    """What the estimator has now."""


def open_ranges(
    estimator: Any, fixed: Collection[str] = (), train: Dataset | None = None
) -> dict[str, Open]:
    """Return the hyperparameters of an estimator and its parts that declare a range, by name.

    Those that are `fixed` are left out, one by one or with the part that holds them, and those that the
    estimator says that it does not read as it is (`SaysUnread`), on the training set where one is given.

    Example
    -------
    >>> from twofold.models import DeepContent
    >>> list(open_ranges(DeepContent(network={"kind": "linear"}), fixed=["factorization"]))
    ['network.reg', 'vocabulary']
    """
    unread = estimator.unread(train) if isinstance(estimator, SaysUnread) else ()
    closed = {*fixed, *unread}
    return {
        name: one
        for name, one in _declared(estimator, train)
        if closed.isdisjoint(_with_owners(name))
    }


def with_settings(estimator: Any, settings: Mapping[str, Any]) -> Any:
    """Return the estimator with other values; names as in `open_ranges`.

    Example
    -------
    >>> from twofold.models import DSSM
    >>> with_settings(DSSM(), {"optimiser.learning_rate": 0.5}).optimiser.learning_rate
    0.5
    """
    made, inside = values(estimator), dict[str, dict[str, Any]]()
    parts = {
        part: inner
        for name in names(estimator)
        for part, inner in _parts(name, getattr(estimator, name))
    }
    for name, value in settings.items():
        part = next((one for one in parts if name.startswith(f"{one}.")), None)
        if part is None:
            made[name] = value
        else:
            inside.setdefault(part, {})[name.removeprefix(f"{part}.")] = value
    for part, given in inside.items():
        _put(made, part, with_settings(parts[part], given))
    return type(estimator)(**made)


def with_parts(owner: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of an estimator of the class `owner` in which those of its parts stand in the tables of these.

    A part is as another setting gives it, else as it is by default; one that says which it is (``network.kind``,
    ``factorization.model``) begins anew with that.

    Example
    -------
    >>> from twofold.models import DeepContent
    >>> with_parts(DeepContent, {"network": {"kind": "linear"}, "network.reg": 2.0})
    {'network': {'kind': 'linear', 'reg': 2.0}}
    >>> with_parts(DeepContent, {"network.kind": "linear", "network.reg": 2.0})
    {'network': {'kind': 'linear', 'reg': 2.0}}

    Raises
    ------
    ConfigError
        If there is no such hyperparameter, or a value is wrong.
    """
    plain = {name: value for name, value in settings.items() if "." not in name}
    inner = {name: value for name, value in settings.items() if "." in name}
    for name in list(inner):
        first, _, last = name.partition(".")
        says_which = last == tag_of(owner, first) or (last == MODEL and _holds_model(owner, first))
        if says_which and isinstance(given := plain.get(first, {}), Mapping):
            plain[first] = {**given, last: inner.pop(name)}
    if not inner:
        return plain
    made = owner(**plain)
    known = settable(made)
    for name in inner:
        if name not in known:
            first = name.split(".")[0]
            near = [one for one in known if one.startswith(f"{first}.")]
            raise ConfigError(
                f"{owner.__name__} has no hyperparameter {name!r} as it is; {did_you_mean(name, near or known)}"
            )
    whole = values(with_settings(made, inner))
    return plain | {first: whole[first] for first in (name.split(".")[0] for name in inner)}


def _holds_model(owner: type, name: str) -> bool:
    """Say whether a field holds a model as a table."""
    value = getattr(owner(), name)
    return isinstance(value, Mapping) and class_key(value) in value


def settable(estimator: Any) -> list[str]:
    """Return the names of the hyperparameters of the parts of an estimator, such as ``network.dropout``."""
    return [
        f"{part}.{key}"
        for name in names(estimator)
        for part, inner in _parts(name, getattr(estimator, name))
        for key in (*names(inner), *settable(inner))
    ]


def named(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of what a table of hyperparameters sets, a part that is a table key by key.

    Example
    -------
    >>> named({"epochs": 3, "network": {"kind": "mlp", "hidden": [50]}})
    ('epochs', 'network.kind', 'network.hidden')
    """
    found: list[str] = []
    for key, value in table.items():
        inside = _inside(value)
        found += [f"{key}.{one}" for one in inside] if inside else [key]
    return tuple(found)


def _put(made: dict[str, Any], part: str, estimator: Any) -> None:
    """Put a part into the values of what holds it: a table with its class where a table was, one of a list by its place."""
    name, _, at = part.partition(".")
    held = made[name][int(at)] if at else made[name]
    table = values(estimator)
    if isinstance(held.get(key := class_key(held)), str) and key not in table:
        table = {key: held[key], **table}
    if at:
        made[name][int(at)] = table
    else:
        made[name] = table


def _inside(value: Any) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        return named({str(key): one for key, one in value.items()})
    if _lists_tables(value):
        return named({str(at): one for at, one in enumerate(value)})
    return ()


def _lists_tables(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(one, Mapping) for one in value)
    )


def _with_owners(name: str) -> list[str]:
    """Return a name and those of what holds it: ``a.b.c`` gives ``a``, ``a.b`` and ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _declared(estimator: Any, train: Dataset | None) -> Iterator[tuple[str, Open]]:
    ranges, plain = search_space(type(estimator)), values(estimator)
    for name in names(estimator):
        if name in ranges:
            yield name, Open(ranges[name], plain[name])
        for part, inner in _parts(name, getattr(estimator, name)):
            for key, one in open_ranges(inner, train=train).items():
                yield f"{part}.{key}", one


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(value):
        yield name, value
    elif isinstance(value, Mapping) and isinstance(value.get(class_key(value)), str):
        yield name, estimator_of(value, name)
    elif _lists_tables(value):
        for at, one in enumerate(value):
            yield from _parts(f"{name}.{at}", one)
