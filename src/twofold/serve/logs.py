"""Logs as JSON, a line a record, with numbers as fields. Ids of people are not written."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO

import orjson

from twofold.errors import DataWarning

LOGGERS = ("twofold", "uvicorn")
"""Whose records are written."""
REQUESTS = logging.getLogger("twofold.serve.requests")
"""A record for each request that failed, or for each one where that is asked for."""
WARNINGS = logging.getLogger("twofold.serve.warnings")
"""A record for each warning, of twofold or of what it stands on."""


class JsonLines(logging.Formatter):
    """One JSON object a record; what is passed as ``extra={"fields": {...}}`` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(said, default=str).decode()


def set_up(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send the package's and the server's records from a `level` on, and warnings, to a stream, standard error unless told otherwise."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for logger in map(logging.getLogger, LOGGERS):
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    warnings.filterwarnings("always", category=DataWarning)
    warnings.showwarning = _record


@contextmanager
def lines() -> Generator[None]:
    """Write what is wrong as `set_up` does, which is called once there is more to say; as before when it is over."""
    before = [(one, one.handlers, one.level, one.propagate) for one in map(logging.getLogger, LOGGERS)]  # fmt: skip
    with warnings.catch_warnings():
        set_up(level=logging.WARNING)
        try:
            yield
        finally:
            for logger, handlers, level, propagate in before:
                logger.handlers, logger.propagate = handlers, propagate
                logger.setLevel(level)


def _record(message: Warning | str, category: type[Warning], *where: object) -> None:
    del where
    said = message if issubclass(category, DataWarning) else f"{category.__name__}: {message}"
    WARNINGS.warning("%s", said)
