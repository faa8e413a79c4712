"""Another version: registered, promoted, rolled back, asked silently."""

from __future__ import annotations

import logging
from typing import Any

from twofold.models._base import FittedModel
from twofold.models._told import read_told
from twofold.serve.failures import Refused
from twofold.serve.growth import missing_in, notes
from twofold.serve.guardrails import Candidate, objections
from twofold.serve.live import Live
from twofold.serve.registry import PROMOTE, ROLL_BACK, SHADOW, before
from twofold.serve.served import Served
from twofold.serve.shadow import Shadow

log = logging.getLogger(__name__)


async def register(live: Live, path: str) -> int:
    """Add a model to the registry."""
    return await live.wait(live.registry.register, path)


async def promote(
    live: Live, number: int, *, force: bool, note: str, other_data: bool = False
) -> dict[str, Any]:
    """Make a version live if nothing speaks against it, or by force; reports of `other_data` are not compared.

    Raises
    ------
    Refused
        If the checks say no.
    """
    async with live.changing:
        found = await live.wait(live.registry.read)
        if found.live == number == live.served.version:
            raise Refused(409, "already_live", f"version {number} is live", "promote another")
        wanted = found.version(number)
        current = found.version(live.served.version)
        old = live.served

        def prepare() -> tuple[Served, FittedModel, list[str], list[str]]:
            made, base = live.open_version(found, number)
            told = live.items if base.reads_content else {}
            lacking = notes(missing_in(read_told(base, told, strict=False)))
            against = objections(
                Candidate(made, wanted.report, wanted.data),
                Candidate(old, current.report, current.data),
                live.settings,
                other_data=other_data,
            )
            return made, base, [*against, *live.assigner.against(number)], lacking

        made, base, against, lacking = await live.wait(prepare)
        if against and not force:
            raise Refused(
                409, "refused", f"version {number} is not promoted: {'; '.join(against)}",
                "mend that, or promote with force, which passes over all of it",
            )  # fmt: skip
        for one in against:
            log.warning("version %d is promoted by force although %s", number, one)
        told = ["other data: the reports were not compared"] if other_data else []
        said = "; ".join([*([note] if note else []), *told, *(f"forced: {one}" for one in against)])  # fmt: skip
        await live.wait(live.registry.change, PROMOTE, number, said)
        live.swap(made, base)
        live.metrics.changes.labels(PROMOTE).inc()
    done = {"live": number, "before": old.version, "objections": against}
    return done | ({"notes": lacking} if lacking else {})


async def roll_back(live: Live) -> dict[str, Any]:
    """Make the version live that was so before."""
    async with live.changing:
        found = await live.wait(live.registry.read)
        number = before(found)
        made, base = await live.wait(live.open_version, found, number)
        gone = live.served.version
        await live.wait(live.registry.change, ROLL_BACK, number, f"from version {gone}")
        live.swap(made, base)
        live.metrics.changes.labels(ROLL_BACK).inc()
    return {"live": number, "before": gone}


async def set_shadow(live: Live, number: int | None, share: float) -> None:
    """Begin or end to ask a candidate beside the live version."""
    async with live.changing:
        made = None
        if number is not None:
            found = await live.wait(live.registry.read)
            made, _ = await live.wait(live.open_version, found, number)
        await live.wait(live.registry.change, SHADOW, number, "", share)
        live.shadow = None if made is None else Shadow(made, share)
        live.metrics.changes.labels(SHADOW).inc()
