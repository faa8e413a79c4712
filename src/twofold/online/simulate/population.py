"""A population with known tastes: what attracts whom, who looks where, and what a list is worth to somebody.

Person u on day t is drawn to item j with chance

    a_uj(t) = sigmoid( logit(attraction) + readiness r_u + popularity q_j + taste z_u(t) . v_j ),
    z_u(t) = cos(drift t) z_u + sin(drift t) z'_u,

r, q, z, z' standard normal and v_j of length 1, so that tastes turn and keep their spread. A list is read
by the position-based model (Richardson, Dominowska & Ragno 2007, "Predicting Clicks", WWW; Craswell, Zoeter,
Taylor & Ramsey 2008, "An Experimental Comparison of Click Position-Bias Models", WSDM): place k is looked at
with chance e_k = k^-position_bias, an item that is looked at is taken with chance a_uj, places are
independent. A list is answered with chance 1 - prod_k (1 - e_k a_k).

An item that is taken is watched for an exponential time of mean watched * a_uj and bought with chance
bought * a_uj; nobody takes an item twice. The mood m of a person starts at 1/2 and is moved by each list,
m <- (1 - memory) m + memory * answered; on a day they come with chance sigmoid(logit(visits) + loyalty (m - 1/2)).

Every number is drawn from a stream of its own (seed, what, draw, person, day): what a person does depends on the
lists that they get, and on nothing that others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.special import expit, logit

from twofold.data.columns import Kind
from twofold.data.dataset import Dataset
from twofold.errors import DataError, did_you_mean
from twofold.online.simulate.people import DAY, People
from twofold.random import generator, kernel_seed
from twofold.typing import F64, I64, Rng

KNOWN = -1
"""Day of arrival of whatever was there before the first day."""
ARRIVALS, PAST, VISITS = 0, 1, 2
"""First number of a stream: what it is for."""
WORDS, SAID = 25, 12
"""Words for each direction of taste, and words that describe an item."""
FOCUS = 6.0
"""How closely the words of an item keep to its direction."""
LAST_VISIT = 22 * 3600.0
"""Visits begin this long after midnight at latest, so that they end on their day."""


def examination(n: int, position_bias: float) -> F64:
    """Return how often each place of a list is looked at, shape (n,); the first one always is.

    Example
    -------
    >>> examination(4, 1.0).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    """
    return np.arange(1, n + 1, dtype=np.float64) ** -position_bias


def any_of(chances: F64) -> float:
    """Return the chance that anything happens at the places of a list, which are independent.

    Example
    -------
    >>> round(any_of(np.array([0.5, 0.2])), 6)
    0.6
    """
    return float(1.0 - np.prod(1.0 - chances))


class Taken(NamedTuple):
    """What somebody did with one item of a list."""

    place: int
    """From 0."""
    watched: float
    """Seconds."""
    spent: float
    """Price; 0 where it was not bought."""


class Reaction(NamedTuple):
    """What somebody did with a list, and what was to be expected of the list."""

    taken: list[Taken]
    answered: float
    """Chance of a click."""
    watched: float
    """Mean seconds."""
    spent: float
    """Mean spending."""
    bought: float
    """Chance of a purchase."""


class Population:
    """People and items, drawn once; the same seed gives the same ones.

    Parameters
    ----------
    settings
        What they are like.
    rng
        Seed or generator.

    Example
    -------
    >>> people = Population(People(count=50, items=40, past_items=5, days=3), rng=0)
    >>> people.log().n_items, people.people[:2], people.items[0]
    (40, ['p00000', 'p00001'], 'i00000')
    """

    def __init__(self, settings: People, rng: Rng = None) -> None:
        self.settings = settings
        self.seed = kernel_seed(generator(rng))
        draws = self.stream(ARRIVALS)
        arrivals = draws.poisson(settings.newcomers, settings.days)
        self.person_arrives: I64 = np.concatenate([np.full(settings.count, KNOWN), np.repeat(np.arange(settings.days), arrivals)])  # fmt: skip
        """Day of each person's first visit at the earliest, shape (n_people,)."""
        later = np.repeat(np.arange(1, settings.days), settings.new_items)
        self.item_arrives: I64 = np.concatenate([np.full(settings.items, KNOWN), later])
        """Day from which each item is there, shape (n_items,)."""
        n, m, d = len(self.person_arrives), len(self.item_arrives), settings.tastes
        self.people = [f"p{row:05}" for row in range(n)]
        """Ids."""
        self.items = [f"i{row:05}" for row in range(m)]
        """Ids."""
        self.turns: tuple[F64, F64] = draws.standard_normal((n, d)), draws.standard_normal((n, d))
        """z and z', shape (n_people, d) each."""
        self.readiness: F64 = draws.standard_normal(n)  # (n_people,)
        kinds = unit(draws.standard_normal((2 * d, d)))  # (2 d, d) directions that items keep to
        self.genre: I64 = draws.integers(0, 2 * d, m)  # (n_items,)
        self.appeal: F64 = unit(kinds[self.genre] + 0.5 * draws.standard_normal((m, d)) / np.sqrt(d))  # fmt: skip
        """v, shape (n_items, d)."""
        self.popularity: F64 = draws.standard_normal(m)  # (n_items,)
        self.price: F64 = np.round(settings.price * np.exp(0.5 * draws.standard_normal(m)), 2)
        """Shape (n_items,)."""
        meant = unit(draws.standard_normal((WORDS * d, d)))  # (n_words, d)
        chance = np.exp(FOCUS * self.appeal @ meant.T)
        chance /= chance.sum(axis=1, keepdims=True)
        self.words: list[str] = [
            " ".join(f"word{one:03}" for one in draws.choice(len(meant), SAID, p=row))
            for row in chance
        ]
        """What each item is described by."""
        self._row_of_item = {item: row for row, item in enumerate(self.items)}

    def stream(self, *what: int) -> np.random.Generator:
        """Return the generator of one purpose."""
        return np.random.default_rng([self.seed, *what])

    # ---- what is to be expected -------------------------------------------------------------

    def taste(self, person: int, day: float) -> F64:
        """Return z_u(t), shape (d,)."""
        angle = self.settings.drift * day
        return np.cos(angle) * self.turns[0][person] + np.sin(angle) * self.turns[1][person]

    def attraction(self, person: int, items: I64, day: float) -> F64:
        """Return how often each item is taken by a person who looks at it, shape (len(items),)."""
        told = self.settings
        return expit(
            logit(told.attraction)
            + told.readiness * self.readiness[person]
            + told.popularity * self.popularity[items]
            + told.taste * (self.appeal[items] @ self.taste(person, day))
        )

    def rows(self, items: Sequence[object]) -> I64:
        """Return the rows of items of a list.

        Raises
        ------
        DataError
            If one is not of this population.
        """
        try:
            return np.array([self._row_of_item[str(one)] for one in items], np.int64)
        except KeyError as error:
            name = str(error.args[0])
            raise DataError(f"the server lists the item {name!r}, which this population does not know ({did_you_mean(name, self.items)}); serve a model that was trained on its log()") from None  # fmt: skip

    # ---- what is known ----------------------------------------------------------------------

    def features(self, row: int) -> dict[str, Any]:
        """Return what is known of an item: `genre`, `words`, `price`."""
        return {
            "genre": f"genre{self.genre[row]:02}",
            "words": self.words[row],
            "price": float(self.price[row]),
        }

    def new_items(self, day: int) -> I64:
        """Return the rows of the items that are new on a day."""
        return np.flatnonzero(self.item_arrives == day)

    def log(self) -> Dataset:
        """Return the log of the days before the first one, to train on; the items with what is known of them.

        Nobody listed anything: each person took items without replacement, in proportion to a_uj / (1 - a_uj),
        at times that are uniform over `past_days`.
        """
        told = self.settings
        there = np.flatnonzero(self.item_arrives == KNOWN)
        users: list[str] = []
        taken: list[I64] = []
        times: list[I64] = []
        for person in range(told.count):
            draws = self.stream(PAST, 0, person)
            mean = told.past_items * np.exp(told.readiness * self.readiness[person])
            many = min(1 + draws.poisson(mean), len(there))
            wish = logit(self.attraction(person, there, 0.0)) + draws.gumbel(size=len(there))
            taken.append(there[np.argpartition(-wish, many - 1)[:many]])
            times.append(np.sort(draws.integers(0, int(told.past_days * DAY), many)))
            users += [self.people[person]] * many
        first = int(told.start - told.past_days * DAY)
        frame = pl.DataFrame(
            {
                "user": users,
                "item": [self.items[one] for one in np.concatenate(taken)],
                "time": np.concatenate(times) + first,
            }
        )
        about = pl.DataFrame([{"item": self.items[row], **self.features(row)} for row in there.tolist()])  # fmt: skip
        kinds: dict[str, Kind] = {"genre": "category", "words": "text", "price": "number"}
        return Dataset.from_frames(
            frame, user="user", item="item", time="time", items=about, item_features=kinds
        )


class Person:
    """Somebody on the way through their days: mood, and what they took already.

    Parameters
    ----------
    population
        Whose.
    row
        Row of the person.
    draw
        Number of the life: the same person with other luck.
    """

    __slots__ = ("draw", "mood", "population", "row", "taken")

    def __init__(self, population: Population, row: int, draw: int = 0) -> None:
        self.population = population
        self.row = row
        self.draw = draw
        self.mood = 0.5
        self.taken: set[int] = set()

    @property
    def name(self) -> str:
        """Id of the person."""
        return self.population.people[self.row]

    def visit(self, day: int) -> tuple[float, np.random.Generator] | None:
        """Return when the person comes on a day, in seconds since 1970, and the stream of the visit; None where they stay away.

        Newcomers come on the day of their arrival.
        """
        told, arrives = self.population.settings, int(self.population.person_arrives[self.row])
        if day < arrives:
            return None
        stream = self.population.stream(VISITS, self.draw, self.row, day)
        coming, when = stream.random(2)
        if day != arrives and coming >= expit(logit(told.visits) + told.loyalty * (self.mood - 0.5)):  # fmt: skip
            return None
        return float(told.start + day * DAY + int(when * LAST_VISIT)), stream

    def react(self, items: Sequence[object], day: float, stream: np.random.Generator) -> Reaction:
        """Look at a list, take what attracts; the mood moves."""
        people, told = self.population, self.population.settings
        rows = people.rows(items)
        pull = people.attraction(self.row, rows, day)
        pull[[row in self.taken for row in rows.tolist()]] = 0.0
        clicked = examination(len(rows), told.position_bias) * pull
        luck = stream.random((3, len(rows)))
        taken: list[Taken] = []
        for place in np.flatnonzero(luck[0] < clicked).tolist():
            row = int(rows[place])
            watched = -np.log1p(-luck[1, place]) * told.watched * pull[place]
            bought = luck[2, place] < told.bought * pull[place]
            taken.append(Taken(place, float(watched), float(people.price[row]) * bool(bought)))
            self.taken.add(row)
        self.mood += told.memory * (bool(taken) - self.mood)
        return Reaction(
            taken,
            any_of(clicked),
            float(told.watched * (clicked * pull).sum()),
            float(told.bought * (clicked * pull * people.price[rows]).sum()),
            any_of(told.bought * clicked * pull),
        )


def unit(vectors: F64) -> F64:
    """Return rows scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
