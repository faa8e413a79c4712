"""Commands that show what there is: data sets, models, and whether the machine is ready."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import inspect as introspection
import os
import platform
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

from twofold import datasets as catalogue
from twofold import models as zoo
from twofold._version import __version__
from twofold.cli.options import Json
from twofold.cli.output import say, say_json, table
from twofold.data.synthetic import small_log
from twofold.hyperparameters import names, schema, search_space
from twofold.jobs import estimator

OPTIONAL = {
    "pandas": "frames",
    "pyarrow": "frames",
    "sqlalchemy": "sql",
    "optuna": "tune",
    "matplotlib": "plots",
    "sklearn": "plots",
    "torch": "deep",
}
"""Packages that some features need, with the extra that installs each."""


def datasets(
    name: Annotated[str, typer.Argument(help="Show one set.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """List the data sets that can be loaded by name, with their licences.

    Example: `twofold datasets ml-100k`
    """
    chosen = [name] if name else catalogue.names()
    about = [dataclasses.asdict(catalogue.describe(one)) for one in chosen]
    if json:
        say_json(about[0] if name else about)
    elif name:
        say("\n".join(f"{key:<10} {value}" for key, value in about[0].items() if value))
    else:
        shown = ("name", "title", "licence", "size")
        rows = [{key: str(one[key]) for key in shown if key in one} for one in about]
        say(table(pl.DataFrame(rows)))


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
        described, ranges = schema(cls)["properties"], search_space(cls)
        rows = [
            {
                "hyperparameter": one,
                "default": str(getattr(cls(), one)),
                "tuned": "yes" if one in ranges else "",
                "meaning": " ".join(described[one].get("description", "").split()),
            }
            for one in names(cls)
        ]
        say(f"{introspection.getdoc(cls)}\n\n{table(pl.DataFrame(rows))}")
        return
    about = [{"name": one, "what it is": _headline(one)} for one in zoo.__all__]
    if json:
        say_json(about)
    else:
        say(table(pl.DataFrame(sorted(about, key=lambda one: one["name"]))))


def _headline(name: str) -> str:
    return (introspection.getdoc(getattr(zoo, name)) or "").splitlines()[0]


def doctor(json: Json = False) -> None:
    """Check that this machine is ready: versions, optional packages, folders, a trained model.

    Example: `twofold doctor`. Exit code 1 where something does not work.
    """
    rows = [
        _check("python", platform.python_version()),
        _check("twofold", __version__),
        *[
            _check(one, importlib.metadata.version(one))
            for one in ("numpy", "scipy", "numba", "polars", "pydantic")
        ],
        _check("processors", str(os.cpu_count())),
    ]
    for module, extra in OPTIONAL.items():
        there = importlib.util.find_spec(module) is not None
        rows.append(
            _check(module, "installed" if there else f"optional: pip install 'twofold[{extra}]'")
        )
    rows.append(_data_folder())
    rows.append(_self_test())
    if json:
        say_json(rows)
    else:
        say(table(pl.DataFrame(rows)))
    if any(row["state"] == "fault" for row in rows):
        raise typer.Exit(1)


def _check(what: str, found: str, *, ok: bool = True) -> dict[str, str]:
    return {"what": what, "state": "ok" if ok else "fault", "found": found}


def _data_folder() -> dict[str, str]:
    folder = os.environ.get("TWOFOLD_DATA")
    if not folder:
        return _check("TWOFOLD_DATA", "not set: data sets are fetched and cached")
    there = Path(folder).is_dir()
    return _check("TWOFOLD_DATA", "a folder" if there else "is set to no folder", ok=there)


def _self_test() -> dict[str, str]:
    model = zoo.IALS(factors=4, epochs=2).fit(small_log(), rng=0)
    finite = bool(np.isfinite(model.item_vectors).all())
    return _check("kernels", "compile and run" if finite else "give wrong numbers", ok=finite)
