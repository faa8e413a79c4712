"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twofold.errors import ConfigError
from twofold.jobs import DataPlan

COLUMNS = "Columns of the log"

Data = Annotated[
    str,
    typer.Option(
        "--data",
        "-d",
        help="A file (CSV, Parquet, JSON lines; .gz, .zip), a saved dataset, a database URL, or a name of `twofold datasets`.",
    ),
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
    typer.Option(help="Item column to read, as name=kind; repeatable.", rich_help_panel=COLUMNS),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Metric = Annotated[
    list[str],
    typer.Option("--metric", "-m", help="A metric such as ndcg@10; repeatable, the first orders."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")]
Folder = Annotated[Path, typer.Argument(help="A run folder or a saved model.", show_default=False)]


def data_plan(
    data: str,
    *,
    user: str = "",
    item: str = "",
    value: str = "",
    time: str = "",
    query: str = "",
    items: str = "",
    item_feature: list[str] | None = None,
) -> DataPlan:
    """Make a plan of what a person typed.

    Raises
    ------
    ConfigError
        If a feature is not name=kind.
    """
    kinds: dict[str, str] = {}
    for text in item_feature or ():
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
    return DataPlan.of(data, **given)
