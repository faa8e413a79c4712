"""What the tests of serving share."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import uvicorn

from twofold.serve.app import create_app
from twofold.serve.run import bind, options


def items_of(response):
    """Return the ids of a list."""
    assert response.status_code == 200, response.text
    return [one["item"] for one in response.json()["items"]]


class Process:
    """A server of its own."""

    def __init__(self, state, model, *options):
        state.mkdir(exist_ok=True)
        self.lines = []
        self._said = threading.local()
        self.log = state / f"log-{time.monotonic_ns()}.txt"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "twofold", "serve", str(model), "--state", str(state), "--port", "0", *options],
                stderr=out,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        until = time.monotonic() + 60
        while not (
            found := re.search(r"listening on http://127.0.0.1:(\d+)", self.log.read_text())
        ):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)
        self.port = int(found[1])

    def line(self, timeout=10):
        """Return a connection for one thread, which `end` closes."""
        self.lines.append(self._connection(timeout))
        return self.lines[-1]

    def _connection(self, timeout):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, timeout=10, line=None, **headers):
        """Ask on a connection that stays open, or on one of its own; return the status and the body."""
        used = line or self._connection(timeout)
        try:
            used.request(
                method, path, json.dumps(body), {"content-type": "application/json", **headers}
            )
            answer = used.getresponse()
            self._said.headers = answer.headers
            said = answer.read()
            return answer.status, json.loads(said) if said[:1] in b"{[" else said.decode()
        finally:
            if line is None:
                used.close()

    @property
    def headers(self):
        """Headers of the last answer that this thread got."""
        return self._said.headers

    def until_ready(self):
        """Wait until it answers."""
        until = time.monotonic() + 60
        while True:
            try:
                if self.ask("GET", "/ready", timeout=2)[0] == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def end(self, how=signal.SIGTERM):
        for one in self.lines:
            one.close()
        self.process.send_signal(how)
        return self.process.wait(30)


@contextlib.contextmanager
def listening(live):
    """Run a server in a thread, and end it; gives its port."""
    socket = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(live), **options(live.settings)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < until
            time.sleep(0.01)
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
