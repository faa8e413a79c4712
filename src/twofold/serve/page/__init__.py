"""The page of a server: HTML made here, a small script, no outside address.

The pages themselves hold no data. What they show is fetched as fragments below ``/page/data/``, which need a
key that may read wherever keys are on.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from twofold.serve.live import Live

__all__ = ["PATHS", "Page"]

PATHS = ("/", "/page/{rest:path}")
"""What the page answers."""


class Page:
    """An ASGI application, which is loaded beside the first answers: templates, pictures and statistics take as long as the rest."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._app: ASGIApp | None = None

    async def load(self) -> ASGIApp:
        """Return what answers."""
        routes = await asyncio.to_thread(importlib.import_module, f"{__name__}.routes")
        made = self._app or routes.of(self._live)
        self._app = made
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await (self._app or await self.load())(scope, receive, send)
