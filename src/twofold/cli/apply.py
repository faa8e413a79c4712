"""Commands that put vectors to use: map, links, analogy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twofold import datasets, loading, runs
from twofold.applications import analogies, links, map2d
from twofold.cli.ask import K, own_ids
from twofold.cli.files import check_target
from twofold.cli.options import (
    Data,
    Folder,
    Seed,
    read_log,
    reads_a_log,
)
from twofold.cli.output import Json, note, say, say_json, table
from twofold.data.catalogue import ENTRIES
from twofold.data.readers import read_frame
from twofold.errors import ConfigError, DataError, did_you_mean
from twofold.plans import DataPlan

PICTURES = (".html", ".png")
"""What a map can be written as."""
EVERYTHING = "everything"
"""The predictor of all features together."""


def map_(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Write a page .html or a picture .png.")],
    users: Annotated[
        bool, typer.Option("--users", help="Draw the users in place of the items.")
    ] = False,
    method: Annotated[
        str,
        typer.Option(help="tsne, pca or place; by default place where items have one, else tsne."),
    ] = "",
    colour: Annotated[
        str,
        typer.Option(help="Feature to colour by; by default the first category or tags, - = none."),
    ] = "",
    most: Annotated[
        int, typer.Option(help="Most points; of more, so many are drawn at random.")
    ] = 3000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw the items of a model: neighbours stand beside each other, places on their coordinates.

    Example: `twofold map runs/ials --out map.html`
    """
    check_target(out, PICTURES, "map.html")
    if method and method not in map2d.METHODS:
        raise ConfigError(f"--method got {method!r}; {did_you_mean(method, map2d.METHODS)}")
    model = loading.load(runs.model_folder(folder))
    chosen: Any = method or None
    drawn = map2d.draw(
        model,
        side="users" if users else "items",
        method=chosen,
        colour={"": None, "-": ""}.get(colour, colour),
        most=most,
        rng=seed,
    )
    drawn.to_png(out) if out.suffix.lower() == ".png" else drawn.to_html(out)
    if json:
        say_json({"points": len(drawn), "title": drawn.title, "note": drawn.note, "out": str(out)})
    else:
        say(f"wrote {out}: {drawn.title}; {drawn.note}")


@reads_a_log
def links_(
    data: Data,
    later: Annotated[
        Path | None,
        typer.Option(help="A file of friendships of a later day; what is new in it is held out."),
    ] = None,
    model: Annotated[
        list[Path],
        typer.Option(
            "--model",
            help="A run folder or a saved model, whose user vectors are compared too; repeatable.",
        ),
    ] = [],  # noqa: B006
    asked: Annotated[
        list[str],
        typer.Option(
            "--for", help="Recommend new friends to this user, and compare nothing; repeatable."
        ),
    ] = [],  # noqa: B006
    by: Annotated[
        str,
        typer.Option(
            help="What --for goes by: everything, or a measure that learns nothing, such as adamic_adar."
        ),
    ] = EVERYTHING,
    k: K = 10,
    test: Annotated[
        float, typer.Option(help="Share of the friendships to hold out, without --later.")
    ] = 0.2,
    negatives: Annotated[int, typer.Option(help="Pairs of strangers a held-out friendship.")] = 1,
    seed: Seed = 0,
    json: Json = False,
    *,
    said: dict[str, Any],
) -> None:
    """Say who should be friends, or how well friendships can be told: scores, vectors, all together.

    Friendships are held out and told from pairs of strangers. With --for, those of a person are
    recommended from everything that is known.

    Example: `twofold links --data checkins.csv --links friends.csv`, or with `--for 42`
    """
    log = read_log(DataPlan.of(data, **said))
    if asked:
        if later is not None or model:
            raise ConfigError(
                "--for recommends from all that is known; leave out --later and --model"
            )
        allowed = (EVERYTHING, *links.MEASURES)
        if by not in allowed:
            raise ConfigError(f"--by got {by!r}; {did_you_mean(by, allowed)}")
        chosen: Any = by
        guess = links.Friendship() if by == EVERYTHING else links.Neighbourhood(by=chosen)
        fitted = guess.fit(log, rng=seed)
        answer = fitted.recommend_friends(own_ids(asked, log.users.ids), k)
        say_json(answer.to_dicts()) if json else say(table(answer))
        return
    if by != EVERYTHING:
        raise ConfigError(
            "--by says what --for goes by; without --for all are compared, leave it out"
        )
    named: dict[str, Any] = {}
    for path in model:
        loaded = loading.load(runs.model_folder(path))
        named[f"{type(loaded.estimator).__name__} {path}"] = links.PairsOfVectors(model=loaded)
    after = None if later is None else read_frame(str(later))
    if later is None and data in datasets.LATER_LINKS:
        note(f"note: the friendships of {ENTRIES[data].title} on the later day are held out")
        after = datasets.later_links(data)
    held = links.split(log, test=test, later=after, negatives=negatives, rng=seed)
    for one in held.notes:
        note(f"note: {one}")
    report = links.compare(
        {**links.BASELINES, EVERYTHING: links.Friendship(), **named},
        held,
        metrics=("auc", "f1", f"precision@{k}"),
        rng=seed,
    )
    say(report.to_json() if json else f"{table(report.table())}\n{report.foot}")
    if report.failed:
        raise DataError(
            "; ".join(f"{name} could not be fitted: {why}" for name, why in report.failed.items())
        )


def analogy(
    folder: Folder,
    a: Annotated[str, typer.Argument(help="What is added: king.", show_default=False)],
    b: Annotated[str, typer.Argument(help="What is taken away: man.", show_default=False)],
    c: Annotated[str, typer.Argument(help="What is added: woman.", show_default=False)],
    k: K = 10,
    method: Annotated[str, typer.Option(help="add (3CosAdd) or mul (3CosMul).")] = "add",
    json: Json = False,
) -> None:
    """List the items nearest to a - b + c, such as king - man + woman.

    Example: `twofold analogy runs/ials 50 181 172`
    """
    if method not in analogies.METHODS:
        raise ConfigError(f"--method got {method!r}; {did_you_mean(method, analogies.METHODS)}")
    chosen: Any = method
    model = loading.load(runs.model_folder(folder))
    ids = own_ids([a, b, c], model.items.ids)
    answer = analogies.analogy(model, *ids, k=k, method=chosen)
    if answer.is_empty():
        note("note: nothing is left to list: the model has no items but those three")
    say_json(answer.to_dicts()) if json else say(table(answer))
