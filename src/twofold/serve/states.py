"""What the events of people have left in a recurrent model: one more event costs one step, and no history is replayed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from twofold.serve.histories import Lately
from twofold.typing import F32, I32, I64, Id

PEOPLE = 50_000
"""People whose states are kept; those who were asked for last."""


@runtime_checkable
class Steps(Protocol):
    """A model whose people have a state that an event changes by one step."""

    def follow(
        self, state: Any | None, user: int, items: I32, times: I64, last: int | None
    ) -> Any | None:
        """Return the state of one person after further events; None where only the whole history tells it.

        Parameters
        ----------
        state
            From `follow`; None = as training left `user`, the row of a person, -1 = somebody new.
        user
            The row.
        items, times : shape (n,)
            Rows of the catalogue, and seconds.
        last
            Time of the event before; None where there is none, or no times.
        """
        ...

    def encode_state(self, state: Any) -> F32:
        """Return the vector of a state, shape (1, d)."""
        ...


class Kept(NamedTuple):
    """A state, and how many live events it has taken."""

    state: Any
    taken: int
    turns: int
    """Of the live history, when the state was made; see `Lately.turns`."""


class States:
    """The latest states of people by id. Called from one thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def vector(
        self, model: Steps, user: Id, row: int, rows: I32, lately: Lately, last: int | None
    ) -> F32 | None:
        """Return the vector of somebody after all live events, shape (1, d); None where the history has to be folded in.

        `rows` (n,) are those of the live items, -1 = unknown, which are passed over; `last` is the time of the last
        event of training.
        """
        if lately.turns < 0:
            return None
        name = str(user)
        kept = self._kept.pop(name, None)
        if kept is not None and (kept.turns != lately.turns or kept.taken > len(rows)):
            kept = None
        done = 0 if kept is None else kept.taken
        state = None if kept is None else kept.state
        fresh = np.flatnonzero(rows[done:] >= 0) + done
        if len(fresh) or state is None:
            earlier = np.flatnonzero(rows[:done] >= 0)
            before = int(lately.time[earlier[-1]]) if len(earlier) else last
            state = model.follow(state, row, rows[fresh], lately.time[fresh], before)
            if state is None:
                return None
        self._kept[name] = Kept(state, len(rows), lately.turns)
        if len(self._kept) > PEOPLE:
            self._kept.popitem(last=False)
        return model.encode_state(state)
