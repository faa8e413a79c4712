"""Options that several commands share, each declared once."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from twofold.cli.output import note
from twofold.data.dataset import Dataset
from twofold.jobs import NAME_KIND, typed
from twofold.plans import DataPlan, default_of

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


def _of_log(help: str) -> Any:
    return typer.Option(help=help, rich_help_panel=COLUMNS)


LOG_OPTIONS: dict[str, tuple[Any, Any]] = {
    "user": (Annotated[str, _of_log("Column of the user id.")], ""),
    "item": (Annotated[str, _of_log("Column of the item id.")], ""),
    "value": (Annotated[str, _of_log("Column of the rating or count; - = none.")], ""),
    "time": (Annotated[str, _of_log("Column of the time; - = none.")], ""),
    "query": (Annotated[str, _of_log("SQL, where --data is a database URL.")], ""),
    "items": (Annotated[str, _of_log("File of what is known of the items.")], ""),
    "item_features": (
        Annotated[
            list[str],
            typer.Option(
                "--item-feature",
                help="Column of --items to read, as name=kind such as genres=tags; repeatable.",
                rich_help_panel=COLUMNS,
            ),
        ],
        [],
    ),
    "users": (Annotated[str, _of_log("File of what is known of the users.")], ""),
    "user_features": (
        Annotated[
            list[str],
            typer.Option(
                "--user-feature",
                help="Column of --users to read, as name=kind such as age=number; repeatable.",
                rich_help_panel=COLUMNS,
            ),
        ],
        [],
    ),
    "context": (
        Annotated[
            list[str],
            _of_log(
                "Column of the log to read as a circumstance, as name=kind such as device=category; repeatable."
            ),
        ],
        [],
    ),
    "links": (Annotated[str, _of_log("File of friendships: two columns of user ids.")], ""),
    "moments": (
        Annotated[
            list[str],
            typer.Option(
                "--moment",
                help="A circumstance made of the time: hour, weekday, weekend, hour_of_week; repeatable.",
                rich_help_panel=COLUMNS,
            ),
        ],
        [],
    ),
    "ahead": (
        Annotated[
            str, _of_log("For --moment: minutes that local time is ahead of UTC, or their column.")
        ],
        "",
    ),
    "region_km": (
        Annotated[
            float,
            _of_log(
                "Gives items with a place the feature `region`, cells so many kilometres wide."
            ),
        ],
        default_of("region_km"),
    ),
    "min_value": (
        Annotated[float | None, _of_log("Keep events whose value is at least this.")],
        default_of("min_value"),
    ),
    "min_user_events": (
        Annotated[int, _of_log("Keep users with at least so many events.")],
        default_of("min_user_events"),
    ),
    "min_item_events": (
        Annotated[int, _of_log("Keep items with at least so many events.")],
        default_of("min_item_events"),
    ),
    "duplicates": (
        Annotated[
            str,
            _of_log(
                "What happens to several events of one user with one item: keep, last, sum, mean."
            ),
        ],
        default_of("duplicates"),
    ),
}
"""Options of every command that reads a log, by the key of a [data] section: type and default."""
KINDS = ("item_features", "user_features", "context")
"""Those of them that are name=kind."""
REPEATED = (*KINDS, "moments")
"""Those that may be given several times."""
JobFile = Annotated[
    Path | None,
    typer.Argument(help="A TOML job: data, split, models, metrics.", show_default=False),
]
Kind = Annotated[
    str,
    typer.Option(
        "--split",
        help="How to hold out: default (temporal where the log has times that differ, else random), temporal, random, leave_last, last_fraction, cold_users, cold_items, user_disjoint, last_basket, last_trajectories.",
        metavar="KIND",
    ),
]
SplitOption = Annotated[
    list[str],
    typer.Option(help="An argument of the split, as name=value such as gap=21600; repeatable."),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]
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
Ask = Annotated[
    str,
    typer.Option(
        help="What is one question: each user, each event (told what came before it), each basket."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")]
Folder = Annotated[Path, typer.Argument(help="A run folder or a saved model.", show_default=False)]


def reads_a_log(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that tell how a log is read; it gets what was said of them as `said`.

    `said` holds keys of a [data] section, those alone that were given.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    unsaid = {name: {} if name in KINDS else one for name, (_, one) in LOG_OPTIONS.items()}
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        for name, (hint, default) in LOG_OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        told = {name: given.pop(name) for name in LOG_OPTIONS}
        for name in KINDS:
            option = f"--{name.rstrip('s').replace('_', '-')}"
            told[name] = typed(told[name], option, "age=number", NAME_KIND)
        command(**given, said={name: one for name, one in told.items() if one != unsaid[name]})

    kept = [one for one in own if one.name != "said"]
    signature = inspect.Signature([*kept, *more])
    wrapped.__dict__["__signature__"] = signature
    wrapped.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
    return wrapped


def flags_of(said: Mapping[str, Any]) -> list[str]:
    """Return the words that say `said` (see `reads_a_log`) on a command line.

    Example
    -------
    >>> flags_of({"user": "who", "context": {"device": "category"}, "min_value": 0.0})
    ['--user', 'who', '--context', 'device=category', '--min-value', '0.0']
    """
    words: list[str] = []
    for name, value in said.items():
        several = name in REPEATED
        option = f"--{(name.removesuffix('s') if several else name).replace('_', '-')}"
        told = value if several else [value]
        if name in KINDS:
            told = [f"{column}={kind}" for column, kind in value.items()]
        words += [word for one in told for word in (option, str(one))]
    return words


def read_log(plan: DataPlan) -> Dataset:
    """Read a log, and pass on what its reader has to say; a note that a warning began with is not said again."""
    warned: list[str] = []
    show = warnings.showwarning

    def remember(message: Warning | str, *where: Any) -> None:
        warned.append(str(message))
        show(message, *where)

    with warnings.catch_warnings():
        warnings.showwarning = remember
        log = plan.read()
    for one in log.notes:
        if not any(said.startswith(one) for said in warned):
            note(f"note: {one}")
    return log
