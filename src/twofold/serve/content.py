"""Items that come and go while the server runs."""

from __future__ import annotations

import asyncio
from typing import Any

from twofold.data.alone import spread
from twofold.data.vocabulary import UNKNOWN
from twofold.features.sounds import SoundFault
from twofold.serve.failures import Refused, shown
from twofold.serve.growth import grown_by, grown_by_what_is_left, remarks_of_known
from twofold.serve.live import Live
from twofold.serve.served import Served
from twofold.serve.sounds import checked_sounds
from twofold.typing import Id


async def put_item(live: Live, text: str, features: dict[str, Any]) -> tuple[bool, list[str]]:
    """Add an item by content, or list one again that was withdrawn; say whether training knew it, and notes on its features.

    Raises
    ------
    Refused
        If the id is not of the catalogue's kind, or a sound lies where the catalogue has none.
    DataError
        If the model does not read content, or a feature is missing or of another kind.
    """
    item, features = own_id(live, text), spread(features, live.base.items.features)
    models = [live.base, *(base for _, base in live.others.values())]
    features = await live.work(checked_sounds, models, features)
    async with live.changing:
        known = int(live.base.items.ids.rows([item])[0]) != UNKNOWN
        items, withdrawn = dict(live.items), live.withdrawn - {item}
        others = {} if item not in items or known else {one: told for one, told in items.items() if one != item}  # fmt: skip
        if not known:
            items[item] = features
        served, base = live.served, live.base

        def grow() -> tuple[Served, list[str]]:
            if known:
                said = remarks_of_known(base, item, features)
                return served.grown(served.model, list(withdrawn)), said
            again = item in live.items
            model, said = grown_by(base if again else served.model, item, features)
            if not again:
                return served.grown(model, list(withdrawn)), said
            model, left_out = grown_by_what_is_left(served.version, model, others)
            return served.grown(model, list(withdrawn), left_out), said

        try:
            made, said = await live.work(grow)
        except SoundFault as error:  # whose advice is for who trains
            raise Refused(
                422, "bad_request", error.why,
                "give the path of a sound file that can be heard, or null where there is none",
            ) from error  # fmt: skip
        kept = None if known and not features else features
        await asyncio.wrap_future(live.store.put_item(item, kept, live.now(), withdrawn=False))
        live.items, live.withdrawn, live.served = items, withdrawn, made
        await live.work(live.renew_others)
    return known, said


async def withdraw(live: Live, text: str) -> None:
    """List an item no more.

    Raises
    ------
    Refused
        If it is not known.
    """
    item = own_id(live, text)
    async with live.changing:
        row = int(live.served.model.items.ids.row(item))
        item = live.served.ids[row]
        withdrawn = live.withdrawn | {item}
        made = await live.work(live.served.grown, live.served.model, list(withdrawn))
        await asyncio.wrap_future(live.store.put_item(item, None, live.now(), withdrawn=True))
        live.withdrawn, live.served = withdrawn, made
        await live.work(live.renew_others)


def own_id(live: Live, text: str) -> Id:
    """Return an id of a path as the catalogue has it.

    Raises
    ------
    Refused
        If the catalogue has integers and this is none.
    """
    if not live.base.items.ids.is_integer:
        return text
    try:
        return int(text)
    except ValueError as error:
        raise Refused(
            422, "bad_request", f"the item ids of this catalogue are integers; got {shown(text)}",
            "give an integer",
        ) from error  # fmt: skip
