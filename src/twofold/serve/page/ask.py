"""A list for somebody, and why: asked as the server asks itself, but logged nowhere, since a trial is no exposure."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import TwofoldError
from twofold.explain import latest, weighed, whole
from twofold.models._base import FittedModel
from twofold.serve.answers import similar_to
from twofold.serve.asking import named
from twofold.serve.live import Live
from twofold.serve.page.items import Card, cards
from twofold.serve.schemas import Body, Identifier, Question
from twofold.serve.served import Asked, Served
from twofold.serve.variants import LIVE
from twofold.similar import likeness
from twofold.typing import I32

REASONS = 5
"""Reasons and neighbours that are shown."""
LATEST = 12
"""Items of a history that are shown."""
EXPLAINED = 300
"""Latest events of a history that are left out in turn: the cost grows with their square."""

SAID = {
    "model": "Somebody of the training log: looked up in the model.",
    "fold-in": "The history was folded into the model, without training.",
    "content": "Placed by what is known of them, not by what they did.",
    "fallback:popularity": "Nothing the model can use is known, so this is what is popular.",
}
"""What the source of an answer means."""


class Why(Body):
    """An item of a list, and the question that the list answered."""

    question: Question
    """The question."""
    item: Identifier
    """The item."""


class Alike(Body):
    """Of which item the neighbours are asked."""

    item: Identifier
    """The item."""
    k: Annotated[int, Field(strict=True, ge=1, le=100)] = 12
    """How many."""


class Line(NamedTuple):
    """A line of a list."""

    rank: int
    card: Card
    score: float
    share: float
    """Of the largest score, 0 ... 100, for the bar beside it."""
    source: str


class List(NamedTuple):
    """A list, as it is shown."""

    lines: list[Line]
    served: Served
    variant: str
    source: str
    said: str
    history: list[Card]
    """The latest items that it was made from, the last one first."""
    length: int
    """How many items that history has."""
    notes: tuple[str, ...]
    """What the asker should know of what was said."""


class Reason(NamedTuple):
    """An item of the history, or a word, a feature or a circumstance, and what it does for the item of the list."""

    card: Card | None
    """None where it is no item."""
    name: str
    amount: float
    share: float


class Reasons(NamedTuple):
    """Why an item stands in a list."""

    card: Card
    raised: list[Reason]
    """By what each item of the history, word, feature or circumstance adds to the score; empty where none is read."""
    nearest: list[Reason]
    """By the cosine of each history item to the item."""
    popularity: int
    """Events of training."""
    length: int
    cut: int
    """Events that `raised` looked at, where the history is longer; 0 otherwise."""


def pick(live: Live, question: Question) -> tuple[Served, str, Asked]:
    """Return the version that answers a question, the variant, and the question as it is translated; the live one where the other cannot read it."""
    assignment = live.assigner.assign(question.user, question.session)
    served = live.version(assignment.version)
    try:
        return served, assignment.variant, served.asked(question, live.histories)
    except TwofoldError:
        return live.served, LIVE, live.served.asked(question, live.histories)


async def recommend(live: Live, question: Question) -> List:
    """Return the list of a question."""
    question = named(live.base.users.ids, question)
    served, variant, asked = pick(live, question)

    def make() -> List:
        answer = served.of_asked(asked, question)
        rows = served.model.items.ids.rows(answer.items)
        held = history_of(served, asked).item
        lines = [
            Line(at + 1, card, score, share, source)
            for at, (card, score, share, source) in enumerate(
                zip(
                    cards(served.model, rows),
                    answer.scores,
                    shares(answer.scores),
                    answer.sources,
                    strict=True,
                )
            )
        ]
        latest = cards(served.model, held[::-1][:LATEST])
        said = SAID.get(answer.source, "")
        return List(lines, served, variant, answer.source, said, latest, len(held), answer.notes)

    return await live.work(make)


def history_of(served: Served, asked: Asked) -> Histories:
    """Return the history, of one person, that a list is made from: what was told, or what the model remembers."""
    if asked.queries.has_history[0]:
        return asked.queries.history
    user = int(asked.queries.user[0])
    if user == UNKNOWN:
        return Histories.empty(1)
    return served.model.memory.history.take(np.array([user], np.int32))


async def why(live: Live, body: Why) -> Reasons:
    """Return why an item stands in the list of a question.

    Raises
    ------
    UnknownIdError
        If the item is not known.
    """
    question = named(live.base.users.ids, body.question)
    served, _, asked = pick(live, question)

    def make() -> Reasons:
        model = served.model
        row = model.items.ids.row(body.item)
        own = history_of(served, asked)
        return Reasons(
            card=cards(model, [row])[0],
            raised=raised(model, asked.queries, row),
            nearest=nearest(model, own.item, row),
            popularity=int(model.memory.popularity[row]) if row < model.n_trained else 0,
            length=len(own.item),
            cut=EXPLAINED if len(own.item) > EXPLAINED else 0,
        )

    return await live.work(make)


def raised(model: FittedModel, asked: Queries, row: int) -> list[Reason]:
    """Return what is known of a person that raises the score of an item most, as `twofold.explain` says."""
    person = whole(model, asked)
    person = replace(person, history=latest(person.history, EXPLAINED))
    _, found, lost = weighed(model, person, row)
    order = np.argsort(-lost, kind="stable")[:REASONS]
    order = order[lost[order] > 0]
    most, amounts = [found[at] for at in order.tolist()], lost[order].tolist()
    known = cards(model, [one.item for one in most])
    told = [card if one.kind == "history" else None for card, one in zip(known, most, strict=True)]
    names = [one.name for one in most]
    return [Reason(*one) for one in zip(told, names, amounts, shares(amounts), strict=True)]


def nearest(model: FittedModel, held: I32, row: int) -> list[Reason]:
    """Return the history items most like an item."""
    own = np.unique(held)
    own = own[own != row]
    if not len(own):
        return []
    alike = likeness(model, row)[own]
    order = np.argsort(-alike, kind="stable")[:REASONS]
    order = order[alike[order] > 0]
    amounts = alike[order].tolist()
    told = zip(cards(model, own[order]), amounts, shares(amounts), strict=True)
    return [Reason(card, "", amount, share) for card, amount, share in told]


def shares(scores: list[float]) -> list[float]:
    """Return scores as shares of the largest, 0 ... 100; where one is negative, of the range.

    Example
    -------
    >>> shares([4.0, 1.0]), shares([1.0, -1.0])
    ([100.0, 25.0], [100.0, 0.0])
    """
    low, high = min([*scores, 0.0]), max(scores, default=0.0)
    span = high - low
    return [100.0 * (one - low) / span if span > 0 else 0.0 for one in scores]


async def alike(live: Live, body: Alike) -> tuple[Card, list[Line], list[str], Served]:
    """Return an item, those most like it, and why there are none.

    Raises
    ------
    UnknownIdError
        If the item is not known.
    """
    served, hidden = live.served, live.withdrawn

    def make() -> tuple[Card, list[Line], list[str], Served]:
        model = served.model
        row = model.items.ids.row(body.item)
        found = similar_to(model, body.item, body.k, hidden)
        shown = cards(model, model.items.ids.rows([item for item, _ in found.items]))
        lines = [
            Line(at + 1, card, score, 100 * max(0.0, score), "")
            for at, (card, (_, score)) in enumerate(zip(shown, found.items, strict=True))
        ]
        return cards(model, [row])[0], lines, found.notes, served

    return await live.work(make)


def somebody(served: Served, random: np.random.Generator, shown: str = "") -> str:
    """Return a user of training, drawn at random among those with a history; another one than is shown, if there is any."""
    some = np.flatnonzero(served.model.memory.history.lengths > 0)
    ids = [str(served.model.users.ids[int(one)]) for one in random.choice(some, 2, replace=len(some) < 2)]  # fmt: skip
    return ids[0] if ids[0] != shown else ids[1]
