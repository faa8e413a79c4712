"""Commands that show what there is: data sets and models."""

from __future__ import annotations

import dataclasses
import inspect as introspection
import os
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from twofold import datasets as sets
from twofold import models as zoo
from twofold.cli.output import Json, say, say_json, table
from twofold.data import catalogue
from twofold.hyperparameters import Search, names, parts, schema, search_space, values
from twofold.jobs import estimator
from twofold.toml_text import toml

LIMITS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}


def datasets(
    name: Annotated[str, typer.Argument(help="Show one set.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """List the data sets that can be loaded by name, with their licences.

    Example: `twofold datasets ml-100k`
    """
    chosen = [name] if name else sets.names()
    about = [
        {**dataclasses.asdict(sets.describe(one)), "here": whereabouts(sets.describe(one))}
        for one in chosen
    ]
    if json:
        say_json(about[0] if name else about)
    elif name:
        entry = sets.describe(name)
        facts = {
            "name": entry.name,
            "title": entry.title,
            "size": entry.size,
            "licence": entry.licence,
            "source": entry.source,
            "files": ", ".join(entry.files),
            "fetched from": ", then ".join(one.address for one in entry.archives),
            "here": about[0]["here"],
        }
        say("\n".join(f"{key:<12} {value}" for key, value in facts.items() if value))
        say(f"next: twofold compare --data {name}")
    else:
        shown = ("name", "title", "size", "here", "licence")
        say(table(pl.DataFrame([{key: str(one[key]) for key in shown} for one in about])))


def whereabouts(entry: catalogue.Entry) -> str:
    """Say whether a set is on this machine, can be fetched, or has to be brought."""
    named = os.environ.get("TWOFOLD_DATA")
    if named and (Path(named) / entry.name).is_dir():
        return "in TWOFOLD_DATA"
    if (catalogue.cache_folder() / entry.name).is_dir():
        return "in the cache"
    return "is fetched" if entry.archives else "put it into TWOFOLD_DATA"


def models(
    name: Annotated[str, typer.Argument(help="Show one model.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """List the models, or show the hyperparameters of one.

    Example: `twofold models IALS`
    """
    if name:
        cls = type(estimator(name, {}))
        if json:
            say_json(schema(cls))
            return
        say(f"{introspection.getdoc(cls)}\n")
        say(table(pl.DataFrame(fields(cls))))
        for part, about in nested(cls):
            say(f"\n{part}\n{table(pl.DataFrame(about))}")
        say(f"\nset one: twofold fit {name} --data F --out DIR --set {example(cls)}")
        return
    about = [{"name": one, "what it is": _headline(one)} for one in zoo.__all__]
    if json:
        say_json(about)
    else:
        say(table(pl.DataFrame(sorted(about, key=lambda one: one["name"]))))
        say("next: twofold models IALS shows the hyperparameters of one")


def _headline(name: str) -> str:
    return (introspection.getdoc(getattr(zoo, name)) or "").splitlines()[0]


def fields(cls: type) -> list[dict[str, str]]:
    """Return a row a hyperparameter: its name, what it accepts, default, search range, meaning."""
    described, ranges, defaults = schema(cls)["properties"], search_space(cls), values(cls())
    return [
        {
            "hyperparameter": one,
            "accepts": accepts(described[one]),
            "default": "none" if defaults[one] is None else toml(defaults[one]),
            "tuned over": span(ranges[one]) if one in ranges else "",
            "meaning": " ".join(described[one].get("description", "").split()),
        }
        for one in names(cls)
    ]


def nested(cls: type) -> list[tuple[str, list[dict[str, str]]]]:
    """Return, for each table that a hyperparameter may be, its name and sentence, and a row a key."""
    found: list[tuple[str, list[dict[str, str]]]] = []
    for part in parts(cls):
        rows = [{"key": row.pop("hyperparameter"), **row} for row in fields(part)]
        if not any(row["tuned over"] for row in rows):
            rows = [{key: one for key, one in row.items() if key != "tuned over"} for row in rows]
        said = " ".join((introspection.getdoc(part) or "").partition("\n\n")[0].split())
        found.append((f"{part.__name__}: {said}", rows))
    return found


def example(cls: type) -> str:
    """Return a setting as it is written on the command line."""
    ranges = search_space(cls)
    first = next(iter(ranges), names(cls)[0])
    return f"{first}={toml(values(cls())[first])}"


def accepts(field: dict[str, Any]) -> str:
    """Return what a field accepts, read from its schema."""
    if "const" in field:
        return toml(field["const"])
    if "anyOf" in field or "oneOf" in field:
        return " or ".join(accepts(one) for one in field.get("anyOf", field.get("oneOf", [])))
    if "enum" in field:
        return " or ".join(toml(one) for one in field["enum"])
    kind = field.get("type", field.get("$ref", "model as a table").split("/")[-1])
    signs = [f"{sign} {field[key]:g}" for key, sign in LIMITS.items() if key in field]
    return " ".join(["none" if kind == "null" else kind, *signs])


def span(search: Search) -> str:
    """Return a search range as it is read: ``8 … 256 (log)``."""
    if search.choices:
        return ", ".join(toml(one) for one in search.choices)
    return f"{search.low:g} … {search.high:g}" + (" (log)" if search.log else "")
