"""What goes on beside the requests: following other processes, deleting what is too old."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from twofold.errors import TwofoldError
from twofold.serve.failures import Refused
from twofold.serve.live import Live
from twofold.serve.shadow import Shadow

log = logging.getLogger(__name__)

EVERY = 600
"""Seconds between deletions."""


async def watch(live: Live) -> None:
    """Follow what other processes do to the store, and delete what is too old."""
    due = 0.0
    while True:
        await asyncio.sleep(live.settings.poll)
        if not await live.wait(live.store.ping):
            live.gauges()
            continue
        with contextlib.suppress(Refused):
            await follow(live)
            if live.settings.retention_days and time.monotonic() >= due:
                due = time.monotonic() + EVERY
                await retain(live)
        live.gauges()


async def follow(live: Live) -> None:
    """Take up events and changes that other processes wrote."""
    numbers = await live.wait(live.store.numbers_after, live.histories.floor)
    missing = [one for one in numbers if not live.histories.has(one)]
    if missing:
        live.histories.add(await live.wait(live.store.events_at, missing))
    if numbers and live.store.in_order:
        live.histories.settle(numbers[-1])
    last = await live.wait(live.store.last_change)
    if last == live.change_seen:
        return
    async with live.changing:
        found = await live.wait(live.registry.read)
        live.change_seen = last
        try:
            if found.live is not None and found.live != live.served.version:
                live.swap(*await live.wait(live.open_version, found, found.live))
            running = None if live.shadow is None else live.shadow.served.version
            if found.shadow != running:
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
