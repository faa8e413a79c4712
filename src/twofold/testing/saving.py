"""The check of saving: another process answers alike."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from twofold import loading
from twofold.testing.logs import Estimator, digests, fitted

SCRIPT = """
import importlib, runpy, sys
import polars as pl
import twofold.loading
from twofold.testing.logs import digests, fitted

def home(module):
    return runpy.run_path(module) if module.endswith(".py") else vars(importlib.import_module(module))

extra = [home(module)[name] for module, _, name in (one.rpartition(":") for one in sys.argv[3:])]
model = twofold.loading.load(sys.argv[1], extra=extra)
print(*(f"{name} {digest}" for name, digest in digests(fitted(model.estimator))), sep="\\n")
pl.concat([
    model.recommend(users=[100, 101, "x"], k=4)[["item", "score"]],
    model.recommend(histories=[["i0", "i3"]], k=4)[["item", "score"]],
    model.predict({"user": [100, 555], "item": ["i1", "i2"]})[["item", "score"]],
    model.similar_items("i5", k=4)[["item", "score"]],
]).write_parquet(sys.argv[2])
"""
"""What the other process does."""


def check_saved_model_scores_alike(estimator: Estimator) -> None:
    """A model saved here and loaded in another process answers alike; fitted there, it is the same."""
    model = fitted(estimator)
    classes = [type(estimator), type(model)]
    for one in classes:
        assert "<locals>" not in one.__qualname__, (
            f"{one.__name__} is defined inside a function, where no other process finds it: "
            "move it to the top of a module"
        )
    homes = [f"{_home(one)}:{one.__qualname__}" for one in classes]
    with tempfile.TemporaryDirectory() as folder:
        path, out = model.save(Path(folder) / "model"), Path(folder) / "answers.parquet"
        again = loading.load(path, extra=classes)
        lists = [one.recommend(users=[100, 101, "x"], k=4) for one in (model, again)]
        assert lists[0].equals(lists[1]), "loaded here, it answers differently"
        where = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
        command = [sys.executable, "-c", SCRIPT, str(path), str(out), *homes]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=where)
        assert ran.returncode == 0, f"loading in another process failed: {ran.stderr[-500:]}"
        here = pl.concat(
            one[["item", "score"]]
            for one in (
                lists[0],
                model.recommend(histories=[["i0", "i3"]], k=4),
                model.predict({"user": [100, 555], "item": ["i1", "i2"]}),
                model.similar_items("i5", k=4),
            )
        )
        there = pl.read_parquet(out)
    assert there.equals(here), (
        f"loaded in another process, it answers differently: {_first(here, there)}"
    )
    mine = [f"{name} {digest}" for name, digest in digests(model)]
    differ = sorted({one.split()[0] for one in {*mine} ^ {*ran.stdout.splitlines()}})
    assert not differ, f"with the same seed, another process learns different {', '.join(differ)}"


def _first(here: pl.DataFrame, there: pl.DataFrame) -> str:
    """Say where two tables of answers differ first."""
    if len(here) != len(there):
        return f"{len(here)} answers here and {len(there)} there"
    row = next(row for row, both in enumerate(zip(here.rows(), there.rows())) if both[0] != both[1])
    return f"answer {row} is {here.row(row)} here and {there.row(row)} there"


def _home(cls: type) -> str:
    """Return the module of a class, or the file of a script that is being run."""
    if cls.__module__ != "__main__":
        return cls.__module__
    script = getattr(sys.modules["__main__"], "__file__", None)
    assert script, f"{cls.__name__} is defined in a session: move it to a file to check its saving"
    return str(script)
