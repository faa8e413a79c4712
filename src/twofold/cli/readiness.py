"""Whether a server can start, or does well: store, live model, keys, port, room on the disk."""

from __future__ import annotations

import contextlib
import shutil
import urllib.request
from pathlib import Path

import orjson

from twofold.data.passwords import without_passwords
from twofold.errors import ConfigError, TwofoldError, need
from twofold.serve.keys import Keys

LITTLE_DISK = 1e9
"""Bytes below which a server may soon be able to keep no more events."""
SECONDS = 3
"""For a server that runs to answer."""

Row = dict[str, str]


def row(what: str, found: str, state: str = "ok") -> Row:
    """Return a line of the report; `state` is ok, hint or fault."""
    return {"what": what, "state": state, "found": found}


def server(state: Path | None, store: str, keys: Path | None, host: str, port: int) -> list[Row]:
    """Return what speaks for and against a server of this state; it is only looked at.

    Raises
    ------
    ConfigError
        If `state` is no state folder and no database is named.
    """
    rows: list[Row] = []
    if state is not None or store:
        need("sqlalchemy", "serve")
        rows += _store(state, store)
    if state is not None:
        free = shutil.disk_usage(state).free
        little = free < LITTLE_DISK
        hint = "; make room, or delete old events with --retention-days" if little else ""
        rows.append(row("room for events", f"{free / 1e9:.1f} GB free in {state}{hint}", "hint" if little else "ok"))  # fmt: skip
    if keys is not None:
        rows.append(_keys(keys))
    if port:
        rows.append(_port(host, port))
    return rows


def _store(state: Path | None, store: str) -> list[Row]:
    # SQLAlchemy takes a quarter of a second, which other commands shall not wait for.
    from twofold.serve.registry import Registry
    from twofold.serve.settings import STORE, Settings
    from twofold.serve.store import Store
    from twofold.serve.tables import EVENTS, FORMAT

    if not store and not (Path(state or ".") / STORE).exists():
        raise ConfigError(
            f"{state} is no state folder of twofold serve; start one with twofold serve RUN"
        )
    settings = Settings(state=str(state or "."), store=store or None)
    try:
        opened = Store(settings.url)
    except TwofoldError as error:
        return [row("store", str(error), "fault")]
    with contextlib.closing(opened):
        kept = opened.count(EVENTS)
        rows = [
            row("store", f"{without_passwords(settings.url)}: format {FORMAT}, {kept:,} events")
        ]
        try:
            registry = Registry(opened)
            found = registry.read()
            if found.live is None:
                said = "no version is live yet; name a model: twofold serve RUN"
                return [*rows, row("live model", said, "hint")]
            live = found.version(found.live)
            model = registry.open(live)
        except TwofoldError as error:
            return [*rows, row("live model", str(error), "fault")]
        said = f"version {live.version}, {live.model}: {len(model.users):,} users, {len(model.items):,} items, from {live.path}"
        return [*rows, row("live model", said)]


def _keys(path: Path) -> Row:
    try:
        held = Keys.read(path)
    except TwofoldError as error:
        return row("keys", str(error), "fault")
    if path.stat().st_mode & 0o077:
        said = f"{path} can be read by others on this machine; chmod 600 {path}"
        return row("keys", said, "hint")
    return row("keys", f"{len(held.ranks)} of {path}")


def _port(host: str, port: int) -> Row:
    for module in ("uvicorn", "fastapi"):
        need(module, "serve")
    # As above.
    from twofold.serve.run import bind

    try:
        bind(host, port).close()
    except ConfigError as error:
        found = answered(host, port)
        if found is None:
            return row("port", str(error), "fault")
        said = f"{host}:{port}: a server answers, {found['model']} version {found['version']}, store {found['store']}"
        good = found["ready"] and found["store"] == "reachable"
        return row("port", said, "ok" if good else "fault")
    return row("port", f"{host}:{port} is free")


def answered(host: str, port: int) -> dict[str, str] | None:
    """Return what a server says of itself at an address; None where none of ours answers."""
    name = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{name}:{port}/ready", timeout=SECONDS) as answer:
            found = orjson.loads(answer.read(10_000))
    except (OSError, ValueError):
        return None
    ours = isinstance(found, dict) and {"ready", "model", "version", "store"} <= found.keys()
    return found if ours else None
