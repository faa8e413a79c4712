"""Items that come and go while the server runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from twofold.data.alone import spread
from twofold.data.columns import Text
from twofold.data.vocabulary import UNKNOWN
from twofold.models._base import FittedModel
from twofold.serve.failures import Refused, shown
from twofold.serve.growth import grown_by, grown_by_what_is_left, remarks_of_known
from twofold.serve.live import Live
from twofold.serve.served import Served
from twofold.typing import Id

LONGEST_PATH = 4096
"""Characters of the path of a sound, as Linux has it: the time to resolve one grows with its square."""


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
    await live.work(check_sounds, live.base, features)
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
            model = grown_by_what_is_left(served.version, model, others)
            return served.grown(model, list(withdrawn)), said

        made, said = await live.work(grow)
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


def check_sounds(model: FittedModel, features: dict[str, Any]) -> None:
    """Refuse a path of a sound outside the folders of the sounds that `model` learned, so that a request opens no other file.

    Raises
    ------
    Refused
        Naming the feature.
    """
    for name, told in features.items():
        column = model.items.features.get(name)
        if told is None or not (isinstance(column, Text) and column.is_path):
            continue
        if not isinstance(told, str) or len(told) > LONGEST_PATH:
            got = (
                f"a path of {len(told):,} characters"
                if isinstance(told, str)
                else type(told).__name__
            )
            raise Refused(
                422, "bad_request", f"features.{name} got {got}",
                f"give the path of a sound as a text of up to {LONGEST_PATH:,} characters",
            )  # fmt: skip
        beside = column.values.drop_nulls().str.replace(r"[^/\\]*$", "").unique()
        folders = {
            os.path.realpath(one) for one in beside
        }  # which, unlike Path.resolve, never fails
        if folders.isdisjoint(map(str, Path(os.path.realpath(told)).parents)):
            raise Refused(
                422, "bad_request", f"features.{name} got {told[:200]!r}, which lies in no folder of the catalogue's sounds",
                "put the file beside a sound of the catalogue, or below one",
            )  # fmt: skip


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
