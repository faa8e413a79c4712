"""A population at a server: people come, ask for lists, react, and what they did is posted. HTTP only.

Nothing is known of the server but its interface, so every server of twofold can be browsed, whatever it
runs on. Time is the population's: a question and an event say when they happened, and days pass as fast
as the server answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from twofold.errors import ConfigError, DataError, TwofoldError, need
from twofold.online.logs import EVENTS
from twofold.online.simulate.population import Person, Population

if TYPE_CHECKING:
    import httpx2

AGAIN = 6
"""How often a request is sent that got no answer, or "later"."""
PAUSE = 0.2
"""Seconds before it is sent again, twice as many each time."""
LATER = (429, 503)
"""Statuses that mean: later."""
NEXT_LIST, FIRST_CLICK, NEXT_CLICK = 300.0, 5.0, 10.0
"""Seconds from one list of a visit to the next, from a list to its first place, from a place to the next."""
POSTED = 1000
"""Events of one request at most."""
LISTS = 10
"""Lists of one visit at most."""
EXPOSURES: dict[str, Any] = {
    "unit": pl.String,
    "variant": pl.String,
    "time": pl.Float64,
    "request": pl.String,
    "items": pl.List(pl.String),
    "answered": pl.Float64,
    "watched": pl.Float64,
    "spent": pl.Float64,
    "bought": pl.Float64,
}
"""Columns of what was shown; the last four are what was to be expected: see `Reaction`."""


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on a day, as the people know it; frames that `twofold.online.report` reads."""

    number: int
    """From 0."""
    exposures: pl.DataFrame
    """A row a list: `unit`, `variant`, `time`, `request`, `items`, and what was to be expected of it: `answered` (chance of a click), `watched` (seconds), `spent`, `bought` (chance of a purchase)."""
    events: pl.DataFrame
    """A row an event that the server acknowledged: `unit`, `kind` (click, watch, purchase), `time`, `item`, `value`, `request`, `event`."""
    new_items: tuple[str, ...] = ()
    """Items that came and that the server took."""
    refused: tuple[str, ...] = ()
    """Items that it did not take, each with what it said: a model that reads no content cannot place them."""


class _Visit(NamedTuple):
    """Somebody who is there now."""

    person: Person
    time: float
    stream: np.random.Generator


def gathered(days: Iterable[Day]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the exposures and the events of several days, each as one frame.

    Example
    -------
    >>> [len(one) for one in gathered([])]
    [0, 0]
    """
    told = list(days)
    exposures = [pl.DataFrame(schema=EXPOSURES), *(one.exposures for one in told)]
    events = [pl.DataFrame(schema=EVENTS), *(one.events for one in told)]
    return pl.concat(exposures), pl.concat(events)


async def browse(
    population: Population,
    client: httpx2.AsyncClient,
    *,
    days: int | None = None,
    draw: int = 0,
    together: int = 1,
    at_once: int = 8,
) -> AsyncGenerator[Day]:
    """Let the people browse a server, and give each day as it ends.

    What a person does depends on the lists that they are shown and on nothing else: the same lists give
    the same events, whatever the order in which answers come. The lists of one person are asked for one after the
    other, each when the events of the one before are acknowledged.

    Parameters
    ----------
    population
        Who comes.
    client
        Of the server, with its address as `base_url`, and a key where it wants one.
    days
        How many; None = those of the population.
    draw
        Number of the run: another one is the same people with other luck.
    together
        People whose lists are asked for in one request; 1 = each list is a request of its own.
    at_once
        Requests under way at most.

    Yields
    ------
    Day
        In order.

    Raises
    ------
    ConfigError
        If an argument is outside its range.
    DataError
        If the server cannot be reached, refuses a question or an event, or lists items that are not of
        this population. A request without an answer is sent again first; events count once by their ids.
    """
    last = population.settings.days if days is None else days
    if not 1 <= last <= population.settings.days:
        raise ConfigError(f"days got {days!r}; this population has 1 to {population.settings.days}")
    for name, value, most in (("together", together, 1000), ("at_once", at_once, 1000)):
        if not 1 <= value <= most:
            raise ConfigError(f"{name} got {value!r}; give 1 to {most:,}")
    if draw < 0:
        raise ConfigError(f"draw got {draw!r}; give a number >= 0")
    people = [Person(population, row, draw) for row in range(len(population.people))]
    line = _Line(client, asyncio.Semaphore(at_once))
    for day in range(last):
        taken, refused = await _put_new_items(population, line, day)
        coming = ((person, person.visit(day)) for person in people)
        there = [_Visit(person, *visit) for person, visit in coming if visit is not None]
        shown: list[dict[str, Any]] = []
        done: list[dict[str, Any]] = []
        for number in range(LISTS):
            parts = [there[at : at + together] for at in range(0, len(there), together)]
            made = await _all(_lists(line, part, day, number) for part in parts)
            for exposures, events, _ in made:
                shown += exposures
                done += events
            there = [visit for _, _, stay in made for visit in stay]
            if not there:
                break
        exposures = pl.DataFrame(shown, schema=EXPOSURES).sort("time", "unit")
        events = pl.DataFrame(done, schema=EVENTS).sort("time", "event")
        yield Day(day, exposures, events, taken, refused)


async def _all(works: Iterable[Any]) -> list[Any]:
    """Return the results of all works in order; when one fails the others are ended."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in works]
    except* TwofoldError as failed:
        first: BaseException = failed
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [one.result() for one in tasks]


async def _put_new_items(
    population: Population, line: _Line, day: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Offer the items that are new on a day; return those that were taken, and what was said of the others."""
    taken: list[str] = []
    refused: list[str] = []
    for row in population.new_items(day).tolist():
        name = population.items[row]
        body = {"features": population.features(row)}
        status, answer = await line.send("PUT", f"/items/{name}", body, allowed=(422,))
        if status == 200:
            taken.append(name)
        else:
            refused.append(f"{name}: {_said(answer)}")
    return tuple(taken), tuple(refused)


async def _lists(
    line: _Line, visits: Sequence[_Visit], day: int, number: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[_Visit]]:
    """Show each visitor a list and post what they do; return what was shown, what was done, and who asks for another list."""
    questions = [_question(one, day, number) for one in visits]
    first = visits[0].person
    name = f"{first.name}-{first.draw}-{day}-{number}"
    if len(visits) == 1:
        answers = [(await line.send("POST", "/recommend", questions[0], name=name))[1]]
    else:
        body = {"questions": questions}
        answers = (await line.send("POST", "/recommend/batch", body, name=name))[1]["answers"]
    shown: list[dict[str, Any]] = []
    done: list[dict[str, Any]] = []
    stay: list[_Visit] = []
    for visit, question, answer in zip(visits, questions, answers, strict=True):
        listed = [one["item"] for one in answer["items"]]
        found = visit.person.react(listed, float(day), visit.stream)
        shown.append(
            {
                "unit": visit.person.name,
                "variant": answer["variant"],
                "time": question["time"],
                "request": answer["request_id"],
                "items": [str(one) for one in listed],
                "answered": found.answered,
                "watched": found.watched,
                "spent": found.spent,
                "bought": found.bought,
            }
        )
        for one in found.taken:
            when = question["time"] + FIRST_CLICK + NEXT_CLICK * one.place
            what = [("click", None), ("watch", one.watched)]
            what += [("purchase", one.spent)] if one.spent else []
            for step, (kind, value) in enumerate(what):
                done.append(
                    {
                        "unit": visit.person.name,
                        "kind": kind,
                        "time": when + step,
                        "item": str(listed[one.place]),
                        "value": value,
                        "request": answer["request_id"],
                        "event": f"{visit.person.name}-{visit.person.draw}-{day}-{number}-{one.place}-{kind}",
                    }
                )
        if visit.stream.random() < visit.person.population.settings.another:
            stay.append(visit)
    for at in range(0, len(done), POSTED):
        await line.send("POST", "/events", [_event(one) for one in done[at : at + POSTED]])
    return shown, done, stay


def _question(visit: _Visit, day: int, number: int) -> dict[str, Any]:
    return {
        "user": visit.person.name,
        "k": visit.person.population.settings.shown,
        "time": visit.time + NEXT_LIST * number,
        "session": f"{visit.person.name}-{day}",
    }


def _event(row: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the server takes it."""
    told = {
        "id": row["event"],
        "user": row["unit"],
        "item": row["item"],
        "kind": row["kind"],
        "time": row["time"],
        "request_id": row["request"],
    }
    return told if row["value"] is None else {**told, "value": row["value"]}


def _said(answer: Any) -> str:
    """Return what an error says."""
    told: Any = answer.get("error", {}) if isinstance(answer, dict) else {}
    return f"{told.get('message', answer)}; {told.get('hint', '')}".strip("; ")


class _Line:
    """A client that does not lose what it sends."""

    def __init__(self, client: httpx2.AsyncClient, free: asyncio.Semaphore) -> None:
        self.client = client
        self.free = free
        self.failures: Any = need("httpx2", "serve").TransportError

    async def send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        name: str = "",
        allowed: tuple[int, ...] = (),
    ) -> tuple[int, Any]:
        """Send a request, again where no answer comes; return the status and the answer.

        Raises
        ------
        DataError
            If it is refused, or not answered at all.
        """
        headers = {"x-request-id": name} if name else {}
        last = ""
        for turn in range(AGAIN):
            if turn:
                await asyncio.sleep(PAUSE * 2 ** (turn - 1))
            try:
                async with self.free:
                    answer = await self.client.request(method, path, json=body, headers=headers)
            except self.failures as error:
                last = str(error) or type(error).__name__
                continue
            try:
                told = answer.json()
            except ValueError:
                told = answer.text[:200]
            if answer.status_code in LATER:
                last = _said(told)
                continue
            if answer.status_code >= 400 and answer.status_code not in allowed:
                raise DataError(f"{self.client.base_url} refuses {method} {path}: {_said(told)}")
            return answer.status_code, told
        raise DataError(f"{self.client.base_url} does not answer {method} {path}: {last}; see that the server runs")  # fmt: skip
