"""Commands that ask a trained model: recommend, similar, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from twofold import loading, runs
from twofold.cli.options import Folder, Json
from twofold.cli.output import note, say, say_json, table
from twofold.data.readers import read_frame
from twofold.errors import ConfigError, DataError, UnknownIdError

K = Annotated[int, typer.Option("--k", min=1, help="Items a person.")]
WRITERS = {
    ".parquet": pl.DataFrame.write_parquet,
    ".csv": pl.DataFrame.write_csv,
    ".jsonl": pl.DataFrame.write_ndjson,
}
"""Formats of the output, by suffix."""


def recommend(
    folder: Folder,
    users: Annotated[
        Path | None,
        typer.Option(help="A file with a column `user` (or a single column): whom to answer."),
    ] = None,
    user: Annotated[list[str], typer.Option(help="One user id; repeatable.")] = [],  # noqa: B006
    history: Annotated[
        list[str], typer.Option(help="Item ids of somebody never seen, with commas; repeatable.")
    ] = [],  # noqa: B006
    k: K = 10,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write .parquet, .csv or .jsonl.")
    ] = None,
    keep_seen: Annotated[bool, typer.Option(help="Also list what they have used before.")] = False,
    allow: Annotated[Path | None, typer.Option(help="A file of items to choose among.")] = None,
    deny: Annotated[Path | None, typer.Option(help="A file of items to leave out.")] = None,
    json: Json = False,
) -> None:
    """Recommend items: for users of a file, for single ids, for histories, or for everybody.

    Example: `twofold recommend runs/ials --users users.csv --k 10 --out lists.parquet`
    """
    if out is not None and out.suffix not in WRITERS:
        raise ConfigError(f"--out must end in {', '.join(WRITERS)}; got {out.name!r}")
    if (users is not None) + bool(user) + bool(history) > 1:
        raise ConfigError("give one of --users, --user and --history")
    model = loading.load(runs.model_folder(folder))
    if history:
        lists = [[one.strip() for one in text.split(",") if one.strip()] for text in history]
        unknown = [
            item for one in lists for item in one if model.items.ids.rows([item]).tolist() == [-1]
        ]
        if unknown:
            note(f"note: unknown items are passed over: {', '.join(unknown[:10])}")
        answer = model.recommend(
            histories=lists, k=k, exclude_seen=not keep_seen, allow=_ids(allow), deny=_ids(deny)
        )
    else:
        who = user or (model.users.ids.ids.to_list() if users is None else _ids(users))
        answer = model.recommend(
            users=who, k=k, exclude_seen=not keep_seen, allow=_ids(allow), deny=_ids(deny)
        )
    if out is not None:
        write(answer, out)
        say(f"wrote {len(answer):,} rows for {answer['user'].n_unique():,} people to {out}")
    elif json:
        say_json(answer.to_dicts())
    else:
        say(table(answer))


def _ids(path: Path | None) -> list[int | str] | None:
    """Read the ids of a file: its column user, item or id, or its only column."""
    if path is None:
        return None
    frame = read_frame(str(path))
    named = [one for one in ("user", "item", "id") if one in frame.columns]
    if not named and len(frame.columns) != 1:
        raise DataError(
            f"{path} must have a column user, item or id, or a single column; "
            f"got {', '.join(frame.columns)}"
        )
    column = frame[named[0] if named else frame.columns[0]].drop_nulls()
    return column.to_list() if column.dtype.is_integer() else column.cast(pl.String).to_list()


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame under a temporary name, then rename it.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[path.suffix](frame, draft)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error}; choose another place") from error


def similar(
    folder: Folder,
    item: Annotated[str, typer.Argument(help="An item id.", show_default=False)],
    k: K = 10,
    json: Json = False,
) -> None:
    """List the items that are most like an item.

    Example: `twofold similar runs/ials 50`
    """
    answer = loading.load(runs.model_folder(folder)).similar_items(item, k)
    if json:
        say_json(answer.to_dicts())
    else:
        say(table(answer))


def explain(
    folder: Folder,
    item: Annotated[str, typer.Argument(help="The item to explain.", show_default=False)],
    user: Annotated[str, typer.Option(help="A user of the training data.")] = "",
    history: Annotated[str, typer.Option(help="Item ids with commas, in place of a user.")] = "",
    k: K = 10,
    json: Json = False,
) -> None:
    """Say which items of a person's history raise the score of an item, and by how much.

    Example: `twofold explain runs/ials 50 --user 42`
    """
    if bool(user) == bool(history):
        raise ConfigError("give one of --user and --history")
    model = loading.load(runs.model_folder(folder))
    if user and model.users.ids.rows([user]).tolist() == [-1]:
        raise UnknownIdError(
            f"user {user!r} is not in the training data; give a --history instead", user
        )
    items = [one.strip() for one in history.split(",") if one.strip()]
    answer = (model.explain(user, item) if user else model.explain(item=item, history=items)).head(
        k
    )
    if json:
        say_json(answer.to_dicts())
    else:
        say(table(answer))
