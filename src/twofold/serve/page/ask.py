"""A list for somebody, and why: asked as the server asks itself, but logged nowhere, since a trial is no exposure."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from twofold.data.vocabulary import UNKNOWN
from twofold.models._base import FittedModel
from twofold.serve.live import Live
from twofold.serve.page.items import Card, cards
from twofold.serve.schemas import Body, Identifier, Question
from twofold.serve.served import Asked, Served
from twofold.similar import cosine
from twofold.typing import I32

REASONS = 5
"""Reasons and neighbours that are shown."""
LATEST = 12
"""Items of a history that are shown."""

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


class Reason(NamedTuple):
    """An item of the history, and what it does for the item of the list."""

    card: Card
    amount: float
    share: float


class Reasons(NamedTuple):
    """Why an item stands in a list."""

    card: Card
    raised: list[Reason]
    """By what each history item adds to the score; empty where the history is not read."""
    nearest: list[Reason]
    """By the cosine of each history item to the item."""
    popularity: int
    """Events of training."""
    length: int


def pick(live: Live, question: Question) -> tuple[Served, str]:
    """Return the version that answers a question, and the variant."""
    assignment = live.assigner.assign(question.user, question.session)
    return live.pick(assignment), assignment.variant


async def recommend(live: Live, question: Question) -> List:
    """Return the list of a question."""
    served, variant = pick(live, question)
    asked = served.asked(question, live.histories)

    def make() -> List:
        answer = served.of_asked(asked, question)
        rows = served.model.items.ids.rows(answer.items)
        held = history_rows(served, asked)
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
        return List(lines, served, variant, answer.source, said, latest, len(held))

    return await live.work(make)


def history_rows(served: Served, asked: Asked) -> I32:
    """Return the rows that a list is made from: what was told, or what the model remembers."""
    if asked.queries.has_history[0]:
        return asked.queries.history.item
    user = int(asked.queries.user[0])
    if user == UNKNOWN:
        return np.zeros(0, np.int32)
    return served.model.memory.history.take(np.array([user], np.int32)).item


async def why(live: Live, body: Why) -> Reasons:
    """Return why an item stands in the list of a question.

    Raises
    ------
    UnknownIdError
        If the item is not known.
    """
    served, _ = pick(live, body.question)
    asked = served.asked(body.question, live.histories)

    def make() -> Reasons:
        model = served.model
        row = model.items.ids.row(body.item)
        held = history_rows(served, asked)
        return Reasons(
            card=cards(model, [row])[0],
            raised=raised(served, held, row),
            nearest=nearest(model, held, row),
            popularity=int(model.memory.popularity[row]) if row < model.n_trained else 0,
            length=len(held),
        )

    return await live.work(make)


def raised(served: Served, held: I32, row: int) -> list[Reason]:
    """Return the history items that raise the score of an item most."""
    if not len(held):
        return []
    ids = served.ids
    frame = served.model.explain(None, ids[row], history=[ids[one] for one in held.tolist()])
    frame = frame.filter((frame["kind"] == "history") & (frame["contribution"] > 0)).head(REASONS)
    return reasons(served.model, frame["item"].to_list(), frame["contribution"].to_list())


def nearest(model: FittedModel, held: I32, row: int) -> list[Reason]:
    """Return the history items most like an item."""
    own = np.unique(held)
    own = own[own != row]
    if not len(own):
        return []
    likeness = cosine(model.similarity_vectors, row)[own]
    order = np.argsort(-likeness, kind="stable")[:REASONS]
    order = order[likeness[order] > 0]
    ids = [model.items.ids[at] for at in own[order].tolist()]
    return reasons(model, ids, likeness[order].tolist())


def reasons(model: FittedModel, ids: list[Any], amounts: list[float]) -> list[Reason]:
    """Return items with amounts, as they are shown."""
    shown = cards(model, model.items.ids.rows(ids))
    return [Reason(*one) for one in zip(shown, amounts, shares(amounts), strict=True)]


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


async def alike(live: Live, body: Alike) -> tuple[Card, list[Line], Served]:
    """Return an item and those most like it.

    Raises
    ------
    UnknownIdError
        If the item is not known.
    """
    served, hidden = live.served, live.withdrawn

    def make() -> tuple[Card, list[Line], Served]:
        model = served.model
        row = model.items.ids.row(body.item)
        frame = model.similar_items(body.item, body.k + len(hidden))
        frame = frame.filter(~frame["item"].is_in(list(hidden))) if hidden else frame
        scores = frame["score"].to_list()[: body.k]
        shown = cards(model, model.items.ids.rows(frame["item"].head(body.k)))
        lines = [
            Line(at + 1, card, score, 100 * max(0.0, score), "")
            for at, (card, score) in enumerate(zip(shown, scores, strict=True))
        ]
        return cards(model, [row])[0], lines, served

    return await live.work(make)


def somebody(served: Served, random: np.random.Generator) -> str:
    """Return a user of training, drawn at random among those with a history."""
    lengths = served.model.memory.history.lengths
    some = np.flatnonzero(lengths > 0)
    return str(served.model.users.ids[int(random.choice(some))])
