"""The map of the items: drawn once a version, beside the answers, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twofold.applications import map2d
from twofold.applications.map2d import SHOWN, Map
from twofold.data.columns import Bag, Category, kind_of
from twofold.errors import ConfigError, TwofoldError
from twofold.evaluation.pictures import COLOURS
from twofold.models._base import FittedModel, dimensions
from twofold.serve.live import Live
from twofold.serve.served import Served
from twofold.typing import F64, Id

MOST = 1500
"""Items of a map; of more, so many are drawn at random."""
WIDTH, HEIGHT, ROOM = 1000.0, 680.0, 16.0
"""Size of the drawing, which is scaled to the page, and its margin."""
KEPT = 3
"""Maps of versions that are kept."""
OTHER = COLOURS - 1
"""The colour of what has no group of its own."""


class Point(NamedTuple):
    """An item on the map."""

    x: float
    y: float
    colour: int
    item: str
    title: str
    group: str


class Drawn(NamedTuple):
    """A map, as it is shown."""

    note: str
    points: list[Point]
    legend: list[tuple[str, int, int]]
    """Groups with their colours and sizes."""
    served: Served


class Maps:
    """The maps of the versions that were asked for."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], asyncio.Task[Drawn]] = {}

    async def of(self, live: Live, patience: float) -> Drawn | None:
        """Return the map of the live version; None where it is still being drawn after `patience` seconds.

        Raises
        ------
        TwofoldError
            If the model has nothing to draw; asked again, it is tried again.
        """
        served = live.served
        name = (served.version, len(served.ids))
        task = self._made.get(name)
        if task is None:
            for old in [one for one, task in self._made.items() if task.done()][: 1 - KEPT or None]:
                del self._made[old]
            task = self._made[name] = asyncio.create_task(self._draw(live, served))
        done, _ = await asyncio.wait({task}, timeout=patience)
        if not done:
            return None
        try:
            return task.result()
        except TwofoldError:
            self._made.pop(name, None)
            raise

    async def _draw(self, live: Live, served: Served) -> Drawn:
        if live.threads is None:
            # No kernel may run beside another here, so that the quick way is taken.
            return drawn(served, "pca")
        return await asyncio.to_thread(drawn, served, None)

    def close(self) -> None:
        """Wait for nothing any more."""
        for task in self._made.values():
            task.cancel()


def drawn(served: Served, method: map2d.Method | None) -> Drawn:
    """Draw the items of a version.

    Raises
    ------
    ConfigError
        If the items have no vectors of at least two numbers.
    DataError
        If there are fewer than two points.
    """
    model = served.model
    if dimensions(model.similarity_vectors) < 2:
        raise ConfigError(
            f"{served.name} has no vectors of its items to draw; promote a model that learns them, such as IALS"
        )
    made = map2d.draw(model, side="items", method=method, colour=colour_of(model), most=MOST)
    on_earth = any(kind_of(one) == "place" for one in model.items.features.values())
    places = scaled(made.points, stretch=not (on_earth and method is None))
    groups = made.group or ("",) * len(made)
    ids: Sequence[Id] = made.ids.to_list()
    colours = {name: at for at, name in enumerate(made.shown)}
    points = [
        Point(
            round(float(x), 1),
            round(float(y), 1),
            colours.get(group, OTHER) if colours else 0,
            str(item),
            title,
            group,
        )
        for (x, y), item, title, group in zip(places, ids, made.labels, groups, strict=True)
    ]
    return Drawn(note_of(made), points, legend_of(made, points), served)


def colour_of(model: FittedModel) -> str:
    """Return the feature to colour by: the first of categories or tags that has few levels, none otherwise."""
    fit = [
        (name, len(one.levels))
        for name, one in model.items.features.items()
        if isinstance(one, Category | Bag)
    ]
    few = [name for name, n in fit if 2 <= n <= 60]
    return few[0] if few else (fit[0][0] if fit else "")


def note_of(made: Map) -> str:
    """Return how a map was made, in one sentence."""
    return f"{made.title}. {made.note}"


def legend_of(made: Map, points: Sequence[Point]) -> list[tuple[str, int, int]]:
    """Return the groups with a colour of their own, and what is left, with their sizes."""
    if not made.shown:
        return []
    count = np.bincount([one.colour for one in points], minlength=COLOURS)
    found = [(name, at, int(count[at])) for at, name in enumerate(made.shown[:SHOWN])]
    if count[OTHER]:
        found.append(("other", OTHER, int(count[OTHER])))
    return found


def scaled(points: F64, *, stretch: bool) -> F64:
    """Return points (n, 2) in the drawing, y upwards; true to scale, unless each axis may be stretched to fit.

    A stray point moves no others: what lies outside of 99 of 100 points is drawn at the rim.
    """
    room = np.array([WIDTH, HEIGHT]) - 2 * ROOM
    low, high = np.quantile(points, 0.004, axis=0), np.quantile(points, 0.996, axis=0)
    span = np.where(high > low, high - low, 1.0)
    scale = room / span if stretch else np.full(2, (room / span).min())
    middle = np.clip((points - (low + high) / 2) * scale, -room / 2, room / 2)
    middle[:, 1] *= -1
    return middle + np.array([WIDTH, HEIGHT]) / 2
