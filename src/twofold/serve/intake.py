"""Events: what is kept of them, and when they count as kept."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from twofold.data.vocabulary import UNKNOWN
from twofold.errors import nearest
from twofold.questions import TIME
from twofold.serve.asking import SOME
from twofold.serve.failures import check_time, shown
from twofold.serve.live import Live
from twofold.serve.schemas import Event
from twofold.serve.store import Row
from twofold.serve.tables import id_bits
from twofold.unseen import plain


async def take(live: Live, events: Sequence[Event]) -> dict[str, Any]:
    """Keep events; when this returns they are on disk and in the histories.

    Raises
    ------
    Refused
        If a time cannot be right, or the store does not take them.
    """
    now = live.now()
    rows = [event_row(live, one, now) for one in events]
    fresh = await asyncio.wrap_future(live.store.add_events(rows))
    added: list[Row] = []
    for row in rows:
        number = fresh.pop(row["id"], None)
        if number is not None:
            added.append({**row, "seq": number})
    live.histories.add(added)
    live.metrics.events.labels("accepted").inc(len(added))
    live.metrics.events.labels("duplicate").inc(len(rows) - len(added))
    kept = {
        "accepted": len(added),
        "duplicates": len(rows) - len(added),
        "ids": [row["id"] for row in rows],
    }
    notes = [*unknown_items(live, events), *strange_circumstances(live, events)]
    return kept | ({"notes": notes} if notes else {})


def unknown_items(live: Live, events: Sequence[Event]) -> list[str]:
    """Return a sentence on the items of events that the catalogue does not have: they are kept, for the next training."""
    ids = live.served.model.items.ids
    asked = list(dict.fromkeys(one.item for one in events))
    lost = [asked[at] for at in np.flatnonzero(ids.rows(asked) == UNKNOWN).tolist()]
    if not lost:
        return []
    some = ", ".join(map(shown, lost[:SOME])) + (", ..." if len(lost) > SOME else "")
    return [f"items that are not known were kept: {some}"]


def strange_circumstances(live: Live, events: Sequence[Event]) -> list[str]:
    """Return a sentence on circumstances that the live model does not read, where it reads others: one may be mistyped."""
    known = live.base.context_kinds
    read = [one for one in known if one != TIME]
    told = dict.fromkeys(name for one in events for name in one.context or ())
    strange = [one for one in told if one not in known] if read else []
    said: list[str] = []
    for one in strange[:SOME]:
        near = nearest(one, read)
        hint = (
            f"did you mean {shown(near)}?"
            if near
            else f"it reads {', '.join(map(plain, read[:SOME]))}"
        )
        said.append(f"the live model does not read the circumstance {shown(one)}, which is kept for the next training; {hint}")  # fmt: skip
    if strange[SOME:]:
        said.append(f"and {len(strange) - SOME:,} more circumstances")
    return said


def event_row(live: Live, event: Event, now: float) -> Row:
    """Return an event as it is kept; ids that are integers in the catalogue have one form.

    Raises
    ------
    Refused
        If it lies in the future.
    """
    when = now if event.time is None else event.time
    check_time(when, now, "an event")
    return {
        "id": event.id or uuid.uuid4().hex,
        "user_id": str(live.base.users.ids.written(event.user)),
        "item_id": str(live.base.items.ids.written(event.item)),
        "kind": event.kind,
        "value": event.value,
        "time": when,
        "received": now,
        "request_id": event.request_id,
        "session": event.session,
        "context": orjson.dumps(event.context).decode() if event.context else None,
        "ids": id_bits(event.user, event.item),
    }
