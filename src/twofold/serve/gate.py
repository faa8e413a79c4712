"""What every request passes: its name, its key, its rate, its size, its time; and what is counted of it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from typing import Any

from twofold.serve.failures import Refused, answer
from twofold.serve.keys import Keys
from twofold.serve.logs import REQUESTS
from twofold.serve.metrics import Metrics
from twofold.serve.settings import Settings

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a client may call its request."""
OPEN = {"/health", "/ready"}
"""Paths that need no key."""
READS = {"/recommend", "/recommend/batch", "/explain"}
"""Paths that read, although they are posted to."""
PAGE, PAGE_DATA = "/page/", "/page/data/"
"""The page holds no data and needs no key; what it shows is read below the second."""
PASSED_OVER, PATIENCE = 64_000_000, 5.0
"""Bytes of a body that is too large which are read and dropped, so that the client comes to read why; and seconds."""
CLIENTS = 10_000
"""Clients whose rate is remembered."""
BURST = 2.0
"""Seconds of the allowed rate that may be spent at once."""


def is_open(path: str) -> bool:
    """Say whether a path needs no key."""
    if path in OPEN:
        return True
    return path == "/" or (path.startswith(PAGE) and not path.startswith(PAGE_DATA))


def role_of(method: str, path: str) -> str:
    """Return who may do this: models are the administrator's, and what changes anything needs write."""
    if path.startswith("/models") and method != "GET":
        return "admin"
    reads = path in READS or path.startswith(PAGE_DATA)
    return "read" if method in {"GET", "HEAD"} or reads else "write"


class Rates:
    """Token buckets by client."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_of(self, client: str, now: float) -> float:
        """Take one request of a client; return the seconds until the next is allowed, 0 where it may pass."""
        room = max(1.0, BURST * self.rate)
        left, before = self._left.pop(client, (room, now))
        left = min(room, left + (now - before) * self.rate)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left, now)
        if len(self._left) > CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self.rate


class Gate:
    """ASGI middleware around the application."""

    def __init__(
        self, app: App, settings: Settings, keys: Keys, metrics: Metrics, rates: Rates | None = None
    ) -> None:
        self.app = app
        self.settings = settings
        self.keys = keys
        self.metrics = metrics
        self.rates = rates or (Rates(settings.rate) if settings.rate else None)
        self._process = secrets.token_hex(4)
        self._next = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or say why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        name = key = kind = site = ""
        length, asks, in_parts = 0, False, False
        for field, value in scope["headers"]:
            if field == b"content-length":
                length = int(value) if value.isdigit() else -1
            elif field == b"x-request-id":
                name = value.decode("latin-1")
            elif field == b"x-api-key":
                key = value.decode("latin-1")
            elif field == b"authorization" and value[:7].lower() == b"bearer ":
                key = value[7:].decode("latin-1").strip()
            elif field == b"content-type":
                kind = value.decode("latin-1")
            elif field == b"sec-fetch-site":
                site = value.decode("latin-1")
            elif field == b"transfer-encoding":
                in_parts = True
            elif field == b"expect":
                asks = True
        if not name or not NAME.fullmatch(name):
            name = f"{self._process}-{next(self._next):x}"
        scope["request_id"] = name
        status = 500

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        if in_parts and length == 0:
            length = 1  # at least: how long it is shows when it is read
        refused = other_site(scope["method"], site) or self.refused(scope, key, kind, length)
        try:
            if refused is None:
                await self.app(scope, receive, named)
            else:
                # Who asks whether it may send a body sends none to a refusal.
                if refused.status == 413 and not asks:
                    await pass_over(receive)
                await answer(refused)(scope, receive, named)  # type: ignore[arg-type]
        finally:
            seconds = time.perf_counter() - began
            route = scope.get("route")
            path = getattr(route, "path", None) or ("refused" if refused else "unknown")
            self.metrics.request(path, scope["method"], status, seconds)
            if status >= 500 or self.settings.log_requests:
                fields = {
                    "request_id": name,
                    "method": scope["method"],
                    "path": path,
                    "status": status,
                    "ms": round(1000 * seconds, 3),
                }
                REQUESTS.info("request", extra={"fields": fields})

    def refused(self, scope: Scope, key: str, kind: str, length: int) -> Refused | None:
        """Return why a request may not pass, if it may not."""
        method, path = scope["method"], scope["path"]
        if not is_open(path):
            allowed = self.keys.allows(key or None, role_of(method, path))
            if allowed is None:
                return Refused(
                    401, "no_key", "this server needs an API key" if not key else "the API key is not known",
                    "send it as Authorization: Bearer KEY", {"www-authenticate": "Bearer"},
                )  # fmt: skip
            if not allowed:
                return Refused(
                    403, "not_allowed", f"this key may not {role_of(method, path)}",
                    "use a key of that role",
                )  # fmt: skip
            if self.rates is not None:
                client = key or (scope.get("client") or ("unknown",))[0]
                wait = self.rates.wait_of(client, time.monotonic())
                if wait:
                    return Refused(
                        429, "too_many", f"more than {self.settings.rate:g} requests a second",
                        "send fewer, or ask again later", {"retry-after": str(int(wait) + 1)},
                    )  # fmt: skip
        if length < 0:
            return Refused(
                400, "bad_request", "content-length is no number", "send the length of the body"
            )
        if length > self.settings.max_body:
            return too_large(self.settings.max_body)
        if length and kind.split(";")[0].strip().lower() != "application/json":
            return Refused(
                415, "not_json", f"the body is {kind or 'of no kind'}",
                "send it with Content-Type: application/json",
            )  # fmt: skip
        return None


def other_site(method: str, site: str) -> Refused | None:
    """Return the refusal of a change that a browser was asked for by the page of another site, which needs no body to do harm."""
    if method in {"GET", "HEAD", "OPTIONS"} or site in {"", "none", "same-origin"}:
        return None
    return Refused(
        403, "other_site", "a page of another site asked for this",
        "open this server's own page, or ask without a browser",
    )  # fmt: skip


def too_large(most: int) -> Refused:
    """Return the refusal of a body."""
    return Refused(
        413, "too_large", f"the body is larger than {most:,} bytes",
        "send it in parts, or start the server with a larger --max-body", {"connection": "close"},
    )  # fmt: skip


async def body_of(receive: Receive, settings: Settings) -> bytes:
    """Return the body of a request.

    Raises
    ------
    Refused
        If it is too large, does not arrive in time, or the client is gone.
    """
    message = await _next_part(receive, settings.timeout)
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > settings.max_body:
            raise too_large(settings.max_body)
        return body
    parts = [message.get("body", b"")]
    size = len(parts[0])
    until = time.monotonic() + settings.timeout
    while message.get("more_body"):
        message = await _next_part(receive, until - time.monotonic())
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > settings.max_body:
            await pass_over(receive)
            raise too_large(settings.max_body)
    return b"".join(parts)


async def pass_over(receive: Receive) -> None:
    """Read the rest of a body that is refused, within bounds: a client that is cut off while it sends never reads the answer."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while size < PASSED_OVER:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return


async def _next_part(receive: Receive, seconds: float) -> Message:
    try:
        async with asyncio.timeout(max(seconds, 0.001)):
            message = await receive()
    except TimeoutError as error:
        raise Refused(
            408,
            "slow_body",
            "the body did not arrive in time",
            "send it faster",
            {"connection": "close"},
        ) from error
    if message["type"] == "http.disconnect":
        raise Refused(400, "gone", "the client is gone", "")
    return message
