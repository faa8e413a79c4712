"""A question in the rows of one model: who asks, what they did, what they say, what is left out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from twofold.data.alone import spread
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.told import history_rows, taken_apart
from twofold.data.vocabulary import UNKNOWN, Vocabulary
from twofold.errors import ConfigError
from twofold.explain import question
from twofold.filters import check_where
from twofold.index.layered import NONE
from twofold.models._added import WithItems
from twofold.questions import TIME, questions
from twofold.serve.failures import check_time, shown
from twofold.serve.histories import Lately, LiveHistories
from twofold.serve.schemas import MOST_NOTES, Explanation, Question
from twofold.serve.states import Steps
from twofold.typing import F32, I32, I64, History, Id
from twofold.unseen import added_alone, remarks, unmet

if TYPE_CHECKING:
    from twofold.serve.served import Served

Body = TypeVar("Body", Question, Explanation)
SOME = 3
"""Unknown items of a question that are named."""
NOTHING = Histories.empty(1)
"""The history of somebody who did nothing."""


class Asked(NamedTuple):
    """A question in the rows of one model."""

    queries: Queries
    hidden: I32
    """Rows to leave out beside the history."""
    vector: F32 | None = None
    """What the question is mapped to, (1, d), where that is known already."""
    notes: tuple[str, ...] = ()
    """What the asker should know of what was said, a sentence each."""


def named(ids: Vocabulary, body: Body) -> Body:
    """Return a question with its user as `ids` write it, so that "2.0" and 2 are one person where ids are integers."""
    if body.user is None or (own := ids.written(body.user)) == body.user:
        return body
    return body.model_copy(update={"user": own})


def translated(served: Served, question: Question, live: LiveHistories) -> Asked:
    """Translate a question; what was done since training is part of it.

    Raises
    ------
    Refused
        If it is asked in the future.
    """
    check_time(question.time, time.time(), "a question")
    rows = served.model.items.ids.rows
    user = UNKNOWN
    lately: Lately | None = None
    if question.user is not None:
        user = int(served.model.users.ids.rows([question.user])[0])
        if question.history is None:
            lately = live.of(question.user)
    if question.history is not None:
        history = history_rows(served.model.items.ids, [question.history])
    elif lately is not None:
        history = joined(served, user, lately, live)
    else:
        history = NOTHING
    given = question.history is not None or len(history.item) > 0
    queries = Queries(np.array([user], np.int32), history, np.array([given]))
    hidden = NONE
    if question.deny:
        hidden = rows(question.deny)
        hidden = hidden[hidden != UNKNOWN]
    notes = passed_over(
        served.model.items.ids, {"history": question.history, "allow": question.allow}
    )
    notes += not_listed(served, question.allow)
    notes += added_alone(history, served.model.n_trained)
    if question.where:
        check_where(served.model.items, question.where)
        notes += unmet(served.model.items, question.where)
    if question.words is not None or question.features or question.context or served.model.context_kinds:  # fmt: skip
        queries = described(served, question, queries)
        notes += remarks(served.model, queries)
        return Asked(queries, hidden, notes=tuple(notes[:MOST_NOTES]))
    vector = None
    if lately is not None and given and question.user is not None:
        vector = stepped(served, question.user, user, lately, live)
    return Asked(queries, hidden, vector, tuple(notes))


def timed(served: Served, body: Body) -> dict[str, Any]:
    """Return the circumstances of a question, with its time where the model reads it: now, unless it is told."""
    context = dict(body.context or {})
    if TIME in served.model.context_kinds:
        context.setdefault(TIME, int(time.time() if body.time is None else body.time))
    return context


def somebody(served: Served, body: Explanation, live: LiveHistories) -> tuple[Queries, list[str]]:
    """Translate for whom an item is to be explained, as a list is asked for; also return which time was taken where none is told.

    What was done since training is part of the history.

    Raises
    ------
    ConfigError
        If nothing is known of the user and nothing else is said, or what is said cannot be read.
    Refused
        If it is asked in the future.
    """
    check_time(body.time, time.time(), "a question")
    context = timed(served, body)
    notes: list[str] = []
    if TIME in context and body.time is None and TIME not in (body.context or {}):
        moment = datetime.fromtimestamp(context[TIME], UTC).isoformat()[:19]
        notes.append(f"the model reads the time of the question, and none was told: it is asked as of now, {moment} UTC; tell it as time")  # fmt: skip
    history: History | None = body.history
    if history is None and body.user is not None:
        history = served.history_of(body.user, live)
    asked = question(served.model, body.user, history, body.words, body.features, context)
    said = body.user is None or history is not None or body.words is not None or body.features or body.context  # fmt: skip
    if asked.user[0] == UNKNOWN and not said:
        raise ConfigError(f"nothing is known of user {body.user!r}; give a history")
    return asked, notes


def passed_over(ids: Vocabulary, asked: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the items of each list, such as a history, that are not known; None is no list."""
    said: list[str] = []
    for name, given in asked.items():
        flat = taken_apart(given or ())[0]
        lost = np.flatnonzero(ids.rows(flat) == UNKNOWN)
        if len(lost):
            said.append(
                f"{name} has items that are not known and are passed over: {some_of(flat, lost)}"
            )
    return said


def not_listed(served: Served, allow: Sequence[Id] | None) -> list[str]:
    """Return a sentence on the items to choose from that are withdrawn; None are all."""
    if not allow or not len(served.withdrawn):
        return []
    rows = served.model.items.ids.rows(allow)
    gone = np.flatnonzero((rows != UNKNOWN) & np.isin(rows, served.withdrawn))
    if not len(gone):
        return []
    return [
        f"allow has items that are withdrawn and are not listed: {some_of(allow, gone)}; PUT /items brings them back"
    ]


def some_of(listed: Sequence[Any], rows: I64) -> str:
    """Return the first few of a list that stand at `rows` as they may be shown."""
    more = ", ..." if len(rows) > SOME else ""
    return ", ".join(shown(listed[at]) for at in rows[:SOME]) + more


def stepped(served: Served, who: Id, user: int, lately: Lately, live: LiveHistories) -> F32 | None:
    """Return the vector of somebody with new events, (1, d), if the model is recurrent and they are all later than training."""
    model = served.model.base if isinstance(served.model, WithItems) else served.model
    if not (served.looks_up and isinstance(model, Steps)):
        return None
    last = None
    if served.trained_until is not None:
        if int(lately.time[0]) <= served.trained_until:
            return None
        times = served.model.memory.history.time
        if times is not None and user >= 0 and served.bounds[user + 1] > served.bounds[user]:
            last = int(times[served.bounds[user + 1] - 1])
    rows = served.rows_of(lately.item, live)
    rows = np.where(rows < len(model.items), rows, UNKNOWN).astype(np.int32)
    return served.states.vector(model, who, user, rows, lately, last)


def described(served: Served, question: Question, queries: Queries) -> Queries:
    """Add what was said of the person and the circumstances.

    Raises
    ------
    ConfigError
        If words are given to a model that reads none, or there is no such feature.
    """
    context: dict[str, list[Any]] = {k: [v] for k, v in timed(served, question).items()}
    features = spread(question.features or {}, served.model.users.features)
    said, _ = questions(
        served.model,
        [0],
        context=context,
        features={name: [value] for name, value in features.items()},
        text=None if question.words is None else [question.words],
    )
    return replace(
        said, user=queries.user, history=queries.history, has_history=queries.has_history
    )


def joined(served: Served, user: int, lately: Lately, live: LiveHistories) -> Histories:
    """Return a person's remembered history followed by what they did since; shape of one person.

    An event that training had already (the same item at the same second) counts once.
    """
    rows = served.rows_of(lately.item, live)
    remembered_ = served.model.memory.history.take(np.array([user], np.int32))
    keep = rows != UNKNOWN
    if served.trained_until is not None and remembered_.time is not None and keep.any():
        before = np.flatnonzero(keep & (lately.time <= served.trained_until))
        if len(before):
            had = set(zip(remembered_.item.tolist(), remembered_.time.tolist(), strict=True))
            for at in before.tolist():
                keep[at] = (int(rows[at]), int(lately.time[at])) not in had
    if not keep.any():
        return Histories.empty(1)
    item = np.concatenate([remembered_.item, rows[keep]])
    value = np.concatenate([remembered_.value, values_of(served, lately.value[keep])])
    when = None
    if remembered_.time is not None:
        when = np.concatenate([remembered_.time, lately.time[keep]])
        order = np.argsort(when, kind="stable")
        item, value, when = item[order], value[order], when[order]
    return Histories(np.array([0, len(item)], np.int64), item, value, when)


def values_of(served: Served, values: F32) -> F32:
    """Return the values of events as the model counts: ratings in its range, counts as they are, else 1."""
    low, high = served.model.memory.value_range
    if (low, high) == (1.0, 1.0):
        return np.full(len(values), served.model.unsaid_value, np.float32)
    filled = np.where(np.isnan(values), np.float32(served.model.unsaid_value), values)
    return np.clip(filled, low, high) if served.model.predicts_values else filled
