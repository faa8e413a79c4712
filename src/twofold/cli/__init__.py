"""The command line: ``twofold``. Commands are thin; what they do lives in the library."""

from __future__ import annotations

from twofold.cli.app import main

__all__ = ["main"]
