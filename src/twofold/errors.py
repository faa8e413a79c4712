"""Every error that twofold raises on purpose.

::

    TwofoldError
    ├── ConfigError          a hyperparameter, option or job file is wrong   (ValueError)
    ├── DataError            the data break a stated rule                    (ValueError)
    │   └── LeakError        training knows something about the test part
    ├── UnknownIdError       an id that is not in the catalogue              (KeyError)
    ├── NotConvergedError    training left the finite numbers                (ArithmeticError)
    ├── IncompatibleFileError  a folder or file that cannot be opened safely (ValueError)
    └── MissingDependencyError an optional package is not installed          (ImportError)

``DataWarning`` is the one warning: a stated policy changed what was read.
Each message is one sentence that says which name, what it got, what is allowed and what to do.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from numbers import Integral
from types import ModuleType


class TwofoldError(Exception):
    """Base of all errors below; catching it never hides a programming mistake."""

    def __str__(self) -> str:
        """Return the sentence (``KeyError`` would print its ``repr``)."""
        return str(self.args[0]) if self.args else self.__class__.__name__


class ConfigError(TwofoldError, ValueError):
    """A hyperparameter, an option or a job file is wrong."""


class DataError(TwofoldError, ValueError):
    """The data break a stated rule."""


class LeakError(DataError):
    """Training knows something about the test part; ``rows`` names the guilty rows."""

    def __init__(self, message: str, rows: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class UnknownIdError(TwofoldError, KeyError):
    """An id is not in the catalogue; ``id`` holds it."""

    def __init__(self, message: str, id: object = None) -> None:
        super().__init__(message)
        self.id = id


class NotConvergedError(TwofoldError, ArithmeticError):
    """Training produced a value that is not finite."""


class IncompatibleFileError(TwofoldError, ValueError):
    """A saved folder or a file is damaged, foreign or from another format."""


class MissingDependencyError(TwofoldError, ImportError):
    """An optional package is needed and is not installed."""


class DataWarning(UserWarning):
    """A stated policy changed what was read; the text says what and how to avoid it."""


def did_you_mean(name: object, allowed: Iterable[object]) -> str:
    """Say what is allowed, and the nearest allowed name if one is near.

    Example
    -------
    >>> did_you_mean("factor", ["epochs", "factors"])
    "allowed: epochs, factors; did you mean 'factors'?"
    >>> did_you_mean("price", [])
    'there are none'
    """
    names = [str(one) for one in allowed]
    if not names:
        return "there are none"
    near = nearest(str(name), names)
    listed = ", ".join(names[:20]) + (f", ... ({len(names):,} in all)" if len(names) > 20 else "")
    return f"allowed: {listed}" + (f"; did you mean {near!r}?" if near else "")


def no_context(name: str, there: Iterable[object]) -> ConfigError:
    """Return the error of a column that was not read as context.

    Example
    -------
    >>> print(no_context("bill", []))
    no context column 'bill': the log has no context columns; where the file has it read it with context=['bill'] (on the command line --context bill=category)
    """
    names = list(there)
    hint = did_you_mean(name, names) if names else "the log has no context columns"
    return ConfigError(
        f"no context column {name!r}: {hint}; where the file has it read it with context=[{name!r}] "
        f"(on the command line --context {name}=category)"
    )


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the nearest of `names`: one that differs in case, ``_``/``-`` or leading zeros alone, else in few letters.

    Example
    -------
    >>> nearest("ials", ["EASE", "IALS"]), nearest("50", ["00050", "51"]), nearest("x", ["y"])
    ('IALS', '00050', None)
    """
    listed = list(names)
    folded = [_folded(one) for one in listed]
    if _folded(name) in folded:
        return listed[folded.index(_folded(name))]
    close = difflib.get_close_matches(name, listed, n=1)
    close = close or difflib.get_close_matches(_folded(name), folded, n=1)
    return (close[0] if close[0] in listed else listed[folded.index(close[0])]) if close else None


def _folded(name: str) -> str:
    plain = name.lower().replace("_", "-")
    return plain.lstrip("0") or plain


def at_least_one(name: str, value: object) -> int:
    """Check a count.

    Raises
    ------
    ConfigError
        If it is not an integer >= 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ConfigError(f"{name} must be an integer >= 1; got {value!r}")
    return int(value)


def need(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say in one sentence how to install it.

    Raises
    ------
    MissingDependencyError
        If the module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        text = f"{module} is not installed and is needed here; run: pip install 'twofold[{extra}]'"
        raise MissingDependencyError(text) from error
