"""What goes on beside the requests: following other processes, deleting what is too old."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from twofold.errors import TwofoldError
from twofold.serve.failures import Refused
from twofold.serve.live import Live
from twofold.serve.served import Served
from twofold.serve.shadow import Shadow
from twofold.serve.store import READ
from twofold.serve.tables import ITEMS, reason_of

if TYPE_CHECKING:
    from twofold.serve.together import Board

log = logging.getLogger(__name__)

EVERY = 600
"""Seconds between deletions."""
OF_EVENTS, OF_ITEMS, OF_CHANGES = range(3)
"""What `Follower.wrote` tells the other workers; as in `twofold.serve.together`."""


class Follower:
    """What other processes write to the store, taken up: at once from workers of this server, else by looking.

    Called from the event loop alone.
    """

    def __init__(self, live: Live, board: Board | None = None) -> None:
        self.live = live
        self.board = board
        self.seen = [0, 0, 0]
        self._items: tuple[float, ...] | None = None
        self._one = asyncio.Lock()
        self._moved = asyncio.Event()
        self._parent = os.getppid()

    def wrote(self, what: int) -> None:
        """Tell the other workers that something was written, before it is acknowledged."""
        if self.board is not None:
            count = self.board.wrote(what)
            if count == self.seen[what] + 1:
                self.seen[what] = count

    async def fresh(self) -> None:
        """Take up what other workers acknowledged; a question is answered after this."""
        board, seen = self.board, self.seen
        if board is None or not self.live.store.reachable:
            return
        if board.count(OF_CHANGES) != seen[OF_CHANGES]:
            self._moved.set()  # a model takes its time to open: questions do not wait for it
        if board.count(OF_EVENTS) == seen[OF_EVENTS] and board.count(OF_ITEMS) == seen[OF_ITEMS]:
            return
        try:
            async with self._one:
                for what, take in ((OF_EVENTS, self.events), (OF_ITEMS, self.items)):
                    count = board.count(what)
                    if count != seen[what]:
                        await take()
                        seen[what] = count
        except SQLAlchemyError as error:
            self.live.store.reachable = False  # what is in memory is answered
            log.warning("the store cannot be followed: %s", reason_of(error))

    async def watch(self) -> None:
        """Follow and delete until cancelled; a database that is away is asked again."""
        live = self.live
        due = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(live.settings.poll):
                    await self._moved.wait()
            self._moved.clear()
            if self.board is not None and os.getppid() != self._parent:
                log.warning("the process that started this worker is gone: it stops")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            try:
                if await live.wait(live.store.ping):
                    await self.follow()
                    if live.settings.retention_days and time.monotonic() >= due:
                        due = time.monotonic() + EVERY
                        await retain(live)
            except (SQLAlchemyError, Refused) as error:
                log.warning("the store cannot be followed: %s", reason_of(error))
            live.gauges()

    async def follow(self) -> None:
        """Take up events, items and versions that other processes wrote."""
        async with self._one:
            await self.events()
            await self.items()
        count = 0 if self.board is None else self.board.count(OF_CHANGES)
        await self.changes()
        self.seen[OF_CHANGES] = count

    async def events(self) -> None:
        """Take up events."""
        live = self.live
        more = True
        while more:
            numbers = await live.wait(live.store.numbers_after, live.histories.floor)
            missing = [one for one in numbers if not live.histories.has(one)]
            if missing:
                live.histories.add(await live.wait(live.store.events_at, missing))
            if numbers and live.store.in_order:
                live.histories.settle(numbers[-1])
            more = bool(missing) and len(numbers) == READ

    async def items(self) -> None:
        """Take up items that were added or withdrawn."""
        live = self.live
        state = await live.wait(live.store.items_state)
        if state == self._items:
            return
        async with live.changing:
            before = dict(live.items), set(live.withdrawn)
            for row in await live.wait(live.store.rows, ITEMS):
                live.take_item(row)
            if before != (live.items, live.withdrawn):
                made = Served.of(live.served.version, live.base, before=live.served)
                live.served = await live.wait(live.with_items, made)
                await live.wait(live.renew_others)
            self._items = state

    async def changes(self) -> None:
        """Take up promotions, rollbacks and shadows."""
        live = self.live
        last = await live.wait(live.store.last_change)
        if last == live.change_seen:
            return
        async with live.changing:
            found = await live.wait(live.registry.read)
            live.change_seen = last
            try:
                if found.live is not None and found.live != live.served.version:
                    live.swap(*await live.wait(live.open_version, found, found.live))
                shadow = live.shadow
                running = (None, None) if shadow is None else (shadow.served.version, shadow.share)
                wanted = (None, None) if found.shadow is None else (found.shadow, found.share)
                if wanted != running:
                    live.shadow = None
                    if found.shadow is not None:
                        made, _ = await live.wait(live.open_version, found, found.shadow)
                        live.shadow = Shadow(made, found.share)
            except TwofoldError as error:
                log.warning("version %s stays live: %s", live.served.version, error)


async def retain(live: Live) -> None:
    """Delete what is older than is kept."""
    cutoff = live.now() - 86_400 * live.settings.retention_days
    while await asyncio.wrap_future(live.store.delete_before(cutoff)):
        await asyncio.sleep(0)
    live.histories.forget_before(cutoff)
