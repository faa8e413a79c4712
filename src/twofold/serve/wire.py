"""What a connection has to keep to before it is a request: the time and the size of its head."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 65_536
"""Bytes of the largest head of a request."""


class Impatient(HttpToolsProtocol):
    """uvicorn's protocol, which ends a connection whose head does not come: it would be held open for ever."""

    def __init__(self, *arguments: Any, seconds: float, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.seconds = seconds
        """For the head of a request."""
        self._timer: asyncio.TimerHandle | None = None
        self._size = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes; more than a head may have end the connection."""
        if self._timer is not None:
            self._size += len(data)
        super().data_received(data)
        if self._timer is not None and self._size > LARGEST_HEAD:
            self._end(431, "large_head", f"the headers are larger than {LARGEST_HEAD:,} bytes")

    def on_message_begin(self) -> None:
        """Begin to wait for the next head of a connection that is kept."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Wait no more."""
        self._forget()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._timer is None:
            self._size = 0
            late = 408, "slow_head", "the headers did not arrive in time"
            self._timer = self.loop.call_later(self.seconds, self._end, *late)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, status: int, code: str, message: str) -> None:
        self._forget()
        if self.transport.is_closing():
            return
        hint = "send a whole request"
        body = orjson.dumps({"error": {"code": code, "message": message, "hint": hint}})
        head = f"HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()
