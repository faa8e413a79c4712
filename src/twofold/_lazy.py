"""Public names that are imported when they are first used, so that ``import twofold`` is light."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from twofold.errors import did_you_mean


def exporter(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package whose names are looked up in `homes` (name -> module)."""

    def __getattr__(name: str) -> Any:
        if name not in homes:
            hint = did_you_mean(name, homes) if not name.startswith("_") else ""
            raise AttributeError(f"{package} has no {name!r}; {hint}")
        home = importlib.import_module(homes[name])
        return home if homes[name] == f"{package}.{name}" else getattr(home, name)

    def __dir__() -> list[str]:
        own = (name for name in vars(sys.modules[package]) if name.startswith("__"))
        return sorted({*own, *homes})

    return __getattr__, __dir__
