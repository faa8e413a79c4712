"""Commands of serving: serve, promote, rollback, events."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
import typer

from twofold.cli.files import check_target, write
from twofold.cli.output import Json, note, say, say_json
from twofold.errors import ConfigError, need

if TYPE_CHECKING:
    from twofold.serve.live import Live

SUFFIX = "-serving"
"""What the state folder of a model is called, unless told otherwise."""
EXTRA = ("fastapi", "uvicorn", "sqlalchemy", "prometheus_client", "orjson", "jinja2")

State = Annotated[Path, typer.Argument(help="A state folder of twofold serve.", show_default=False)]
StoreUrl = Annotated[
    str,
    typer.Option(
        "--store", help="Database URL of the events; SQLite in the state folder otherwise."
    ),
]


def serve(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A run folder, a saved model, or the state of an earlier server.",
            show_default=False,
        ),
    ],
    state: Annotated[
        Path | None,
        typer.Option(
            help="Folder of events and versions; beside the model otherwise.", show_default=False
        ),
    ] = None,
    store: StoreUrl = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 = any free one.", min=0, max=65535)
    ] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of API keys; needed on a public address.",
            envvar="TWOFOLD_KEYS",
            show_envvar=False,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes that share address and store.", min=1)
    ] = 1,
    kind: Annotated[
        list[str],
        typer.Option(
            help="Kind of event that makes up histories; repeatable. All but impressions otherwise."
        ),
    ] = [],  # noqa: B006
    retention_days: Annotated[
        float, typer.Option(help="Days after which events are deleted; 0 = never.", min=0)
    ] = 0,
    rate: Annotated[
        float, typer.Option(help="Requests a second of one client; 0 = no limit.", min=0)
    ] = 0,
    max_body: Annotated[int, typer.Option(help="Bytes of the largest body.", min=1)] = 1_000_000,
    timeout: Annotated[
        float, typer.Option(help="Seconds for a body, and for an answer.", min=0.1)
    ] = 10,
    index: Annotated[
        Literal["auto", "exact", "hnsw"],
        typer.Option(help="What searches the items: measured and chosen, or one of them always."),
    ] = "auto",
    experiment: Annotated[
        Path | None,
        typer.Option(help="TOML file of experiments that choose the version.", show_default=False),
    ] = None,
    exposures: Annotated[
        bool, typer.Option("--exposures", help="Log every list that is answered.")
    ] = False,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Log every request.")
    ] = False,
) -> None:
    """Answer over HTTP: lists, similar items, reasons; take events, which are in the next answer.

    Example: `twofold serve runs/ials --port 8000`
    """
    for module in EXTRA:
        need(module, "serve")
    # Starlette and SQLAlchemy take half a second, which other commands shall not wait for.
    from twofold.serve.run import serve as run
    from twofold.serve.settings import STORE, Settings

    is_state = (folder / STORE).exists() or (
        folder.is_dir() and bool(store) and not any(folder.iterdir())
    )
    if is_state and state is not None:
        raise ConfigError(f"{folder} is a state folder itself; leave out --state, or name a model")
    own = folder.parent / f"{folder.resolve().name}{SUFFIX}"
    run(
        Settings(
            state=str(folder if is_state else state or own),
            model=None if is_state else str(folder),
            store=store or None,
            host=host,
            port=port,
            keys=None if keys is None else str(keys),
            workers=workers,
            kinds=tuple(kind),
            retention_days=retention_days,
            rate=rate,
            max_body=max_body,
            timeout=timeout,
            index=index,
            experiment=None if experiment is None else str(experiment),
            exposures=exposures,
            log_requests=log_requests,
        )
    )


def promote(
    state: State,
    model: Annotated[
        str,
        typer.Argument(
            help="A run folder, a saved model, or the number of a version.", show_default=False
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Although the checks say no.")] = False,
    other_data: Annotated[
        bool,
        typer.Option(
            "--other-data",
            help="Its report may be of other data, as of a new log: reports are not compared, all else is checked.",
        ),
    ] = False,
    why: Annotated[str, typer.Option("--note", help="Why; kept with the promotion.")] = "",
    store: StoreUrl = "",
    json: Json = False,
) -> None:
    """Make a version live, if its report, its data and its answers allow; running servers follow.

    Example: `twofold promote runs/ials-serving runs/second`
    """

    async def work(live: Live) -> dict[str, Any]:
        # As in `serve`.
        from twofold.serve import swaps

        number = int(model) if model.isdigit() else await swaps.register(live, model)
        return await swaps.promote(live, number, force=force, note=why, other_data=other_data)

    done = _changed(state, store, work)
    if json:
        say_json(done)
        return
    for one in done["objections"]:
        note(f"note: forced although {one}")
    for one in done.get("notes", []):
        note(f"note: {one}")
    say(f"version {done['live']} is live; it was version {done['before']}")


def rollback(state: State, store: StoreUrl = "", json: Json = False) -> None:
    """Make the version live that was so before; running servers follow.

    Example: `twofold rollback runs/ials-serving`
    """

    async def work(live: Live) -> dict[str, Any]:
        # As in `serve`.
        from twofold.serve import swaps

        return await swaps.roll_back(live)

    done = _changed(state, store, work)
    if json:
        say_json(done)
    else:
        say(f"version {done['live']} is live again; it was version {done['before']}")


def _changed(state: Path, store: str, work: Any) -> dict[str, Any]:
    """Open a state, do something to its registry, close it."""
    need("sqlalchemy", "serve")
    # As above.
    from twofold.serve.live import Live
    from twofold.serve.settings import Settings

    live = Live.open(settings_of(state, store, Settings), events=False)
    try:
        made: Coroutine[Any, Any, dict[str, Any]] = work(live)
        return asyncio.run(made)
    finally:
        live.close()


def settings_of(state: Path, store: str, cls: Any, **more: Any) -> Any:
    """Return the settings of a state that is there.

    Raises
    ------
    ConfigError
        If it is none.
    """
    # As above.
    from twofold.serve.settings import STORE

    if not store and not (state / STORE).exists():
        raise ConfigError(
            f"{state} is no state folder of twofold serve; start one with twofold serve RUN"
        )
    return cls(state=str(state), store=store or None, **more)


def events(
    state: State,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Write .parquet, .csv, .jsonl or .json.")
    ],
    training: Annotated[
        bool,
        typer.Option(
            "--with-training", help="Put what the live model was trained on before the events."
        ),
    ] = False,
    kind: Annotated[
        list[str],
        typer.Option(help="Kind of event to write; repeatable. All but impressions otherwise."),
    ] = [],  # noqa: B006
    items_out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the items that were added, with their features, for --items; with --with-training those of training too.",
            show_default=False,
        ),
    ] = None,
    store: StoreUrl = "",
    json: Json = False,
) -> None:
    """Write the events of a server as a log, ready for the next training.

    Example: `twofold events runs/ials-serving --with-training --out log.parquet --items-out items.jsonl`
    """
    check_target(out)
    if items_out is not None:
        check_target(items_out, such_as="items.jsonl", option="--items-out")
        if items_out.absolute() == out.absolute():
            raise ConfigError(f"--out and --items-out are both {out}; name two files")
    need("sqlalchemy", "serve")
    # As above.
    from twofold.cli.item_files import write_items
    from twofold.cli.options import flags_of
    from twofold.serve.export import log_of
    from twofold.serve.item_table import items_of
    from twofold.serve.live import Live
    from twofold.serve.settings import Settings

    live = Live.open(settings_of(state, store, Settings, kinds=tuple(kind)), events=False)
    try:
        frame: pl.DataFrame = log_of(live, training=training)
        forgotten = sorted(live.base.context_kinds.keys() & set(frame.columns) - {"time"})
        table, notes = (None, []) if items_out is None else items_of(live, training=training)
    finally:
        live.close()
    write(frame, out)
    kinds: dict[str, Any] = {}
    if items_out is not None and table is not None and len(table) and table.features:
        kinds = write_items(table, items_out)
    for one in notes:
        note(f"note: {one}")
    if training and forgotten:
        note(
            f"a model does not remember the circumstances of its training: {', '.join(forgotten)} of those events "
            "is empty; to train on them, put the log itself before the events, without --with-training"
        )
    if json:
        found = {"rows": len(frame), "out": str(out)}
        of_items = {"rows": 0 if table is None else len(table), "out": str(items_out) if kinds else None, "item_features": kinds}  # fmt: skip
        say_json(found | ({} if items_out is None else {"items": of_items}))
        return
    say(f"wrote {len(frame):,} events to {out}")
    if kinds and table is not None:
        say(f"wrote {len(table):,} items to {items_out}; read them with {shlex.join(flags_of({'items': items_out, 'item_features': kinds}))}")  # fmt: skip
    elif items_out is not None:
        note(f"note: no item has features, so {items_out} was not written")
