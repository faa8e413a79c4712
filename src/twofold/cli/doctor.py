"""The command that says whether this machine is ready, and what would help."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

from twofold import models as zoo
from twofold._version import __version__
from twofold.cli.output import Json, say, say_json, table
from twofold.cli.readiness import server
from twofold.data import catalogue
from twofold.data.synthetic import small_log
from twofold.models.baselines.ease import free_memory

CORE = ("numpy", "scipy", "numba", "polars", "pydantic", "typer", "rich", "threadpoolctl")
OPTIONAL = {
    "frames": ("pandas", "pyarrow"),
    "sql": ("sqlalchemy", "psycopg"),
    "serve": ("fastapi", "uvicorn", "sqlalchemy", "prometheus_client", "orjson", "jinja2"),
    "tune": ("optuna",),
    "plots": ("matplotlib",),
    "learn": ("sklearn",),
    "deep": ("torch", "safetensors"),
}
"""Extras, with the modules that each brings."""
READ: dict[str, str] = {
    "TWOFOLD_DATA": "a folder of data sets by name, looked in first",
    "TWOFOLD_KEYS": "a TOML file of API keys for twofold serve",
    "TWOFOLD_TRACEBACK": "set: a fault of twofold itself shows where it happened",
    "XDG_CACHE_HOME": "where the cache of data sets is kept",
    "NUMBA_NUM_THREADS": "threads of the kernels",
    "OMP_NUM_THREADS": "threads of matrix products",
    "NUMBA_CACHE_DIR": "where compiled kernels are kept",
    "NO_COLOR": "set: no colours",
}
"""Environment variables that matter, with what they do."""
BYTES_AN_EVENT = 200
"""What an event takes while a log is read, split and trained on, generously."""
LITTLE_MEMORY, LITTLE_DISK = 1e9, 1e9
SLOW = 30
"""Seconds of the self test above which something is wrong with the machine."""


def doctor(
    state: Annotated[
        Path | None,
        typer.Argument(
            help="A state folder of twofold serve: check its server too.", show_default=False
        ),
    ] = None,
    store: Annotated[
        str,
        typer.Option("--store", help="Database URL of the events, where it is not in the folder."),
    ] = "",
    keys: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of API keys to check.", envvar="TWOFOLD_KEYS", show_envvar=False
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address of the server.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(help="Port to check: is it free, or does a server answer?", min=0, max=65535),
    ] = 0,
    json: Json = False,
) -> None:
    """Check that this machine is ready: versions, extras, threads, memory, folders, a trained model, a server.

    Exit code 1 where something does not work.

    Example: `twofold doctor runs/ials-serving --port 8000`
    """
    served = server(state, store, keys, host, port)
    rows = [
        *_versions(),
        *_machine(),
        *_environment(),
        *_folders(),
        _self_test(),
        *served,
    ]
    faults = [row for row in rows if row["state"] == "fault"]
    hints = [row for row in rows if row["state"] == "hint"]
    if json:
        say_json(rows)
    else:
        say(table(pl.DataFrame(rows)))
        say("")
        for row in [*faults, *hints]:
            say(f"{row['state']}: {row['what']}: {row['found']}")
        say("this machine is not ready" if faults else "this machine is ready: twofold demo")
    if faults:
        raise typer.Exit(1)


def row(what: str, found: str, state: str = "ok") -> dict[str, str]:
    """Return a line of the report; `state` is ok, hint, fault, or empty for what is only told."""
    return {"what": what, "state": state, "found": found}


def _versions() -> list[dict[str, str]]:
    rows = [row("python", platform.python_version()), row("twofold", __version__)]
    rows += [row(one, importlib.metadata.version(one)) for one in CORE]
    for extra, modules in OPTIONAL.items():
        absent = [one for one in modules if importlib.util.find_spec(one) is None]
        if absent:
            found = f"{', '.join(absent)} not installed: pip install 'twofold[{extra}]'"
            rows.append(row(f"extra {extra}", found, ""))
        else:
            rows.append(row(f"extra {extra}", "installed"))
    return rows


def _machine() -> list[dict[str, str]]:
    # numba is slow to import.
    import numba

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = numba.get_num_threads()
    rows = [row("system", f"{platform.system()} {platform.machine()}")]
    rows.append(row("processors", f"{os.cpu_count()}, {allowed} usable"))
    few = threads < (allowed or 1)
    hint = "; raise NUMBA_NUM_THREADS to use all processors" if few else ""
    rows.append(row("threads", f"{threads}{hint}", "hint" if few else "ok"))
    free = free_memory()
    if np.isfinite(free):
        text = f"{free / 1e9:.1f} GB free: logs of about {free / BYTES_AN_EVENT / 1e6:,.0f} million events"
        little = free < LITTLE_MEMORY
        rows.append(
            row(
                "memory", text + ("; close something" if little else ""), "hint" if little else "ok"
            )
        )
    return rows


def _environment() -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for name, meaning in READ.items():
        value = os.environ.get(name)
        if name == "TWOFOLD_DATA" and value and not Path(value).is_dir():
            rows.append(row(name, f"{value} is no folder; correct it, or unset it", "fault"))
        else:
            rows.append(row(name, f"{value} ({meaning})" if value else f"not set ({meaning})", ""))
    return rows


def _folders() -> list[dict[str, str]]:
    cache = catalogue.cache_folder()
    there = next(one for one in (cache, *cache.parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        text = f"{cache} cannot be written; set XDG_CACHE_HOME to a folder that can"
        return [row("cache", text, "hint")]
    free = shutil.disk_usage(there).free
    held = [one.name for one in sorted(cache.iterdir()) if one.is_dir()] if cache.is_dir() else []
    text = f"{cache}: {', '.join(held) or 'empty'}; {free / 1e9:.1f} GB free"
    return [row("cache", text, "hint" if free < LITTLE_DISK else "ok")]


def _self_test() -> dict[str, str]:
    began = time.perf_counter()
    model = zoo.IALS(factors=4, epochs=2).fit(small_log(), rng=0)
    seconds = time.perf_counter() - began
    if not np.isfinite(model.item_vectors).all():
        return row("kernels", "give numbers that are not finite; reinstall numba", "fault")
    text = f"compile and run, {seconds:.1f} s"
    slow = seconds > SLOW
    hint = "; if that is so every time, set NUMBA_CACHE_DIR to a folder that can be written"
    return row("kernels", text + (hint if slow else ""), "hint" if slow else "ok")
