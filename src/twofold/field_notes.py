"""The sentence under each field of a declaration, read from its source when a schema or a help text asks for it.

Pydantic can read them too, while a class is made; that costs every process a third of a second, which only those
that show a schema should pay.
"""

from __future__ import annotations

import ast
import inspect
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
        try:
            source = inspect.getsource(one)
        except (OSError, TypeError):  # typed in at a prompt, or built in
            continue
        match ast.parse(textwrap.dedent(source)).body[0]:
            case ast.ClassDef(body=body):
                found |= _noted(body)
            case _:
                continue
    return found


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
