"""The sentence under each field of a declaration, read from its source when a schema or a help text asks for it.

Pydantic can read them too, while a class is made; that costs every process a third of a second, which only those
that show a schema should pay.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any


@cache
def field_notes(cls: type) -> dict[str, str]:
    """Return the text under each annotated field of a class and of what it inherits; without source, nothing.

    Example
    -------
    >>> from twofold.models import IALS
    >>> field_notes(IALS)["factors"]
    'Embedding size d; the model gains from more of them for long (2022, section 5).'
    """
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if "__annotations__" not in vars(one):
            continue
        body = _body_of(one)
        if body is not None:
            found |= _noted(body)
    return found


def _body_of(cls: type) -> list[ast.stmt] | None:
    try:
        whole = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (
        OSError,
        TypeError,
    ):  # of a notebook, whose cells are known by the methods alone, or built in
        files = {one.__code__.co_filename for one in vars(cls).values() if inspect.isfunction(one)}
        whole = ast.parse("".join(line for file in sorted(files) for line in _cell(file, cls)))
    for one in ast.walk(whole):
        match one:
            case ast.ClassDef(name=cls.__name__, body=body):
                return body
            case _:
                continue
    return None


def _cell(file: str, cls: type) -> list[str]:
    lines = linecache.getlines(file)
    return lines if any(line.startswith(f"class {cls.__name__}") for line in lines) else []


def _noted(body: list[ast.stmt]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
            case _:
                continue
    return found


def add_notes(schema: dict[str, Any], cls: type) -> None:
    """Put the sentences of a class into its JSON schema, where a field has no description of its own."""
    notes = field_notes(cls)
    for name, about in schema.get("properties", {}).items():
        if name in notes:
            about.setdefault("description", notes[name])
