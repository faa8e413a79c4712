"""The server process: an address, workers, signals."""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import os
import socket
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from twofold.errors import ConfigError
from twofold.serve import logs
from twofold.serve.app import create_app
from twofold.serve.keys import Keys
from twofold.serve.live import Live
from twofold.serve.metrics import SHARED
from twofold.serve.settings import Settings
from twofold.serve.wire import Impatient

log = logging.getLogger(__name__)

TOLD = "TWOFOLD_SERVE"
"""Environment variable by which worker processes are told the settings."""
SILENT = 30
"""Seconds without a sign of life after which a worker is replaced."""
TURN = 0.0005
"""Seconds for which a thread that reads the store may hold up the answers; Python's own 5 ms are one slow answer in a hundred."""
WAITING = 2048
"""Connections that wait to be accepted."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    ConfigError
        If the port is taken or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another --port or --host"
        ) from error
    listening.set_inheritable(True)
    listening.listen(WAITING)
    return listening


def serve(settings: Settings) -> None:
    """Serve until told to stop.

    Raises
    ------
    ConfigError
        If the address or the keys cannot be used.
    """
    keys = read_keys(settings)
    listening = bind(settings.host, settings.port)
    with closing(listening), logs.lines():
        began = time.monotonic()
        live = Live.open(settings, events=settings.workers == 1)
        logs.set_up()
        log.info("opened the model and the store in %.2f s", time.monotonic() - began)
        host, port = listening.getsockname()[:2]
        log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        if settings.workers == 1:
            config = uvicorn.Config(settled(create_app(live, keys)), **options(settings))
            uvicorn.Server(config).run(sockets=[listening])
            return
        live.close()  # it only had to be seen that everything can be opened
        with tempfile.TemporaryDirectory(prefix="twofold-workers-") as shared:
            told = {"settings": dataclasses.asdict(settings), "shared": shared}
            os.environ |= {TOLD: json.dumps(told), SHARED: shared}
            config = uvicorn.Config(
                "twofold.serve.run:worker_app",
                factory=True,
                workers=settings.workers,
                timeout_worker_healthcheck=SILENT,
                **options(settings),
            )
            Multiprocess(config, sockets=[listening]).run()


def settled(app: FastAPI) -> FastAPI:
    """Return the application of a process that does nothing but serve it, after the process was set up for that."""
    sys.setswitchinterval(TURN)
    gc.freeze()  # what is here now stays: collections look at what comes after it alone
    return app


def read_keys(settings: Settings) -> Keys:
    """Return the keys of the settings; none on loopback unless a file is named."""
    return Keys() if settings.keys is None else Keys.read(settings.keys)


def options(settings: Settings) -> dict[str, Any]:
    """Return what uvicorn is told."""
    return {
        "http": partial(Impatient, seconds=settings.timeout),
        "access_log": False,
        "log_config": None,
        "timeout_graceful_shutdown": int(settings.grace),
        "timeout_keep_alive": 30,
        "server_header": False,
        "date_header": False,
    }


def worker_app() -> FastAPI:
    """Return the application of a worker process."""
    # fcntl is not there on every system, and one process does without.
    from twofold.serve.together import Board

    told = json.loads(os.environ[TOLD])
    held: dict[str, Any] = told["settings"]
    held["kinds"] = tuple(held["kinds"])
    settings = Settings(**held)
    logs.set_up()
    return settled(create_app(Live.open(settings), read_keys(settings), Board(told["shared"])))
