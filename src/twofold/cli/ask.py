"""Commands that ask a trained model: recommend, similar, explain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from twofold import loading, runs
from twofold.cli.files import check_target, write
from twofold.cli.options import Folder
from twofold.cli.output import Json, note, say, say_json, table
from twofold.data.readers import read_frame
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError, DataError, UnknownIdError
from twofold.jobs import typed

ITEM = re.compile(r'(\s*"(?:[^"]|"")*"\s*(?=[,;]|$)|[^,;]*)([,;]|$)')
"""One item of a typed history, in quotes or up to the next sign, and that sign."""
K = Annotated[int, typer.Option("--k", "-k", min=1, help="Length of a list.")]
Circumstances = Annotated[
    list[str],
    typer.Option(
        help="A circumstance that the model reads, as name=value such as hour=9 or time=2026-05-01T09:00; repeatable."
    ),
]
Features = Annotated[
    list[str],
    typer.Option(
        help="What is known of somebody, as name=value such as age=30, where the model reads columns of people; repeatable."
    ),
]


def recommend(
    folder: Folder,
    users: Annotated[
        Path | None,
        typer.Option(help="A file with a column `user` (or a single column): whom to answer."),
    ] = None,
    user: Annotated[list[str], typer.Option(help="One user id; repeatable.")] = [],  # noqa: B006
    history: Annotated[
        list[str],
        typer.Option(
            help="Item ids of somebody never seen, with commas; semicolons end what was taken together, as in 'bread,milk; beer'; ids with such signs in double quotes; repeatable."
        ),
    ] = [],  # noqa: B006
    text: Annotated[
        list[str], typer.Option(help="Words of somebody, where the model reads words; repeatable.")
    ] = [],  # noqa: B006
    context: Circumstances = [],  # noqa: B006
    feature: Features = [],  # noqa: B006
    where: Annotated[
        list[str],
        typer.Option(
            help="What items must be, as name=value such as genres=Comedy, genres=[Comedy,Drama] or year=[1990,null]; repeatable."
        ),
    ] = [],  # noqa: B006
    diversity: Annotated[
        float,
        typer.Option(
            help="Weight of variety in maximal marginal relevance, 0 to 1; 0 keeps the order."
        ),
    ] = 0.0,
    k: K = 10,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write .parquet, .csv, .jsonl or .json.")
    ] = None,
    keep_seen: Annotated[
        bool, typer.Option("--keep-seen", help="Also list what they have used before.")
    ] = False,
    allow: Annotated[Path | None, typer.Option(help="A file of items to choose among.")] = None,
    deny: Annotated[Path | None, typer.Option(help="A file of items to leave out.")] = None,
    json: Json = False,
) -> None:
    """Recommend items: for users of a file, for single ids, for histories, for words, or for everybody.

    Example: `twofold recommend runs/ials --users users.csv --k 10 --out lists.parquet`
    """
    if out is not None:
        check_target(out)
    if (users is not None) + bool(user) + bool(history) > 1:
        raise ConfigError("give one of --users, --user and --history")
    model = loading.load(runs.model_folder(folder))
    allowed, denied = (
        None if path is None else read_ids(path, "item", model.items.ids) for path in (allow, deny)
    )
    who: dict[str, Any]
    if history:
        lists = [_history(text, model.items.ids) for text in history]
        who = {"histories": lists}
    elif user:
        who = {"users": own_ids(user, model.users.ids)}
    elif users is not None:
        who = {"users": read_ids(users, "user", model.users.ids)}
    elif feature or text:
        who = {}
    else:
        who = {"users": model.users.ids.ids.to_list()}
    n_asked = len(next(iter(who.values()), text or [0]))
    if text and len(text) not in (1, n_asked):
        raise ConfigError(f"--text is given {len(text):,} times for {n_asked:,} people; give it once for all, or once for each")  # fmt: skip
    told: dict[str, Any] = _columns(context, feature, n_asked)
    notes = model.remarks(**told) if told else []
    beside = {"notes": notes} if notes else {}
    words = {"text": list(text) * (n_asked // len(text))} if text else {}
    answer = model.recommend(
        **who, **words, **told, k=k, exclude_seen=not keep_seen, allow=allowed, deny=denied,
        where=typed(where, "--where", "genres=Comedy"), diversity=diversity,
    )  # fmt: skip
    if answer.is_empty():
        note(
            "note: nothing is left to recommend: all items are seen, denied, not allowed or not as --where says"
        )
    if out is not None:
        write(answer, out)
        people = answer["user"].n_unique()
        if json:
            say_json({"rows": len(answer), "people": people, "out": str(out), **beside})
        else:
            say(f"wrote {len(answer):,} rows for {people:,} people to {out}")
    elif json:
        say_json([{**one, **beside} for one in answer.iter_rows(named=True)])
    else:
        say(table(answer))


def _columns(context: list[str], feature: list[str], n: int) -> dict[str, dict[str, list[Any]]]:
    """Return what was typed of circumstances and people as columns of `n` entries, by argument; those alone that were given."""
    return {
        name: {key: [one] * n for key, one in typed(texts, option, example).items()}
        for name, texts, option, example in (
            ("context", context, "--context", "hour=9"),
            ("features", feature, "--feature", "age=30"),
        )
        if texts
    }


def own_ids(texts: Sequence[str], known: Vocabulary) -> list[Any]:
    """Turn what was typed into ids as the model has them: integers, where its ids are integers.

    What is not an integer stays a text, and is then unknown; all are texts if one is.
    """
    if known.is_integer and all(re.fullmatch(r"[+-]?[0-9]{1,19}", one.strip()) for one in texts):
        ids = [int(one) for one in texts]
        if all(abs(one) < 2**63 for one in ids):
            return ids
    return list(texts)


def _history(text: str, known: Vocabulary) -> list[Any]:
    """Read items with commas, and baskets that end with semicolons; say which items are unknown.

    An id that holds such a sign stands in double quotes, doubled where it holds them too, or alone.
    """
    if known.rows(own_ids([text], known))[0] != UNKNOWN:
        return own_ids([text], known)
    baskets: list[list[str]] = [[]]
    for item, sign in ITEM.findall(text):
        cell = item.strip()
        if len(cell) > 1 and cell[0] == cell[-1] == '"':
            cell = cell[1:-1].replace('""', '"')
        baskets[-1] += [cell] if cell else []
        if sign == ";":
            baskets.append([])
    ids = own_ids([one for basket in baskets for one in basket], known)
    _note_unknown(ids, known, "items are passed over")
    if len(baskets) == 1:
        return ids
    left = iter(ids)
    return [list(islice(left, len(basket))) for basket in baskets if basket]


def _note_unknown(ids: Sequence[Any], known: Vocabulary, what: str) -> None:
    rows = known.rows(ids)
    unknown = [repr(one) for one, row in zip(ids, rows, strict=True) if row == UNKNOWN]
    if unknown:
        more = f" and {len(unknown) - 10:,} more" if len(unknown) > 10 else ""
        note(f"note: unknown {what}: {', '.join(unknown[:10])}{more}")


def read_ids(path: Path, name: str, known: Vocabulary) -> list[Any]:
    """Read the ids of a file: its column of that name, or id, or its only column.

    Raises
    ------
    DataError
        If it cannot be read, or several columns have other names.
    """
    frame = read_frame(str(path), ids=(name, "id"))
    named = [one for one in (name, "id") if one in frame.columns]
    if not named and len(frame.columns) != 1:
        raise DataError(
            f"{path} must have a column {name} or id, or a single column; "
            f"got {', '.join(frame.columns)}"
        )
    column = frame[named[0] if named else frame.columns[0]].drop_nulls()
    if column.dtype.is_integer():
        ids: list[Any] = column.to_list()
    else:
        ids = own_ids(column.cast(pl.String).to_list(), known)
    if ids and (known.rows(ids) == UNKNOWN).all():
        note(
            f"note: none of the {len(ids):,} ids of {path} is a known {name}, such as {known[0]!r}"
        )
    return ids


def similar(
    folder: Folder,
    item: Annotated[str, typer.Argument(help="An item id.", show_default=False)],
    k: K = 10,
    json: Json = False,
) -> None:
    """List the items that are most like an item.

    Example: `twofold similar runs/ials 50`
    """
    model = loading.load(runs.model_folder(folder))
    answer = model.similar_items(own_ids([item], model.items.ids)[0], k)
    if len(model.items) == 1:
        note("note: nothing is like it: it is the only item of the model")
    if json:
        say_json(answer.to_dicts())
    else:
        say(table(answer))


def explain(
    folder: Folder,
    item: Annotated[str, typer.Argument(help="The item to explain.", show_default=False)],
    user: Annotated[str, typer.Option(help="A user of the training data.")] = "",
    history: Annotated[str, typer.Option(help="Item ids with commas, in place of a user.")] = "",
    text: Annotated[str, typer.Option(help="Words of somebody, where the model reads words.")] = "",
    context: Circumstances = [],  # noqa: B006
    feature: Features = [],  # noqa: B006
    k: K = 10,
    json: Json = False,
) -> None:
    """Say which items of a person's history, words, features or circumstances raise the score of an item, and by how much.

    Example: `twofold explain runs/ials 50 --user 42`
    """
    if user and history:
        raise ConfigError("give one of --user and --history")
    if not (user or history or text or context or feature):
        raise ConfigError("give one of --user and --history, or --text, --feature or --context")
    model = loading.load(runs.model_folder(folder))
    asked = own_ids([item], model.items.ids)[0]
    who: Any = own_ids([user], model.users.ids)[0] if user else None
    told: dict[str, Any] = _columns(context, feature, 1)
    if user and not (text or told) and model.users.ids.rows([who]).tolist() == [UNKNOWN]:
        raise UnknownIdError(
            f"user {user!r} is not in the training data; give a --history instead", user
        )
    notes = model.remarks(**told) if told else []
    beside = {"notes": notes} if notes else {}
    columns = {name: {key: one[0] for key, one in by.items()} for name, by in told.items()}
    answer = model.explain(
        who, asked, history=_history(history, model.items.ids) if history else None,
        text=text or None, features=columns.get("features"), context=columns.get("context"),
    ).head(k)  # fmt: skip
    if json:
        say_json([{**one, **beside} for one in answer.iter_rows(named=True)])
    else:
        items_alone = (answer["reason"] == answer["item"].cast(pl.String)).all()
        say(table(answer.drop("reason") if items_alone else answer))
