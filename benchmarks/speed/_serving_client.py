"""A client that measures an HTTP server on loopback from another process, and the servers that it measures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw

CONNECTIONS = 16
"""Connections of the client; as many requests are under way at most."""


def whole(said: bytes) -> tuple[int, bytes] | None:
    """Return the status and the body of an answer; None where a part of it is still to come."""
    end = said.find(b"\r\n\r\n")
    if end < 0:
        return None
    size = re.search(rb"(?i)content-length: (\d+)", said[:end])
    last = end + 4 + (int(size[1]) if size else 0)
    return (int(said[9:12]), said[end + 4 : last]) if len(said) >= last else None


class Line(asyncio.Protocol):
    """One kept-alive connection: a request at a time."""

    def connection_made(self, transport: Any) -> None:
        """Keep where to write."""
        self.transport = transport
        self.buffer = b""
        self.waits: asyncio.Future[tuple[int, bytes]] | None = None

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; the result is the status and the body."""
        self.waits = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.waits

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self.buffer += data
        answer = whole(self.buffer)
        if answer is not None and self.waits is not None:
            self.buffer = b""
            self.waits.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        if self.waits is not None and not self.waits.done():
            self.waits.set_exception(error or ConnectionError("closed"))


def post(path: str, body: Any) -> bytes:
    """Return a request as it goes over the wire."""
    said = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
    return head.encode() + said


async def lines(port: int) -> list[Line]:
    """Open the connections."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Line, "127.0.0.1", port) for _ in range(CONNECTIONS)]
    return [line for _, line in made]


class Steady:
    """Sends requests at set moments, whatever the server does, and takes the time from each moment to its answer.

    It looks without sleeping, on a core of its own: timers, and threads that wait for one another, are a millisecond late.
    """

    def __init__(self, port: int, requests: list[bytes], moments: np.ndarray) -> None:
        self.requests, self.moments = requests, moments.tolist()
        self.took = np.full(len(moments), np.nan)
        self.waiting: deque[int] = deque()
        self.under_way: dict[int, int] = {}
        self.lines: dict[int, socket.socket] = {}
        for _ in range(CONNECTIONS):
            line = socket.create_connection(("127.0.0.1", port))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.lines[line.fileno()] = line
        self.free = deque(self.lines)
        self.buffers = dict.fromkeys(self.lines, b"")

    def run(self) -> np.ndarray:
        """Return the ms of every request."""
        count, sent, left = len(self.moments), 0, len(self.moments)
        looks = select.epoll()
        for file in self.lines:
            looks.register(file, select.EPOLLIN)
        start = time.perf_counter() + 0.1
        while left:
            now = time.perf_counter() - start
            while sent < count and self.moments[sent] <= now:
                self.waiting.append(sent)
                sent += 1
            while self.waiting and self.free:
                file = self.free.popleft()
                self.under_way[file] = self.waiting.popleft()
                self.lines[file].sendall(self.requests[self.under_way[file]])
            for file, _ in looks.poll(0):
                left -= self.read(file, start)
        for line in self.lines.values():
            line.close()
        looks.close()
        return 1000 * self.took

    def read(self, file: int, start: float) -> int:
        """Take a part of an answer; 1 where it is the last one."""
        data = self.lines[file].recv(1 << 16)
        if not data:
            raise SystemExit("the server closed a connection")
        self.buffers[file] += data
        answer = whole(self.buffers[file])
        if answer is None:
            return 0
        at = self.under_way.pop(file)
        self.took[at] = time.perf_counter() - start - self.moments[at]
        if answer[0] != 200:
            raise SystemExit(f"{answer[0]}: {answer[1][:300]!r}")
        self.buffers[file] = b""
        self.free.append(file)
        return 1


def at_rate(port: int, make: Callable[[int], bytes], rate: float, seconds: float) -> np.ndarray:
    """Send requests at random moments; return the ms from each moment to its answer."""
    rng = np.random.default_rng(0)
    moments = np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
    return Steady(port, [make(at) for at in range(len(moments))], moments).run()


async def flat_out(port: int, make: Callable[[int], bytes], seconds: float) -> float:
    """Return the requests a second that are answered when each connection asks without a pause."""
    until = time.perf_counter() + seconds
    count = 0

    async def one(line: Line, at: int) -> None:
        nonlocal count
        while time.perf_counter() < until:
            status, body = await line.ask(make(at))
            if status != 200:
                raise SystemExit(f"{status}: {body[:300]!r}")
            at += CONNECTIONS
            count += 1

    began = time.perf_counter()
    opened = await lines(port)
    await asyncio.gather(*(one(line, at) for at, line in enumerate(opened)))
    return count / (time.perf_counter() - began)


def get(path: str) -> bytes:
    """Return a request without a body as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def once(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request on a connection of its own."""
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    answer = await line.ask(request)
    line.transport.close()
    return answer


async def anew(port: int, make: Callable[[int], bytes], seconds: float) -> float:
    """Return the answers a second of a server that closes each connection, with as many of them under way as in `flat_out`."""
    until, count = time.perf_counter() + seconds, 0

    async def one(at: int) -> None:
        nonlocal count
        while time.perf_counter() < until:
            status, body = await once(port, make(at))
            if status != 200:
                raise SystemExit(f"{status}: {body[:300]!r}")
            at += CONNECTIONS
            count += 1

    began = time.perf_counter()
    await asyncio.gather(*(one(at) for at in range(CONNECTIONS)))
    return count / (time.perf_counter() - began)


class Server:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def memory(self) -> dict[str, int]:
        """Return the bytes that are its own, those of mapped files, and the most that it ever had."""
        said = Path(f"/proc/{self.process.pid}/status").read_text()
        return {
            name: 1024 * int(re.search(rf"{name}:\s+(\d+)", said)[1])  # type: ignore[index]
            for name in ("RssAnon", "RssFile", "VmHWM")
        }


@contextlib.contextmanager
def running(
    command: list[str],
    folder: Path,
    ready: str,
    python: str = sys.executable,
    patience: float = 120,
    settle: float = 0.5,
) -> Iterator[Server]:
    """Start a server on a free port, and end it."""
    log = folder / "log.txt"
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    if python == sys.executable:  # the server is the package that is imported here
        one["PYTHONPATH"] = str(Path(tw.__file__).parents[1])
    with log.open("w") as said:
        process = subprocess.Popen(
            [python, *command],
            stderr=said,
            stdout=said,
            cwd=folder,
            env={**os.environ, **one},
        )
    try:
        until = time.monotonic() + patience
        while not (found := re.search(ready, log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(log.read_text())
            time.sleep(0.01)
        time.sleep(settle)
        yield Server(process, int(found[1]))
    finally:
        process.terminate()
        process.wait(30)
