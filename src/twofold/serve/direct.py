"""The way of the requests that come most often: past the router, which takes longer than a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from twofold.errors import TwofoldError
from twofold.serve.failures import answer, refusal
from twofold.serve.gate import App, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]


class Path(NamedTuple):
    """What is counted of a route."""

    path: str


class Direct:
    """ASGI middleware that answers chosen requests itself; the application declares the same routes for its description.

    A fault goes on to the application's own handler, as from a route.
    """

    def __init__(self, app: App, handlers: Mapping[tuple[str, str], Handler]) -> None:
        self.app = app
        self.handlers = handlers
        self.routes = {path: Path(path) for _, path in handlers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of a chosen method and path; hand on any other."""
        handler = None
        if scope["type"] == "http":
            handler = self.handlers.get((scope["method"], scope["path"]))
        if handler is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = self.routes[scope["path"]]
        try:
            made = await handler(Request(scope, receive))  # type: ignore[arg-type]
        except TwofoldError as error:
            made = answer(refusal(error))
        await made(scope, receive, send)  # type: ignore[arg-type]
