"""One frozen declaration per estimator: type, bound, default, search range and meaning.

Command-line help, documentation, JSON schema and search spaces are read from it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import pydantic
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from twofold.errors import ConfigError, did_you_mean
from twofold.expected import fits_logs, of_logs, unfitted
from twofold.field_notes import add_notes

T = TypeVar("T")
LARGEST = 2**31 - 1
"""Largest integer that a hyperparameter takes; arrays of more columns cannot be made."""


@dataclass(frozen=True, slots=True)
class Search:
    """The range that ``twofold tune`` searches, written beside the field it belongs to.

    Example
    -------
    ``factors: Annotated[PositiveInt, Search(8, 256, log=True)] = 64``
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    integer: bool = False
    """Whether the field holds integers; `search_space` says so."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def hyperparameters(cls: type[T]) -> type[T]:
    """Declare an estimator: frozen, keyword-only, validated; unknown names are refused.

    A wrong value or name raises `ConfigError` in one sentence, with the nearest allowed name. A ``fit(train, ...)``
    that is given no log raises `DataError`, with how to get one.
    """
    config = ConfigDict(extra="forbid", allow_inf_nan=False, json_schema_extra=add_notes)
    made: Any = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=config)(cls)
    checked = made.__init__

    @functools.wraps(checked)
    def __init__(self: object, *given: Any, **values: Any) -> None:
        if given:
            first = (names(made) or ["..."])[0]
            raise ConfigError(
                f"{cls.__name__} takes hyperparameters by name; write {cls.__name__}({first}={given[0]!r})"
            )
        try:
            checked(self, **values)
        except ValidationError as error:
            raise ConfigError(explain(cls.__name__, made, error)) from None
        for name, given in values.items():
            if _coerced(given, getattr(self, name)):
                wanted = "true or false" if isinstance(getattr(self, name), bool) else "a number"
                raise ConfigError(
                    f"{cls.__name__}.{name} got {given!r}, a {type(given).__name__}: write {wanted}"
                )
            if isinstance(given, int) and given > LARGEST:
                raise ConfigError(
                    f"{cls.__name__}.{name} got {given}; allowed: at most {LARGEST:,}"
                )

    made.__init__ = __init__
    if fits_logs(made):
        made.fit, made.__getattr__ = of_logs(made.fit), unfitted
    return made


def _coerced(given: object, kept: object) -> bool:
    """Say whether a truth value or a text was taken for a number, or a number for a truth value."""
    if isinstance(kept, bool):
        return not isinstance(given, bool)
    return isinstance(kept, int | float) and isinstance(given, bool | str)


def explain(owner: str, cls: type, error: ValidationError) -> str:
    """Turn a validation error into one sentence about its first fault, with what is allowed."""
    fault = error.errors()[0]
    own = fault.get("ctx", {}).get("error")
    if isinstance(own, ConfigError):
        return str(own)
    place, given = [str(part) for part in fault["loc"]], fault["input"]
    name, expected = ".".join(place) or "?", str(fault.get("ctx", {}).get("expected", ""))
    match fault["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            allowed = names(cls if len(place) < 2 else _option(cls, *place[:2]))
            inside = f".{'.'.join(place[:-1])}" if len(place) > 1 else ""
            hint = did_you_mean(place[-1], allowed)
            return f"{owner}{inside} has no hyperparameter {place[-1]!r} (got {given!r}); {hint}"
        case "union_tag_invalid" | "literal_error":
            allowed = re.findall(
                r"'([^']*)'", str(fault.get("ctx", {}).get("expected_tags", expected))
            )
            told = fault.get("ctx", {}).get("tag", given)
            hint = did_you_mean(told, allowed) if allowed else f"allowed: {expected}"
            return f"{owner}.{name} got {told!r}; {hint}"
        case "union_tag_not_found":
            tag, tags = tag_of(cls, place[0]), _options(cls, place[0])
            known = [getattr(one, str(tag)) for one in tags]
            return f"{owner}.{name} got {given!r}, which does not say which one; add {tag!r}: {' or '.join(map(repr, known))}"
        case "dataclass_type" | "model_attributes_type" if isinstance(given, str) and tag_of(
            cls, place[0]
        ):
            tags = [{names(one)[0]: getattr(one, names(one)[0])} for one in _options(cls, place[0])]
            return f"{owner}.{name} got {given!r}; write one of {', '.join(map(json.dumps, tags))}"
        case "dataclass_type" | "model_attributes_type" | "dict_type":
            return f"{owner}.{name} got {given!r}: it takes a table of keys; see twofold models {owner}"
        case "tuple_type" if isinstance(given, str):
            several = [one.strip(" '\"()[]") for one in given.split(",")]
            return f"{owner}.{name} got {given!r}; write {[one for one in several if one]}"
        case "tuple_type":
            return f"{owner}.{name} got {given!r}; write a list, as in [{given}]"
        case "too_short":
            return f"{owner}.{name} got {given!r}; give at least one"
        case "bool_type" | "bool_parsing":
            return f"{owner}.{name} got {given!r}; write true or false"
        case _:
            return f"{owner}.{name} got {given!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _options(cls: type, name: str) -> list[Any]:
    """Return the classes that a field may hold."""
    hint: Any = get_type_hints(cls)[name]
    return [one for one in (get_args(hint) or (hint,)) if dataclasses.is_dataclass(one)]


def _option(cls: type, name: str, tag: str) -> Any:
    """Return the class of a field's options that carries a tag, or the only one where there are no tags."""
    options = _options(cls, name)
    found = [one for one in options if tag in {getattr(one, at, None) for at in names(one)}]
    return found[0] if found else options[0] if len(options) == 1 else cls


def tag_of(cls: type, name: str) -> str | None:
    """Return the key by which a table says which of the declarations it is that a field may hold; None where it holds one or none.

    Example
    -------
    >>> from twofold.models import GRU4Rec
    >>> tag_of(GRU4Rec, "optimiser"), tag_of(GRU4Rec, "epochs")
    ('method', None)
    """
    options = _options(cls, name)
    return names(options[0])[0] if len(options) > 1 else None


def names(estimator: object) -> list[str]:
    """Return the names of the hyperparameters of an estimator or its class, in order."""
    return [field.name for field in dataclasses.fields(estimator)]  # type: ignore[arg-type]


def schema(estimator: type) -> dict[str, Any]:
    """Return the JSON schema of an estimator's hyperparameters."""
    return TypeAdapter(estimator).json_schema()


def values(estimator: object) -> dict[str, Any]:
    """Return the hyperparameters of an estimator as plain JSON values."""
    return TypeAdapter(type(estimator)).dump_python(estimator, mode="json")


def parts(estimator: type) -> list[type]:
    """Return the declarations that the fields of `estimator` may hold, such as optimisers, and those that these hold.

    Example
    -------
    >>> from twofold.models import SASRec
    >>> [one.__name__ for one in parts(SASRec)]
    ['Binary', 'Softmax']
    """
    found: dict[type, None] = {}
    for hint in get_type_hints(estimator, include_extras=True).values():
        for part in _declarations(hint):
            found |= dict.fromkeys([part, *parts(part)])
    return list(found)


def _declarations(hint: Any) -> list[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [one for inner in get_args(hint) for one in _declarations(inner)]


def search_space(estimator: type) -> dict[str, Search]:
    """Return the fields of `estimator` that declare a search range, with the range.

    Example
    -------
    >>> from twofold.models import BPR
    >>> search_space(BPR)["epochs"].integer, search_space(BPR)["reg_user"].integer
    (True, False)
    """
    hints = get_type_hints(estimator, include_extras=True)
    found: dict[str, Search] = {}
    for name in names(estimator):
        for mark in getattr(hints[name], "__metadata__", ()):
            if isinstance(mark, Search):
                found[name] = dataclasses.replace(mark, integer=_holds_integers(hints[name]))
    return found


def _holds_integers(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _holds_integers(get_args(hint)[0])
    return hint is int or any(_holds_integers(one) for one in get_args(hint))
