"""Jobs and single values as TOML, which Python reads and does not write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def to_toml(table: Mapping[str, Any]) -> str:
    """Write a resolved job as TOML; `from_dict` of what `tomllib` reads there is the same job.

    Keys that are None are left out, as TOML has no such value.

    Example
    -------
    >>> print(to_toml({"seed": 0, "out": None, "models": {"a b": {"reg": 0.1, "solver": {"steps": 2}}}}))
    seed = 0
    <BLANKLINE>
    [models."a b"]
    reg = 0.1
    solver = { steps = 2 }
    <BLANKLINE>
    """
    flat = {key: one for key, one in table.items() if not isinstance(one, Mapping)}
    sections = {key: one for key, one in table.items() if isinstance(one, Mapping)}
    named = {f"models.{_key(name)}": one for name, one in sections.pop("models", {}).items()}
    lines = _lines(flat)
    for name, one in {**sections, **named}.items():
        lines += ["", f"[{name}]", *_lines(one)]
    return "\n".join(lines) + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {toml(one)}" for key, one in table.items() if one is not None]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)


def toml(value: Any) -> str:
    """Write one value as TOML.

    Example
    -------
    >>> toml({"method": "exact", "shares": [0.5, 1]}), toml(True), toml(None)
    ('{ method = "exact", shares = [0.5, 1] }', 'true', '""')
    """
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_lines(value))} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(one) for one in value)}]"
    # JSON writes texts, numbers and truth values as TOML does, save for one control character.
    return json.dumps("" if value is None else value, ensure_ascii=False).replace("\x7f", "\\u007F")
