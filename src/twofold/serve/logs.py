"""Logs as JSON, a line a record, with numbers as fields. Ids of people are not written."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

import orjson

REQUESTS = logging.getLogger("twofold.serve.requests")
"""A record for each request that failed, or for each one where that is asked for."""


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


def set_up(stream: TextIO | None = None) -> None:
    """Send the package's and the server's records to a stream, standard error unless told otherwise."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("twofold", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
