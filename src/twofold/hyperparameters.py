"""One frozen declaration per estimator: type, bound, default, search range and meaning.

Command-line help, documentation, JSON schema and search spaces are read from it.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform, get_type_hints

import pydantic
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from twofold.errors import ConfigError, did_you_mean

T = TypeVar("T")


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


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def hyperparameters(cls: type[T]) -> type[T]:
    """Declare an estimator: frozen, keyword-only, validated; unknown names are refused.

    A wrong value or name raises `ConfigError` in one sentence, with the nearest allowed name.
    """
    config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
    made: Any = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=config)(cls)
    checked = made.__init__

    @functools.wraps(checked)
    def __init__(self: object, **values: Any) -> None:
        try:
            checked(self, **values)
        except ValidationError as error:
            raise ConfigError(explain(cls.__name__, names(made), error)) from None
        for name, given in values.items():
            if _coerced(given, getattr(self, name)):
                wanted = "true or false" if isinstance(getattr(self, name), bool) else "a number"
                raise ConfigError(
                    f"{cls.__name__}.{name} got {given!r}, a {type(given).__name__}: write {wanted}"
                )

    made.__init__ = __init__
    return made


def _coerced(given: object, kept: object) -> bool:
    """Say whether a truth value or a text was taken for a number, or a number for a truth value."""
    if isinstance(kept, bool):
        return not isinstance(given, bool)
    return isinstance(kept, int | float) and isinstance(given, bool | str)


def explain(owner: str, allowed: list[str], error: ValidationError) -> str:
    """Turn a validation error into one sentence about its first fault."""
    fault = error.errors()[0]
    own = fault.get("ctx", {}).get("error")
    if isinstance(own, ConfigError):
        return str(own)
    name = ".".join(str(part) for part in fault["loc"]) or "?"
    if fault["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        hint = did_you_mean(name.split(".")[-1], allowed)
        return f"{owner} has no hyperparameter {name!r} (got {fault['input']!r}); {hint}"
    if fault["type"] in {"model_attributes_type", "dataclass_type", "dict_type"}:
        return (
            f"{owner}.{name} got {fault['input']!r}: it takes a table of keys; "
            f"see twofold models {owner}"
        )
    return f"{owner}.{name} got {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def names(estimator: object) -> list[str]:
    """Return the names of the hyperparameters of an estimator or its class, in order."""
    return [field.name for field in dataclasses.fields(estimator)]  # type: ignore[arg-type]


def schema(estimator: type) -> dict[str, Any]:
    """Return the JSON schema of an estimator's hyperparameters."""
    return TypeAdapter(estimator).json_schema()


def values(estimator: object) -> dict[str, Any]:
    """Return the hyperparameters of an estimator as plain JSON values."""
    return TypeAdapter(type(estimator)).dump_python(estimator, mode="json")


def search_space(estimator: type) -> dict[str, Search]:
    """Return the fields of `estimator` that declare a search range, with the range."""
    hints = get_type_hints(estimator, include_extras=True)
    found: dict[str, Search] = {}
    for name in names(estimator):
        for mark in getattr(hints[name], "__metadata__", ()):
            if isinstance(mark, Search):
                found[name] = mark
    return found
