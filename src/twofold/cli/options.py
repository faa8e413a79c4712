"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twofold.cli.output import note
from twofold.data.dataset import Dataset
from twofold.errors import ConfigError
from twofold.plans import DataPlan

COLUMNS = "Columns of the log"
DATA_HELP = (
    "A file (CSV, Parquet, JSON lines; .gz, .zip), a saved dataset, a database URL, "
    "or a name of `twofold datasets`."
)

Data = Annotated[str, typer.Option("--data", "-d", help=DATA_HELP)]
DataInstead = Annotated[str, typer.Option("--data", "-d", help=f"Without a job: {DATA_HELP}")]
Models = Annotated[
    list[str],
    typer.Option("--model", help="Without a job: a model of `twofold models`; repeatable."),
]
User = Annotated[str, typer.Option(help="Column of the user id.", rich_help_panel=COLUMNS)]
Item = Annotated[str, typer.Option(help="Column of the item id.", rich_help_panel=COLUMNS)]
Value = Annotated[
    str, typer.Option(help="Column of the rating or count; - = none.", rich_help_panel=COLUMNS)
]
Time = Annotated[str, typer.Option(help="Column of the time; - = none.", rich_help_panel=COLUMNS)]
Query = Annotated[
    str, typer.Option(help="SQL, where --data is a database URL.", rich_help_panel=COLUMNS)
]
Items = Annotated[
    str, typer.Option(help="File of what is known of the items.", rich_help_panel=COLUMNS)
]
ItemFeature = Annotated[
    list[str],
    typer.Option(
        help="Column of --items to read, as name=kind such as genres=tags; repeatable.",
        rich_help_panel=COLUMNS,
    ),
]
JobFile = Annotated[
    Path | None,
    typer.Argument(help="A TOML job: data, split, models, metrics.", show_default=False),
]
Kind = Annotated[
    str,
    typer.Option(
        "--split",
        help="How to hold out: temporal, random, leave_last, last_fraction, cold_users, cold_items, user_disjoint.",
        metavar="KIND",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Metric = Annotated[
    list[str],
    typer.Option("--metric", "-m", help="A metric such as ndcg@10; repeatable, the first orders."),
]
RelevantFrom = Annotated[
    float | None, typer.Option(help="The least value of a relevant event, such as 4 stars.")
]
UnknownItems = Annotated[
    str,
    typer.Option(
        help="Items that training never saw: count (as missed), drop, or content (placed by what they are)."
    ),
]
Candidates = Annotated[
    str, typer.Option(help="What is ranked: all items, or the new ones alone (items by content).")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")]
Folder = Annotated[Path, typer.Argument(help="A run folder or a saved model.", show_default=False)]


def columns(
    user: str, item: str, value: str, time: str, query: str, items: str, item_feature: list[str]
) -> dict[str, Any]:
    """Return what was said of the columns of a log, as keys of a [data] section.

    Raises
    ------
    ConfigError
        If a feature is not name=kind.
    """
    kinds: dict[str, str] = {}
    for text in item_feature:
        name, sign, kind = text.partition("=")
        if not sign:
            raise ConfigError(f"--item-feature takes name=kind, such as genres=tags; got {text!r}")
        kinds[name] = kind
    given: dict[str, Any] = {
        "user": user,
        "item": item,
        "value": value,
        "time": time,
        "query": query,
        "items": items,
        "item_features": kinds,
    }
    return {name: one for name, one in given.items() if one}


def read_log(plan: DataPlan) -> Dataset:
    """Read a log, and pass on what its reader has to say."""
    log = plan.read()
    for one in log.notes:
        note(f"note: {one}")
    return log
